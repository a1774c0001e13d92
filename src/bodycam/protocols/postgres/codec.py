"""Cutting a byte stream into PostgreSQL protocol messages, in either direction, after the startup packet.

A message is a tag byte, a 32-bit big-endian length that counts itself, and a body.
https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS
"""

from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    # where this is compiled, a number of the machine's and no object
    from mypy_extensions import i64

Frame = tuple[int, int, int, int]
"""`(tag, start, end, part)`: offsets into the buffer that came with it, the tag and the length included.

`part` is 0 for a whole message; a streamed one comes as a first (1), middle (2) and last (3) piece, and only
the first begins with the tag and the length.
"""

WHOLE: Final = 0
FIRST: Final = 1
MIDDLE: Final = 2
LAST: Final = 3


class ProtocolViolation(Exception):
    """A peer sent what the protocol does not allow; `sqlstate` is how PostgreSQL classes it."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


@final
class TooLong(ProtocolViolation):
    """A peer sent a message that may be one, and is longer than the gateway holds."""

    def __init__(self, message: str) -> None:
        super().__init__("54000", message)


@final
class Framer:
    """Cuts one direction of one connection into messages: `take` bytes, then `advance` until it says no.

    `limit` bounds a message that has to be held whole, in bytes. Messages with a tag in `streamed` that are
    longer than `stream_above` are handed on in pieces as they arrive and have no bound.

    Attributes:
        buffer: the bytes in which the messages stand.
        tag, start, end, part: the message at which the framer is, as a `Frame` has them.
    """

    __slots__ = (
        "_limit", "_missing", "_offset", "_partial", "_plain", "_rest", "_size", "_stream_above", "_streamed",
        "_wanted", "buffer", "end", "part", "start", "tag",
    )  # fmt: skip

    def __init__(self, *, limit: int, streamed: frozenset[int], stream_above: int = 256 * 1024) -> None:
        self._limit, self._streamed, self._stream_above = limit, streamed, stream_above
        # up to this length a message is neither refused nor streamed
        self._plain = min(limit, stream_above)
        self._rest = b""
        # a long message arrives in many reads, which are joined once, when the last has come
        self._partial: list[bytes] = []
        self._missing = self._wanted = self._offset = self._size = 0
        self.buffer = b""
        self.tag = self.start = self.end = 0
        self.part = WHOLE

    def feed(self, data: bytes) -> tuple[bytes, list[Frame]]:
        """Take the next bytes; returns a buffer and the messages in it.

        Raises:
            ProtocolViolation: a length that no message can have; `TooLong`: one over the limit.
        """
        frames: list[Frame] = []
        self.take(data)
        while self.advance():
            frames.append((self.tag, self.start, self.end, self.part))
        return self.buffer, frames

    def take(self, data: bytes) -> None:
        """Take the next bytes; all messages of the bytes before must have been advanced over."""
        self._offset = 0
        if self._wanted:
            self._partial.append(data)
            self._wanted -= len(data)
            if self._wanted > 0:
                self.buffer, self._size = b"", 0
                return
            data = b"".join(self._partial)
            self._partial, self._wanted = [], 0
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        self.buffer, self._size = data, len(data)

    def advance(self) -> bool:
        """Go to the next message, or the next piece of one; False when the bytes are used up.

        Raises:
            ProtocolViolation: a length that no message can have; `TooLong`: one over the limit.
        """
        if self._missing:
            return self._continue()
        data, offset = self.buffer, self._offset
        left = self._size - offset
        if left < 5:
            return self._keep()
        length = data[offset + 1] << 24 | data[offset + 2] << 16 | data[offset + 3] << 8 | data[offset + 4]
        if length >= left or length < 4 or length > self._plain:
            return self._unusual(length)
        self.tag, self.part = data[offset], WHOLE
        self.start = offset
        self.end = self._offset = offset + 1 + length
        return True

    def back(self) -> None:
        """Stand before the message at which it is, which has to have its beginning here."""
        self._offset = self.start
        self._missing = 0

    def rest_is(self, known: bytes) -> bool:
        """Whether nothing but these whole messages follows, then passed over; `end` is behind them."""
        if self._size - self._offset != len(known) or not self.buffer.endswith(known):
            return False
        self.end = self._offset = self._size
        return True

    def more_of(self) -> int:
        """Take in the messages of the same tag that follow whole, moving `end`; returns how many."""
        data = self.buffer
        tag: i64 = self.tag
        offset: i64 = self._offset
        size: i64 = self._size
        plain: i64 = self._plain
        count: i64 = 0
        one: i64
        two: i64
        three: i64
        four: i64
        while size - offset >= 5 and data[offset] == tag:
            one, two, three, four = data[offset + 1], data[offset + 2], data[offset + 3], data[offset + 4]
            length: i64 = one << 24 | two << 16 | three << 8 | four
            if length >= size - offset or length < 4 or length > plain:
                break
            offset += 1 + length
            count += 1
        self.end = self._offset = offset
        return count

    def _keep(self) -> bool:
        if self._offset < self._size:
            self._rest = self.buffer[self._offset :]
            self._offset = self._size
        return False

    def _unusual(self, length: int) -> bool:
        """A message that is not whole here, or is streamed, or can't be."""
        data, offset, size = self.buffer, self._offset, self._size
        tag, end = data[offset], offset + 1 + length
        if length < 4:
            raise ProtocolViolation("08P01", f"a message of type {chr(tag)!r} with a length of {length}")
        streams = length > self._stream_above and tag in self._streamed
        # also of a message that is here already: what is refused can't hang on how the bytes were cut
        if length > self._limit and not streams:
            raise TooLong(
                f"a message of type {chr(tag)!r} of {length} bytes is over the limit of {self._limit}"
            )
        self.tag, self.start = tag, offset
        if end <= size:
            self.part = WHOLE
            self.end = self._offset = end
            return True
        self._offset = size
        if streams:
            self.part, self.end = FIRST, size
            self._missing = end - size
            return True
        self._partial, self._wanted = [data[offset:]], end - size
        return False

    def _continue(self) -> bool:
        if self._offset >= self._size:
            return False
        self.start = 0
        if self._size < self._missing:
            self._missing -= self._size
            self.part, self.end = MIDDLE, self._size
        else:
            self.part, self.end = LAST, self._missing
            self._missing = 0
        self._offset = self.end
        return True
