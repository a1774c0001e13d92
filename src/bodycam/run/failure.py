"""Why nothing was started, in words for the person at the terminal."""

NOTHING_STARTED = 125  # as env(1), nohup(1) and docker-run(1) have it: the wrapper itself failed
NOT_EXECUTABLE = 126
NOT_FOUND = 127
USAGE = 2


class RunFailure(Exception):
    """The child is not started; `code` is what `bodycam run` exits with, `hint` what to do."""

    def __init__(self, message: str, *, hint: str = "", code: int = NOTHING_STARTED) -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code
