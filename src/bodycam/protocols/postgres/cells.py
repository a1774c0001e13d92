"""Values in and out of runs of DataRow and CopyData messages, so that they can be looked into and replaced.

A run that is not changed stays the bytes it was; of one that is, only the messages with a new value are
written anew.
https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from bodycam.protocols.postgres.codec import ProtocolViolation

if TYPE_CHECKING:
    # a whole number of the machine's where this is compiled, which makes a walk over rows nine times as fast
    from mypy_extensions import i64

Cell = bytes | None

DATA_ROW: Final = 0x44
HEADER: Final = 7
"""Tag, length and the number of columns."""

STRETCH: Final = 32 << 10
"""Bytes of rows that are taken apart at once: all that is made of them stays in the processor's cache."""

_NULL: Final = b"\xff\xff\xff\xff"


def columns_of(data: bytes) -> int:
    """How many columns the first of some whole DataRows has.

    Raises:
        ProtocolViolation: it is too short to say.
    """
    if len(data) < HEADER:
        raise ProtocolViolation("08P01", "the target sent a row that doesn't say how many columns it has")
    return data[5] << 8 | data[6]


def stretch(data: bytes, start: int, end: int) -> int:
    """Where `STRETCH` bytes of whole messages from `start` on, or the message that takes more, end."""
    at: i64 = start
    until: i64 = end
    enough: i64 = at + STRETCH
    if until <= enough:
        return end
    while at < enough:
        behind = _behind(data, at)
        if behind < at + HEADER or behind >= until:
            return end
        at = behind
    return at


def row_cells(data: bytes, start: int, end: int, columns: int) -> list[Cell]:
    """The values of the DataRows from `start` to `end`, row by row.

    Raises:
        ProtocolViolation: a row has another number of columns than were described, or lengths that don't fit.
    """
    cells: list[Cell] = []
    _walk(data, start, end, columns, cells)
    return cells


def check_rows(data: bytes, columns: int) -> None:
    """What `row_cells` checks, of rows whose values nobody wants.

    Raises:
        ProtocolViolation: as there.
    """
    _walk(data, 0, len(data), columns, None)


def _walk(data: bytes, start: int, end: int, columns: int, cells: list[Cell] | None) -> None:
    at: i64 = start
    until: i64 = end
    width: i64 = columns
    one: i64
    two: i64
    three: i64
    four: i64
    while at < until:
        one, two, three, four = data[at + 1], data[at + 2], data[at + 3], data[at + 4]
        stop: i64 = at + 1 + (one << 24 | two << 16 | three << 8 | four)
        if stop < at + HEADER or stop > until:
            raise _other(columns)
        one, two = data[at + 5], data[at + 6]
        if one << 8 | two != width:
            raise _other(columns)
        at += HEADER
        left: i64 = width
        while left > 0:
            left -= 1
            if at + 4 > stop:
                raise ProtocolViolation("08P01", "the target sent a row that ends in the middle of a value")
            one, two, three, four = data[at], data[at + 1], data[at + 2], data[at + 3]
            size: i64 = one << 24 | two << 16 | three << 8 | four
            at += 4
            if size == 0xFFFFFFFF:
                if cells is not None:
                    cells.append(None)
                continue
            if at + size > stop:
                raise ProtocolViolation("08P01", "the target sent a value that is longer than its row")
            if cells is not None:
                cells.append(data[at : at + size])
            at += size
        if at != stop:
            raise ProtocolViolation("08P01", "the target sent a row that goes on behind its last value")


def _other(columns: int) -> ProtocolViolation:
    return ProtocolViolation("08P01", f"the target sent a row that has not {columns} columns")


def rows_with(
    data: bytes, start: int, end: int, columns: int, cells: list[Cell], changed: Mapping[int, Cell]
) -> bytes:
    """The same rows, which `row_cells` has taken apart into `cells`, with some values replaced.

    `changed` has those by their place in `cells`.
    """
    parts: list[bytes] = []
    touched = sorted({place // columns for place in changed})
    at: i64 = start
    kept = start
    row: i64 = 0
    for wanted in touched:
        sought: i64 = wanted
        while row < sought:
            at = _behind(data, at)
            row += 1
        parts.append(data[kept:at])
        kept = _behind(data, at)
        body: list[bytes] = []
        for place in range(wanted * columns, (wanted + 1) * columns):
            value = changed[place] if place in changed else cells[place]
            if value is None:
                body.append(_NULL)
            else:
                body.append(len(value).to_bytes(4, "big"))
                body.append(value)
        values = b"".join(body)
        parts.append(b"D" + (6 + len(values)).to_bytes(4, "big") + columns.to_bytes(2, "big") + values)
    parts.append(data[kept:end])
    return b"".join(parts)


def _behind(data: bytes, at: "i64") -> "i64":
    """Where the message ends that begins there."""
    one: i64 = data[at + 1]
    two: i64 = data[at + 2]
    three: i64 = data[at + 3]
    four: i64 = data[at + 4]
    return at + 1 + (one << 24 | two << 16 | three << 8 | four)


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
