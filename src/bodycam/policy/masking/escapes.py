"""A terminal's output as the texts that somebody reads in it, each of whose bytes is known by its place.

Two readings, because a sequence may stand within a word (a colour) or between two (a cursor that moves on):
one without any sequences, with what was erased taken out, and one that is divided where the cursor moved. In
what is no text, which a zero byte tells, nothing was erased.
"""

import re
from bisect import bisect_right
from typing import Final, final

from bodycam.model.escape_sequences import MOVE, SEQUENCE, STEP

_CONTROLS: Final = b"\x00\x07\x0e\x0f\x7f"
# where a line reaches the terminal's edge a shell says so, and the word goes on
_WRAP: Final = re.compile(rb" \r(?=[^\r\n])")
_NO_TEXT: Final = 4096
_LIFTED: Final = re.compile(SEQUENCE.pattern + rb"|[\x08%b]|" % _CONTROLS + _WRAP.pattern)


@final
class Reading:
    """A text and where its bytes were."""

    __slots__ = ("_put", "_starts", "_taken_from", "text")

    def __init__(self, text: bytes, starts: list[int], taken_from: list[int], put: set[int]) -> None:
        self.text = text
        self._starts, self._taken_from = starts, taken_from
        # places of what was put there for a sequence
        self._put = put

    def at(self, place: int) -> int:
        """Where the byte at a place in the text was; behind everything for its end."""
        piece = bisect_right(self._starts, place) - 1
        return self._taken_from[piece] + place - self._starts[piece]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where a part of the text was; sequences at its ends are not in it."""
        while start < end and start in self._put:
            start += 1
        while end > start and end - 1 in self._put:
            end -= 1
        if start == end:
            place = self.at(start)
            return place, place
        return self.at(start), self.at(end - 1) + 1


def texts(data: bytes) -> tuple[bytes, bytes]:
    """The texts of both readings, or nearly: exactly what `where_...` says costs more."""
    if _no_text(data):
        return data, data
    plain = SEQUENCE.sub(b"", data) if b"\x1b" in data else data
    if _erases(data):
        first = where_together(data).text
    else:
        first = _WRAP.sub(b"", plain.translate(None, b"\b" + _CONTROLS))
    second = plain
    if plain is not data and (STEP.search(data) is not None or MOVE.search(data) is not None):
        second = _divided(data)
    return first, second


def where_together(data: bytes) -> Reading:
    """The first of both readings."""
    if _no_text(data):
        return Reading(data, [0], [0], set())
    text, starts, taken_from, position = bytearray(), [], [], 0
    erases = _erases(data)
    for match in _LIFTED.finditer(data):
        start = match.start()
        if start > position:
            starts.append(len(text))
            taken_from.append(position)
            text += data[position:start]
        position = match.end()
        if erases and data[start] == 8:
            _erase(text)
            while starts and starts[-1] >= len(text):
                starts.pop()
                taken_from.pop()
    starts.append(len(text))
    taken_from.append(position)
    text += data[position:]
    return Reading(bytes(text), starts, taken_from, set())


def where_divided(data: bytes) -> Reading:
    """The second."""
    text, starts, taken_from, position = bytearray(), [], [], 0
    put: set[int] = set()
    for match in SEQUENCE.finditer(data):
        start = match.start()
        if start > position:
            starts.append(len(text))
            taken_from.append(position)
            text += data[position:start]
        position = match.end()
        stands = _divided(match[0])
        if stands:
            starts.append(len(text))
            taken_from.append(start)
            put.add(len(text))
            text += stands
    starts.append(len(text))
    taken_from.append(position)
    text += data[position:]
    return Reading(bytes(text), starts, taken_from, put)


def _divided(data: bytes) -> bytes:
    return SEQUENCE.sub(b"", MOVE.sub(b"\n", STEP.sub(b" ", data)))


def _no_text(data: bytes) -> bool:
    """Whether it is a piece of an archive or an image, in which nothing drives a terminal."""
    size = len(data)
    if size < _NO_TEXT or data.count(b"\0") * 1000 < size:
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        # but for a character that is cut
        return error.start < size - 4
    return False


def _erases(data: bytes) -> bool:
    return b"\b" in data and b"\0" not in data


def _erase(text: bytearray) -> None:
    """What a backspace goes back over: one character of the same line."""
    if not text or text[-1] == 10:
        return
    while len(text) > 1 and text[-1] & 0xC0 == 0x80:
        del text[-1]
    del text[-1]
