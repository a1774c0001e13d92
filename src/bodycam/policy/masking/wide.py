"""Text that may be UTF-16 or UTF-32, though nobody says so: its first bytes look like it.

Nearly any bytes can be read as UTF-16, and what a program is given may begin with a small number just as well
as with a letter. So it is looked into both ways, line by line, and nothing is left out that can't be read.
"""

from typing import Final

from bodycam.policy.masking.bodies import FRAGMENT, UNREAD, Cut, Look

_LINE: Final = {
    "utf-16-le": b"\n\x00",
    "utf-16-be": b"\x00\n",
    "utf-32-le": b"\n\x00\x00\x00",
    "utf-32-be": b"\x00\x00\x00\n",
}


def guessed(look: Look, codec: str) -> Look:
    """What of a text is shown if it is in this codec, and if it is not."""

    def inner(text: bytes) -> bytes:
        try:
            plain, sure = text.decode(codec).encode(), True
        except UnicodeError:
            plain, sure = text.decode(codec, "replace").encode(), False
        put = look(plain)
        if put is plain:
            return look(text)
        # a mask has no place among what would not come back as it was
        return (put if sure else UNREAD).decode().encode(codec)

    return inner


def _cut(line: bytes) -> Cut:
    width = len(line)

    def end(data: bytes, start: int) -> int:
        found = data.rfind(line)
        while found > 0 and found % width:
            found = data.rfind(line, 0, found + width - 1)
        if found >= 0:
            return found + width
        # binary, then, or one long line
        return len(data) - len(data) % width

    return Cut(end, UNREAD, later=FRAGMENT)


WIDE: Final = {codec: _cut(line) for codec, line in _LINE.items()}
