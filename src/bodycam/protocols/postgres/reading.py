"""Reading a message's body field by field, so that malformed bytes are a protocol violation and nothing else.

Text is UTF-8 with `surrogateescape`: whatever a client sends can be represented and sent on unchanged.
"""

import struct

from bodycam.protocols.postgres.codec import ProtocolViolation

_INT16, _INT32 = struct.Struct(">h"), struct.Struct(">i")
_UINT32 = struct.Struct(">I")


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
        return self._unpack(_INT16)

    def int32(self) -> int:
        """A signed 32-bit integer."""
        return self._unpack(_INT32)

    def uint32(self) -> int:
        """An unsigned 32-bit integer."""
        return self._unpack(_UINT32)

    def count(self) -> int:
        """A 16-bit count, read as unsigned like the server does."""
        return self._unpack(_INT16) & 0xFFFF

    def text(self) -> str:
        """A string up to its NUL."""
        end = self._data.find(b"\0", self._offset)
        if end < 0:
            raise ProtocolViolation("08P01", "a string without its end in a message")
        value = self._data[self._offset : end]
        self._offset = end + 1
        return value.decode("utf-8", "surrogateescape")

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
        size = self._unpack(_INT32)
        return None if size == -1 else self.take(size)

    def end(self) -> None:
        """Nothing may be left."""
        if self._offset != self._end:
            raise ProtocolViolation("08P01", f"{self._end - self._offset} bytes too many in a message")

    def _unpack(self, form: struct.Struct) -> int:
        if self._offset + form.size > self._end:
            raise _short()
        (value,) = form.unpack_from(self._data, self._offset)
        self._offset += form.size
        return int(value)


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
