"""How a command fails: with what happened, what to do, and an exit code that scripts can rely on."""

OK = 0
NO = 1  # the answer is no: refused, not found, or `verify` found something broken
USAGE = 2  # wrong options or wrong settings, such as a URL that would send the key in clear
UNREACHABLE = 3  # the gateway can't be reached, or there is no key to call it with
INTERRUPTED = 130


class Failure(Exception):
    """A command that can't do what was asked; shown on standard error without a traceback."""

    def __init__(self, message: str, *, hint: str = "", code: int = NO) -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code
