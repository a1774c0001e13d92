"""Rows of binary COPY, a message each.

https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from collections.abc import Callable, Mapping
from typing import Final

from bodycam.protocols.postgres.cells import Cell
from bodycam.protocols.postgres.codec import ProtocolViolation

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\x00"
_HEADER: Final = 19  # with flags and the length of what extends it
_TRAILER: Final = b"\xff\xff"
_NULL: Final = 0xFFFFFFFF
_NULL_SIZE: Final = b"\xff\xff\xff\xff"


def row_with(row: bytes, become: Callable[[list[Cell]], Mapping[int, Cell] | None]) -> bytes:
    """What one CopyData of binary COPY carries, with some fields replaced.

    The first row of a COPY has the header before it, the last message is the trailer alone.
    https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS

    Raises:
        ProtocolViolation: it is no row of binary COPY.
    """
    at = 0
    if row.startswith(_SIGNATURE):
        at = _HEADER + int.from_bytes(row[15:19], "big")
    if row[at:] in (b"", _TRAILER):
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
    if row[at:] not in (b"", _TRAILER):
        raise ProtocolViolation("08P01", "the target copied a row that goes on behind its last value")
    changed = become(cells)
    if not changed:
        return row
    for place, value in changed.items():
        cells[place] = value
    values = [_NULL_SIZE if cell is None else len(cell).to_bytes(4, "big") + cell for cell in cells]
    return b"".join((head, *values, row[at:]))
