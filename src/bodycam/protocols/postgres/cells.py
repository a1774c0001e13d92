"""Values in and out of runs of DataRow and CopyData messages, so that they can be looked into and replaced.

A run that is not changed stays the bytes it was; of one that is, only the messages with a new value are
written anew.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from collections.abc import Callable, Mapping
from typing import Final

from bodycam.protocols.postgres.codec import ProtocolViolation

Cell = bytes | None

DATA_ROW: Final = 0x44
HEADER: Final = 7
"""Tag, length and the number of columns."""

_COPY_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00"
_COPY_HEADER: Final = 19  # with flags and the length of what extends it
_COPY_TRAILER: Final = b"\xff\xff"
_NULL: Final = 0xFFFFFFFF
_NULL_SIZE: Final = b"\xff\xff\xff\xff"


def row_cells(data: bytes, start: int, end: int, columns: int) -> list[Cell]:
    """The values of the DataRows from `start` to `end`, row by row.

    Raises:
        ProtocolViolation: a row has another number of columns than were described, or lengths that don't fit.
    """
    cells: list[Cell] = []
    at = start
    while at < end:
        stop = at + 1 + (data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4])
        if stop < at + HEADER or stop > end or data[at + 5] << 8 | data[at + 6] != columns:
            raise ProtocolViolation("08P01", f"the target sent a row that has not {columns} columns")
        at += HEADER
        for _ in range(columns):
            if at + 4 > stop:
                raise ProtocolViolation("08P01", "the target sent a row that ends in the middle of a value")
            size = data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]
            at += 4
            if size == 0xFFFFFFFF:
                cells.append(None)
                continue
            if at + size > stop:
                raise ProtocolViolation("08P01", "the target sent a value that is longer than its row")
            cells.append(data[at : at + size])
            at += size
        if at != stop:
            raise ProtocolViolation("08P01", "the target sent a row that goes on behind its last value")
    return cells


def rows_with(
    data: bytes, start: int, end: int, columns: int, cells: list[Cell], changed: Mapping[int, Cell]
) -> bytes:
    """The same rows with some values replaced: `changed` has them by their place in `cells`."""
    parts: list[bytes] = []
    at = kept = start
    first = 0
    touched = {place // columns for place in changed}
    row = 0
    while at < end:
        stop = at + 1 + (data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4])
        if row in touched:
            parts.append(data[kept:at])
            kept = stop
            body: list[bytes] = []
            for place in range(first, first + columns):
                value = changed[place] if place in changed else cells[place]
                if value is None:
                    body.append(b"\xff\xff\xff\xff")
                else:
                    body.append(len(value).to_bytes(4, "big"))
                    body.append(value)
            values = b"".join(body)
            parts.append(b"D" + (6 + len(values)).to_bytes(4, "big") + columns.to_bytes(2, "big") + values)
        first += columns
        row += 1
        at = stop
    parts.append(data[kept:end])
    return b"".join(parts)


def copied_through(data: bytes, become: Callable[[bytes], bytes]) -> bytes:
    """Whole CopyData messages, with what each carries replaced by what it becomes."""
    parts: list[bytes] = []
    at = kept = 0
    end = len(data)
    while at < end:
        stop = at + 1 + (data[at + 1] << 24 | data[at + 2] << 16 | data[at + 3] << 8 | data[at + 4])
        payload = data[at + 5 : stop]
        put = become(payload)
        if put != payload:
            parts.append(data[kept:at])
            parts.append(b"d" + (4 + len(put)).to_bytes(4, "big") + put)
            kept = stop
        at = stop
    if kept == 0:
        return data
    parts.append(data[kept:end])
    return b"".join(parts)


def row_with(row: bytes, become: Callable[[list[Cell]], Mapping[int, Cell] | None]) -> bytes:
    """What one CopyData of binary COPY carries, with some fields replaced.

    The first row of a COPY has the header before it, the last message is the trailer alone.
    https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS

    Raises:
        ProtocolViolation: it is no row of binary COPY.
    """
    at = 0
    if row.startswith(_COPY_SIGNATURE):
        at = _COPY_HEADER + int.from_bytes(row[15:19], "big")
    if row[at:] in (b"", _COPY_TRAILER):
        return row
    head = row[: at + 2]
    fields = int.from_bytes(row[at : at + 2], "big")
    at += 2
    cells: list[Cell] = []
    for _ in range(fields):
        size = int.from_bytes(row[at : at + 4], "big")
        end = at + 4 + (0 if size == _NULL else size)
        if end > len(row) or at + 4 > len(row):
            raise ProtocolViolation("08P01", "the target copied a row that ends in the middle of a value")
        cells.append(None if size == _NULL else row[at + 4 : end])
        at = end
    if row[at:] not in (b"", _COPY_TRAILER):
        raise ProtocolViolation("08P01", "the target copied a row that goes on behind its last value")
    changed = become(cells)
    if not changed:
        return row
    for place, value in changed.items():
        cells[place] = value
    values = [_NULL_SIZE if cell is None else len(cell).to_bytes(4, "big") + cell for cell in cells]
    return b"".join((head, *values, row[at:]))
