"""Result tables as a recording shows them: the columns that were described, and rows decoded by them."""

import struct
from collections.abc import Sequence

from bodycam.model.transcript import Column
from bodycam.protocols.postgres import backend, types
from bodycam.protocols.postgres.codec import ProtocolViolation

Row = tuple[str | None, ...]

_COUNT, _SIZE = struct.Struct(">H").unpack_from, struct.Struct(">i").unpack_from


class Table:
    """One result's columns."""

    __slots__ = ("_decoders", "columns")

    def __init__(self, columns: tuple[Column, ...], decoders: Sequence[types.Decoder]) -> None:
        self.columns, self._decoders = columns, decoders

    @classmethod
    def described(cls, raw: bytes, encoding: str) -> "Table":
        """The columns of a RowDescription.

        Raises:
            ProtocolViolation: it is malformed.
        """
        fields = backend.row_description(raw)
        columns = tuple(Column(readable(field.name, encoding), types.name(field.type)) for field in fields)
        return cls(columns, [types.decoder(field.type, field.format, encoding) for field in fields])

    @classmethod
    def undescribed(cls, count: int, encoding: str) -> "Table":
        """So many columns of which nothing is known: text where it can be, else hexadecimal."""
        columns = tuple(Column(f"column{place}", types.name(0)) for place in range(1, count + 1))
        return cls(columns, [types.decoder(0, 0, encoding)] * count)

    def row(self, buffer: bytes, start: int, end: int) -> Row:
        """The values of the DataRow at `buffer[start:end]`.

        Raises:
            ProtocolViolation: it is malformed, or has another count of values than there are columns.
        """
        count = width(buffer, start, end)
        decoders = self._decoders
        values: list[str | None] = []
        if count != len(decoders):
            raise ProtocolViolation("08P01", f"a row of {count} values in {len(decoders)} columns")
        offset = start + 7
        for decode in decoders:
            if offset + 4 > end:
                raise ProtocolViolation("08P01", "a row ends before its values do")
            (size,) = _SIZE(buffer, offset)
            offset += 4
            if size == -1:
                values.append(None)
                continue
            if size < 0 or offset + size > end:
                raise ProtocolViolation("08P01", "a value reaches beyond its row")
            values.append(decode(buffer[offset : offset + size]))
            offset += size
        if offset != end:
            raise ProtocolViolation("08P01", "bytes behind the last value of a row")
        return tuple(values)

    def cut_row(self, buffer: bytes, start: int, end: int) -> Row:
        """What there is of a DataRow of which only the beginning was kept; the last value is cut."""
        values: list[str | None] = []
        offset = start + 7
        for decode in self._decoders:
            if offset + 4 > end:
                break
            (size,) = _SIZE(buffer, offset)
            offset += 4
            if size < 0:
                values.append(None)
                continue
            value = buffer[offset : min(offset + size, end)]
            whole = offset + size <= end
            values.append(decode(value) if whole else str(value, "utf-8", "backslashreplace"))
            offset += size
        return tuple(values)


def width(buffer: bytes, start: int, end: int) -> int:
    """How many values a DataRow has.

    Raises:
        ProtocolViolation: it is too short to say.
    """
    if end - start < 7:
        raise ProtocolViolation("08P01", "a row too short to count its values")
    (count,) = _COUNT(buffer, start + 5)
    return int(count)


def readable(text: str, encoding: str) -> str:
    """Text that `reading.Body` took as UTF-8, read again in the client's encoding, odd bytes as escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode(encoding, "backslashreplace")
