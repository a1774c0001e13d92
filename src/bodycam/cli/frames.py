"""What a recorded terminal got, made safe for the viewer's own.

Let through are text, colours, where the cursor goes, what is erased and scrolled, and the few modes that only
change how it looks, all of which `RESET` takes back. All else is left out: whatever sets the clipboard or a
title, has the terminal answer as if somebody typed, changes what keys or the mouse send, or prints.
"""

import re
from typing import Final

from bodycam.model.escape_sequences import SEQUENCE, begun

RESET: Final = "\x1b[m\x1b[?6l\x1b[r\x1b[?7h\x1b[?25h\x1b[4l\x0f\x1b(B\x1b)B\x1b[999;1H\r\n"
CLEAR: Final = "\x1b[m\x1b[2J\x1b[H"
_LEAVE_SCREEN: Final = "\x1b[?1049l"
TAKEN_BACK: Final = _LEAVE_SCREEN + RESET
"""For a player that stops somewhere in the middle."""

_MOVES: Final = re.compile(r"\x1b\[[0-9]{0,4}(?:;[0-9]{0,4}){0,3}[@A-HJKLMPSTXZ`abdefgrsu]\Z")
_COLOURS: Final = re.compile(r"\x1b\[[0-9;:]{0,64}m\Z")
# origin, wrapping, the cursor's being there, the other screen; insertion
_MODES: Final = re.compile(r"\x1b\[(?:\?(?:6|7|25|47|1047|1048|1049)|4)[hl]\Z")
_OTHER_SCREEN: Final = re.compile(r"\x1b\[\?(?:47|1047|1049)(?P<way>[hl])\Z")
_SHORT: Final = re.compile(r"\x1b(?:[78DEM]|[()][0B])\Z")
# C1 controls are some terminals' sequences; what turns the direction of writing is left out as well
_NOT_TEXT: Final = re.compile(
    "[\x00-\x07\x0b\x0c\x10-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


class SafeFrames:
    """One terminal's output; pieces may be cut anywhere."""

    def __init__(self) -> None:
        self._rest = b""
        self._elsewhere = False

    def feed(self, text: str) -> str:
        """What of it may be shown."""
        data = self._rest + text.encode("utf-8", "replace")
        whole = begun(data)
        self._rest, data = data[whole:], data[:whole]
        out: list[str] = []
        position = 0
        for match in SEQUENCE.finditer(data):
            out.append(_NOT_TEXT.sub("", data[position : match.start()].decode("utf-8", "replace")))
            out.append(self._sequence(match[0].decode("utf-8", "replace")))
            position = match.end()
        out.append(_NOT_TEXT.sub("", data[position:].decode("utf-8", "replace")))
        return "".join(out)

    def end(self) -> str:
        """What takes everything back."""
        left, self._elsewhere, self._rest = self._elsewhere, False, b""
        return (_LEAVE_SCREEN if left else "") + RESET

    def _sequence(self, one: str) -> str:
        if _MODES.match(one):
            found = _OTHER_SCREEN.match(one)
            if found is not None:
                self._elsewhere = found["way"] == "h"
            return one
        if _COLOURS.match(one) or _MOVES.match(one) or _SHORT.match(one):
            return one
        # a full reset would take more with it than the screen
        return CLEAR if one == "\x1bc" else ""
