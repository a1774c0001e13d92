"""Skimming says what the reader's entries say, or that it can't tell."""

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bodycam.model.event import Event, Kind
from bodycam.model.transcript import Asked, Entry, Message, Output, Rows
from bodycam.protocols.postgres.transcript import PostgresReader

MOST = 200
TEXT, INT4, BYTEA = 25, 23, 17


def message(tag: bytes, body: bytes = b"") -> bytes:
    return tag + struct.pack(">I", len(body) + 4) + body


def described(*columns: tuple[int, int]) -> bytes:
    fields = b"".join(
        b"c%d\0" % place + struct.pack(">IHIHIH", 0, 0, kind, 4, 0xFFFFFFFF, form)
        for place, (kind, form) in enumerate(columns)
    )
    return message(b"T", struct.pack(">H", len(columns)) + fields)


def row(*values: bytes | None) -> bytes:
    cells = b"".join(
        b"\xff\xff\xff\xff" if value is None else struct.pack(">I", len(value)) + value for value in values
    )
    return message(b"D", struct.pack(">H", len(values)) + cells)


BOUND, READY = message(b"2"), message(b"Z", b"I")


def done(tag: bytes) -> bytes:
    return message(b"C", tag + b"\0")


def read(pieces: list[list[Any]]) -> str:
    """The output as the entries say it, as far as it is shown."""
    reader, said = PostgresReader(), ""
    entries: list[Entry] = []
    for body in pieces:
        entries += reader.feed(Event(Kind.TO_CLIENT, 1, 1, body))
    for entry in entries:
        lines: list[str] = []
        match entry.body:
            case Rows(rows=rows):
                lines = ["\t".join(value for value in one if value is not None) for one in rows]
            case Output(text=text):
                lines = [text]
            case Message(level=level, text=text) if level != "error":
                lines = [text]
        for line in filter(None, lines):
            said = (f"{said}\n{line}" if said else line)[:MOST]
    return said


ONE = described((TEXT, 0), (INT4, 1))


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (BOUND + ONE + row(b"ann", b"\0\0\0\7") + done(b"SELECT 1") + READY, "ann\t7"),
        (BOUND + ONE + row(None, b"\0\0\1\0") + row(b"", None) + row(None, None) + done(b"SELECT 3"), "256"),
        (ONE + done(b"SELECT 0"), ""),
        (message(b"1") + message(b"t", b"\0\0") + message(b"n") + READY, ""),
        (
            ONE + row(b"a", b"\0\0\0\1") + done(b"SELECT 1") + described((BYTEA, 0)) + row(b"\\x00ff"),
            "a\t1\n\\x00ff",
        ),
        (described((INT4, 1)) + row(b"not four"), "\\x6e6f7420666f7572"),
        (described((TEXT, 0)) + row(b"x" * 150) + row(b"y" * 100) + row(b"z"), "x" * 150 + "\n" + "y" * 49),
        (described((TEXT, 0)) + row("straße".encode()), "straße"),
    ],
)
def test_a_simple_answer(data: bytes, shown: str) -> None:
    assert PostgresReader().skim_output(None, data, MOST) == shown == read([[1, 1, data]])


@pytest.mark.parametrize(
    "data",
    [
        row(b"no", b"description"),
        ONE + row(b"too few"),
        ONE + row(b"a", b"\0\0\0\1") + message(b"N", b"SNOTICE\0Mbeware\0\0"),
        message(b"E", b"SERROR\0C42P01\0Mno\0\0"),
        message(b"S", b"client_encoding\0LATIN1\0"),
        message(b"H", b"\0\0\0") + message(b"d", b"copied\n"),
        ONE + row(b"a", b"\0\0\0\1")[:-1],
        ONE + b"D\0\0",
        b"D\0\0\0\1",
        b"\xff" * 20,
    ],
)
def test_what_is_not_simple_is_left_to_the_reader(data: bytes) -> None:
    assert PostgresReader().skim_output(None, data, MOST) is None


def test_a_description_that_was_recorded_apart() -> None:
    data = BOUND + row(b"ann", b"\0\0\0\7") + done(b"SELECT 1")
    assert PostgresReader().skim_output(ONE, data, MOST) == "ann\t7" == read([[3, 0, ONE], [1, 1, data]])
    assert PostgresReader().skim_output(b"T\0\0\0\4", data, MOST) is None


cells = st.none() | st.binary(max_size=12)
kinds = st.tuples(st.sampled_from([TEXT, INT4, BYTEA, 0, 1007, 16400]), st.integers(0, 2))


@given(st.lists(kinds, min_size=1, max_size=3), st.data())
def test_any_rows(columns: list[tuple[int, int]], chance: st.DataObject) -> None:
    rows = chance.draw(st.lists(st.tuples(*[cells] * len(columns)), max_size=6))
    data = BOUND + described(*columns) + b"".join(row(*one) for one in rows) + done(b"SELECT") + READY
    assert PostgresReader().skim_output(None, data, MOST) == read([[1, len(rows), data]])


@given(st.lists(st.tuples(st.sampled_from([0, TEXT, INT4, 16]), st.integers(0, 2), cells), max_size=4))
def test_any_values(parameters: list[tuple[int, int, bytes | None]]) -> None:
    reader = PostgresReader()
    (asked,) = reader.feed(Event(Kind.REQUEST, 1, 1, ["execute", "x", parameters, {}, "statement", None, 0]))
    assert isinstance(asked.body, Asked)
    shown = ["NULL" if one.text is None else one.text for one in asked.body.parameters]
    assert reader.skim_values(parameters) == "\n".join(shown)


def test_values_in_another_encoding() -> None:
    reader = PostgresReader()
    reader.feed(Event(Kind.TO_CLIENT, 1, 1, [0, 0, message(b"S", b"client_encoding\0LATIN1\0")]))
    assert reader.skim_values([(TEXT, 0, b"stra\xdfe"), (TEXT, 0, b"plain")]) == "straße\nplain"
    assert reader.skim_output(None, described((TEXT, 0)) + row(b"stra\xdfe"), MOST) == "straße"
