"""How a sign-in fails: with what happened and what to do."""


class SignInFailed(Exception):
    """There is no sign-in, or no more; `for_now` says that the provider is away and may be asked again."""

    def __init__(self, message: str, hint: str, *, for_now: bool = False) -> None:
        super().__init__(message)
        self.message, self.hint, self.for_now = message, hint, for_now
