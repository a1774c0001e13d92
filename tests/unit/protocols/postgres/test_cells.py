"""Values out of runs of DataRows and back: what lies about its lengths is told from what doesn't."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bodycam.protocols.postgres.cells import (
    STRETCH,
    Cell,
    check_rows,
    columns_of,
    row_cells,
    rows_with,
    stretch,
)
from bodycam.protocols.postgres.codec import ProtocolViolation
from tests.playbook import wire

values = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from([b"", b"\xff\xff\xff\xff", b"D\0\0\0\x0a\0\1", b"x" * 70_000, b"\n", b"D"]),
)
tables = st.integers(0, 4).flatmap(
    lambda width: st.lists(st.lists(values, min_size=width, max_size=width), max_size=12).map(
        lambda rows: (width, rows)
    )
)


def plainly(data: bytes, columns: int) -> list[Cell] | str:
    """The values, or what is wrong, read with as little thought as possible."""
    cells: list[Cell] = []
    while data:
        length = int.from_bytes(data[1:5], "big")
        body, rest = data[5 : 1 + length], data[1 + length :]
        if length < 6 or len(data) < 1 + length or int.from_bytes(body[:2], "big") != columns:
            return f"the target sent a row that has not {columns} columns"
        body = body[2:]
        for _ in range(columns):
            if len(body) < 4:
                return "the target sent a row that ends in the middle of a value"
            size, body = int.from_bytes(body[:4], "big"), body[4:]
            if size == 0xFFFFFFFF:
                cells.append(None)
            elif size > len(body):
                return "the target sent a value that is longer than its row"
            else:
                cells.append(body[:size])
                body = body[size:]
        if body:
            return "the target sent a row that goes on behind its last value"
        data = rest
    return cells


def read(data: bytes, columns: int) -> list[Cell] | str:
    try:
        cells = row_cells(data, 0, len(data), columns)
    except ProtocolViolation as violation:
        with pytest.raises(ProtocolViolation, match=str(violation)):
            check_rows(data, columns)
        return str(violation) if violation.sqlstate == "08P01" else violation.sqlstate
    check_rows(data, columns)
    return cells


@settings(max_examples=200, deadline=None)
@given(tables)
def test_what_was_written_is_read(table: tuple[int, list[list[Cell]]]) -> None:
    width, rows = table
    data = b"".join(wire.row(*row) for row in rows)
    assert read(data, width) == [cell for row in rows for cell in row] == plainly(data, width)


@settings(max_examples=500, deadline=None)
@given(tables, st.integers(0), st.integers(0, 255), st.integers(0, 4))
@example((1, [[b"a"], [b"b"]]), 4, 4, 1)
@example((1, [[b"a"], [b"b"]]), 10, 255, 1)
@example((1, [[b"a"], [b"b"]]), 10, 3, 1)
@example((1, [[b"a"], [b"b"]]), 7, 255, 1)
def test_rows_that_lie_are_refused_for_the_same_reason(
    table: tuple[int, list[list[Cell]]], place: int, become: int, columns: int
) -> None:
    data = bytearray(b"".join(wire.row(*row) for row in table[1]))
    if data:
        data[place % min(len(data), 64)] = become
    assert read(bytes(data), columns) == plainly(bytes(data), columns)


@settings(max_examples=200, deadline=None)
@given(tables, st.dictionaries(st.integers(0, 47), values))
def test_rows_with_other_values_are_the_rows_of_those_values(
    table: tuple[int, list[list[Cell]]], changed: dict[int, Cell]
) -> None:
    width, rows = table
    before, after = b"D\0\0\0\x06\0\0", b"C"
    data = b"".join(wire.row(*row) for row in rows)
    cells: list[Cell] = [cell for row in rows for cell in row]
    changed = {place: value for place, value in changed.items() if place < len(cells)}

    start, end = len(before), len(before) + len(data)
    got = rows_with(before + data + after, start, end, width, cells, changed)

    cells = [changed.get(place, cell) for place, cell in enumerate(cells)]
    wanted = [cells[at : at + width] for at in range(0, len(cells), width)] if width else rows
    assert got == b"".join(wire.row(*row) for row in wanted)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([1, 50, 5_000, 40_000]), max_size=40))
def test_stretches_are_whole_rows_that_are_all_there(sizes: list[int]) -> None:
    rows = [wire.row(b"x" * size) for size in sizes]
    data = b"".join(rows)
    cells: list[Cell] = []
    at = 0
    while at < len(data):
        end = stretch(data, at, len(data))
        assert end == len(data) or end - at >= STRETCH
        cells += row_cells(data, at, end, 1)
        assert sum(map(len, rows[: len(cells)])) == end
        at = end
    assert cells == [b"x" * size for size in sizes]


@pytest.mark.parametrize("length", [0, 3, 4, 1 << 20, 0xFFFFFFFF])
def test_a_stretch_ends_with_the_rows_where_a_length_lies(length: int) -> None:
    row = wire.row(b"x" * 1_000)
    data = row * 10 + b"D" + length.to_bytes(4, "big") + row * 40
    assert stretch(data, 0, len(data)) == len(data)
    assert isinstance(read(data, 1), str)


def test_the_first_row_says_how_many_columns_there_are() -> None:
    assert columns_of(wire.row(b"a", None)) == 2
    assert columns_of(wire.row()) == 0
    with pytest.raises(ProtocolViolation, match="doesn't say how many"):
        columns_of(b"D\0\0\0\x04")
