r"""The text of a quotation `$'...'`.

https://www.gnu.org/software/bash/manual/html_node/ANSI_002dC-Quoting.html
"""

import re
from typing import Final

from bodycam.policy.shell.reasons import INVALID_CHARACTERS, TWO_READINGS, Refused

_ESCAPE: Final = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9A-Fa-f]{1,2})|u(?P<four>[0-9A-Fa-f]{1,4})"
    r"|U(?P<eight>[0-9A-Fa-f]{1,8})|(?P<one>[abeEfnrtv\\'\"?])|(?P<control>c.)|(?P<other>.?))",
    re.DOTALL,
)
_ONE: Final = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip


def decoded(quoted: str) -> str:
    """What stands between the quotes, as the shell reads it; a character is a byte (Latin-1), as given.

    Raises:
        Refused: it holds what ends it early in other shells, or no text has.
    """
    return _ESCAPE.sub(_read, quoted)


def _read(match: re.Match[str]) -> str:
    kind, said = match.lastgroup, match.group(match.lastgroup or 0)
    if kind == "one":
        if said == "'":
            # to a shell without this kind of quotes it ends here
            raise Refused(TWO_READINGS)
        return _ONE[said]
    if kind in ("octal", "hex"):
        code = int(said, 8 if kind == "octal" else 16) & 0xFF
        if code == 0:
            raise Refused(INVALID_CHARACTERS)
        return chr(code)
    if kind in ("four", "eight"):
        code = int(said, 16)
        if code == 0 or code > 0x10FFFF or 0xD800 <= code < 0xE000:
            raise Refused(INVALID_CHARACTERS)
        return chr(code).encode().decode("latin-1")
    if kind == "control":
        raise Refused(INVALID_CHARACTERS)
    return match.group()
