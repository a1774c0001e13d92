"""Reading a message's body field by field, so that malformed bytes are a protocol violation and nothing else.

Text is UTF-8 with `surrogateescape`: whatever a client sends can be represented and sent on unchanged.
"""

import struct
from typing import final

from bodycam.protocols.postgres.codec import ProtocolViolation

_UINT32 = struct.Struct(">I")


@final
class Body:
    """A cursor over one message, past its tag and length."""

    __slots__ = ("_data", "_end", "_offset")

    def __init__(self, raw: bytes, offset: int = 5) -> None:
        self._data, self._offset, self._end = raw, offset, len(raw)

    def byte(self) -> int:
        """One byte."""
        if self._offset >= self._end:
            raise _short()
        value = self._data[self._offset]
        self._offset += 1
        return value

    def int16(self) -> int:
        """A signed 16-bit integer."""
        value = self.count()
        return value - 0x10000 if value >= 0x8000 else value

    def int32(self) -> int:
        """A signed 32-bit integer."""
        value = self.uint32()
        return value - 0x1_0000_0000 if value >= 0x8000_0000 else value

    def uint32(self) -> int:
        """An unsigned 32-bit integer."""
        data, at = self._data, self._offset
        if at + 4 > self._end:
            raise _short()
        self._offset = at + 4
        return data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]

    def count(self) -> int:
        """A 16-bit count, read as unsigned like the server does."""
        data, at = self._data, self._offset
        if at + 2 > self._end:
            raise _short()
        self._offset = at + 2
        return data[at] << 8 | data[at + 1]

    def int16s(self) -> tuple[int, ...]:
        """A count, and so many signed 16-bit integers."""
        count = self.count()
        if not count:
            return ()
        return tuple([self.int16() for _ in range(count)])

    def text(self) -> str:
        """A string up to its NUL."""
        at = self._offset
        if at < self._end and not self._data[at]:
            self._offset = at + 1
            return ""
        end = self._data.find(b"\0", at)
        if end < 0:
            raise ProtocolViolation("08P01", "a string without its end in a message")
        self._offset = end + 1
        return self._data[at:end].decode("utf-8", "surrogateescape")

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        end = self._offset + size
        if size < 0 or end > self._end:
            raise _short()
        value = self._data[self._offset : end]
        self._offset = end
        return value

    def rest(self) -> bytes:
        """All that is left."""
        value = self._data[self._offset :]
        self._offset = self._end
        return value

    def value(self) -> bytes | None:
        """A 32-bit length and so many bytes; None for the length -1."""
        size = self.uint32()
        return None if size == 0xFFFF_FFFF else self.take(size)

    def end(self) -> None:
        """Nothing may be left."""
        if self._offset != self._end:
            raise ProtocolViolation("08P01", f"{self._end - self._offset} bytes too many in a message")


def _short() -> ProtocolViolation:
    return ProtocolViolation("08P01", "a message ends before its fields do")


def message(tag: bytes, *fields: bytes) -> bytes:
    """A whole message of these fields."""
    body = b"".join(fields)
    return tag + _UINT32.pack(len(body) + 4) + body


def text(value: str) -> bytes:
    """A string with its NUL.

    Raises:
        ValueError: the text holds a NUL, which no protocol string can.
    """
    if "\0" in value:
        raise ValueError("a string of the protocol can't hold a NUL")
    return value.encode("utf-8", "surrogateescape") + b"\0"


def readable(value: str) -> str:
    """Text that goes on to others than the target: bytes that are no UTF-8 as backslash escapes."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
