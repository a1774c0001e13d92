"""How a login at a target fails, in the words that the client gets."""


class TargetLoginFailed(Exception):
    """The target did not let the gateway in.

    `outright` is True where the server itself said no before it asked for any proof, as pg_hba.conf makes it.
    """

    def __init__(self, sqlstate: str, message: str, hint: str = "", *, outright: bool = False) -> None:
        super().__init__(message)
        self.sqlstate, self.message, self.hint, self.outright = sqlstate, message, hint, outright
