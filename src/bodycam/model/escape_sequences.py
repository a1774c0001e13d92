"""What of a terminal's output is text, and what drives the terminal (ECMA-48; xterm's "Control Sequences").

Output is in bytes, and C1 controls are the pairs that begin with ESC: as single bytes they are parts of
characters in UTF-8.
"""

import re
from typing import Final

STRING_MOST: Final = 4096
"""Bytes of a string (a title, device control) up to which it is one sequence; of a longer one all is text."""

_PARAMETERS = rb"[0-?]{0,64}[ -/]{0,16}"
_OSC = rb"\x1b\][^\x07\x18\x1a\x1b]{0,%d}" % STRING_MOST
_OTHER_STRING = rb"\x1b[PX^_][^\x18\x1a\x1b]{0,%d}" % STRING_MOST

# an ESC ends a string, as its terminator's first byte or as the beginning of something else
STRING: Final = re.compile(
    _OSC + rb"(?:\x07|\x1b\\|[\x18\x1a]|(?=\x1b))|" + _OTHER_STRING + rb"(?:\x1b\\|[\x18\x1a]|(?=\x1b))"
)
"""One that holds a string: a title, a link, an answer of a device."""

SEQUENCE: Final = re.compile(
    rb"\x1b\[" + _PARAMETERS + rb"[@-~]|" + STRING.pattern + rb"|\x1b[ -/]{1,8}[0-~]|\x1b[0-~]"
)
"""One whole sequence. Of what comes in pieces, what `begun` finds at the end has to be left out."""

_BEGUN: Final = re.compile(
    rb"\x1b(?:\[" + _PARAMETERS + rb"|[ -/]{0,8})?\Z|(?:" + _OSC + rb"|" + _OTHER_STRING + rb")\x1b?\Z"
)
_LONGEST: Final = STRING_MOST + 3


def begun(data: bytes) -> int:
    """Where a sequence begins that is not whole yet; the length of the data where none does."""
    start = max(0, len(data) - _LONGEST)
    if data.find(b"\x1b", start) < 0:
        return len(data)
    found = _BEGUN.search(data, start)
    return len(data) if found is None else found.start()


STEP: Final = re.compile(rb"\x1b\[[0-9;]{0,64}C")
"""The cursor steps to the right, over what is like a blank."""

MOVE: Final = re.compile(rb"\x1b(?:\[[0-?]{0,64}[@ABDEFGHILMPSTXZ`abdefrsu]|[78DEMc])")
"""The cursor goes anywhere else: what is behind it is no part of the word before."""
