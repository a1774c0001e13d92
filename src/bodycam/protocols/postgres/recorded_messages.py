"""Putting recorded pieces of a message stream together again, for reading a recording.

A recording may hold anything, so nothing here raises, and what is held of one message is bounded: of a longer
one the beginning is shown, and the rest is counted and passed over so that the next one is found.
"""

import struct

HELD = 1024 * 1024
"""Of one message at most this many bytes are held, its tag and length included."""

Piece = tuple[int, int, int, int]
"""`(tag, start, end, missing)`: offsets into the buffer that came with it, the tag and the length included.

`missing` is how many bytes of the message were passed over.
"""

_LENGTH = struct.Struct(">I").unpack_from
_HEADER = 5


class Messages:
    """One direction of one exchange."""

    __slots__ = ("_parts", "_skip", "_wanted", "broken")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._wanted = self._skip = 0
        self.broken = False

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun whose end has not been seen."""
        return bool(self._wanted or self._skip)

    @property
    def missing(self) -> int:
        """How many bytes of the message that has begun are still to come; 0 while its length is not known."""
        if self._skip or not self._parts:
            return self._skip
        begun = b"".join(self._parts)
        return int(_LENGTH(begun, 1)[0]) + 1 - len(begun) if len(begun) >= _HEADER else 0

    def feed(self, data: bytes) -> tuple[bytes, list[Piece]]:
        """Take the next recorded bytes; returns a buffer and the messages in it.

        A length that no message can have sets `broken`: from there on nothing can be told apart.
        """
        pieces: list[Piece] = []
        if self.broken:
            return b"", pieces
        if self._skip:
            passed = min(self._skip, len(data))
            self._skip -= passed
            data = data[passed:]
        if self._wanted:
            self._parts.append(data)
            self._wanted -= len(data)
            if self._wanted > 0:
                return b"", pieces
            data, self._parts, self._wanted = b"".join(self._parts), [], 0
        offset, size = 0, len(data)
        while size - offset >= _HEADER:
            (length,) = _LENGTH(data, offset + 1)
            if length < 4:
                self.broken = True
                return data, pieces
            end = offset + 1 + length
            held = end if length < HELD else offset + HELD
            if held > size:
                self._keep(data, offset, held)
                return data, pieces
            pieces.append((data[offset], offset, held, end - held))
            if end > size:
                self._skip = end - size
                return data, pieces
            offset = end
        if offset < size:
            self._keep(data, offset, offset + _HEADER)
        return data, pieces

    def _keep(self, data: bytes, offset: int, until: int) -> None:
        self._parts, self._wanted = [data[offset:]], until - len(data)
