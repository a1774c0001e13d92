"""Recordings read by people: what a session's events say, whatever their bytes are."""

import struct
from dataclasses import replace
from typing import Any

import pytest

from bodycam.model.event import Event, Flavor, Kind
from bodycam.model.transcript import (
    Asked,
    Body,
    Column,
    Columns,
    Done,
    Message,
    Noted,
    Output,
    Reader,
    Rows,
    Shown,
)
from bodycam.protocols.postgres.recorded_messages import HELD
from bodycam.protocols.postgres.transcript import EXCHANGES_MOST, TRANSCRIPT
from tests.playbook import wire
from tests.playbook.play import Play

OK = ["ok", 1, 10, 0, None, None]


def ask(verb: str = "query", text: str = "select 1", parameters: list[Any] | None = None, **more: Any) -> Any:
    return [
        verb,
        text,
        parameters or [],
        more.get("facts", {}),
        more.get("weight", "statement"),
        more.get("verdict"),
        more.get("redactions", 0),
    ]


def told(play: Play) -> list[Body]:
    """All that the record of a play says."""
    reader = TRANSCRIPT.reader()
    return [
        entry.body
        for kind, exchange, body in play.journal.entries
        for entry in reader.feed(Event(kind, 0, exchange, body))
    ]


class Reading:
    """One reader, with the events written short."""

    def __init__(self) -> None:
        self.reader: Reader = TRANSCRIPT.reader()

    def event(self, kind: Kind, body: Any, exchange: int = 1) -> list[Body]:
        entries = self.reader.feed(Event(kind, 5, exchange, body))
        assert all((entry.at, entry.exchange) == (5, exchange) for entry in entries)
        return [entry.body for entry in entries]

    def to_client(self, *data: bytes, exchange: int = 1, flavor: Flavor = Flavor.CHUNK) -> list[Body]:
        return self.event(Kind.TO_CLIENT, [flavor, 0, b"".join(data)], exchange)

    def to_target(self, *data: bytes, exchange: int = 1) -> list[Body]:
        return self.event(Kind.TO_TARGET, [Flavor.CHUNK, 0, b"".join(data)], exchange)

    def finish(self, body: Any = None, exchange: int = 1) -> list[Body]:
        return self.event(Kind.FINISH, body or OK, exchange)


@pytest.fixture
def reading() -> Reading:
    return Reading()


# -- what was asked ------------------------------------------------------------------------------------


def test_a_statement_with_its_values(reading: Reading) -> None:
    values = [[23, 1, b"\0\0\0\x2a"], [25, 0, b"it's"], [25, 0, None], [0, 0, b"x"], [1007, 0, b"{1,2}"]]

    assert reading.event(Kind.REQUEST, ask("execute", "select $1", values)) == [
        Asked(
            "execute",
            "select $1",
            (
                Shown("int4", "42"),
                Shown("text", "it's"),
                Shown("text", None),
                Shown("unknown", "x"),
                Shown("int4[]", "{1,2}"),
            ),
            aside=False,
        )
    ]


def test_a_denied_statement_says_by_which_rule(reading: Reading) -> None:
    asked = ask(text="drop table t", verdict=["deny", "no-drop", "p1", "not here"], redactions=2)

    assert reading.event(Kind.REQUEST, asked) == [
        Asked(
            "query", "drop table t", (), aside=False, verdict="deny by rule no-drop: not here", redactions=2
        )
    ]


def test_a_login_shows_what_it_asked_for(reading: Reading) -> None:
    asked = ask("connect", "", facts={"user": "token", "database": "orders"}, weight="aside")

    assert reading.event(Kind.REQUEST, asked) == [
        Asked("connect", "user=token, database=orders", (), aside=True)
    ]


# -- tables --------------------------------------------------------------------------------------------


def test_a_result_table(reading: Reading) -> None:
    table = wire.columns(("id", 23), ("name", 25)), wire.row(b"1", b"a"), wire.row(b"2", None)

    assert reading.to_client(*table, wire.complete("SELECT 2"), wire.ready()) == [
        Columns((Column("id", "int4"), Column("name", "text"))),
        Rows((("1", "a"), ("2", None))),
    ]
    assert reading.finish(["ok", 2, 80, 0, "SELECT 2", None]) == [Done("ok", "SELECT 2", 2, 80)]


def test_a_table_without_rows_is_a_table(reading: Reading) -> None:
    said = reading.to_client(wire.columns(("id", 23)), wire.complete("SELECT 0"), wire.ready())

    assert said == [Columns((Column("id", "int4"),))]


def test_a_description_that_only_prepares_is_none(reading: Reading) -> None:
    assert reading.to_client(wire.PARSED, wire.described(23), wire.columns(("id", 23)), wire.ready()) == []


def test_a_recorded_description_tells_the_format_of_the_rows(reading: Reading) -> None:
    described = wire.columns(("n", 23), form=1)

    assert reading.to_client(described, flavor=Flavor.COLUMNS) == []
    assert reading.to_client(wire.BOUND, wire.row(b"\0\0\0\x07"), flavor=Flavor.ROWS) == [
        Columns((Column("n", "int4"),)),
        Rows((("7",),)),
    ]
    assert reading.to_client(wire.row(b"\0\0\0\x08"), flavor=Flavor.ROWS) == [Rows((("8",),))]


def test_rows_that_nothing_describes_are_text_where_they_can_be(reading: Reading) -> None:
    assert reading.to_client(wire.row(b"a", b"\xff", None, b"\0\0\0\1")) == [
        Columns(tuple(Column(f"column{place}", "unknown") for place in (1, 2, 3, 4))),
        Rows((("a", "\\xff", None, "\\x00000001"),)),
    ]


def test_each_statement_of_a_query_has_its_own_table(reading: Reading) -> None:
    said = reading.to_client(
        wire.columns(("a", 23)), wire.row(b"1"), wire.complete("SELECT 1"),
        wire.columns(("b", 25)), wire.row(b"x"), wire.complete("SELECT 1"), wire.ready(),
    )  # fmt: skip

    assert [type(body) for body in said] == [Columns, Rows, Columns, Rows]


@pytest.mark.parametrize("size", [1, 2, 5, 7, 100])
def test_cut_anywhere_the_rows_are_the_same(reading: Reading, size: int) -> None:
    data = wire.columns(("id", 23)) + b"".join(wire.row(str(n).encode()) for n in range(20))
    rows: list[tuple[str | None, ...]] = []
    for start in range(0, len(data), size):
        for body in reading.to_client(data[start : start + size]):
            rows += body.rows if isinstance(body, Rows) else ()

    assert rows == [(str(n),) for n in range(20)]


def test_exchanges_side_by_side_keep_their_own_columns(reading: Reading) -> None:
    reading.to_client(wire.columns(("a", 23), form=1), exchange=1, flavor=Flavor.COLUMNS)
    half, rest = wire.row(b"\0\0\0\1")[:9], wire.row(b"\0\0\0\1")[9:]
    reading.to_client(half, exchange=1)
    reading.to_client(wire.notice("careful"), exchange=0)

    assert reading.to_client(wire.columns(("b", 25)), wire.row(b"x"), exchange=2)[1] == Rows((("x",),))
    assert reading.to_client(rest, exchange=1)[1] == Rows((("1",),))


def test_what_a_function_returned(reading: Reading) -> None:
    said = reading.to_client(wire.message(b"V", struct.pack(">i", 2), b"42"), wire.ready())

    assert said == [Columns((Column("column1", "unknown"),)), Rows((("42",),))]


def test_a_row_longer_than_is_held_is_cut_and_the_next_one_is_whole(reading: Reading) -> None:
    data = wire.columns(("t", 25)) + wire.row(b"x" * 3_000_000) + wire.row(b"next")
    said: list[Body] = []
    for start in range(0, len(data), 256 * 1024):
        said += reading.to_client(data[start : start + 256 * 1024])
    tables = [body for body in said if isinstance(body, Rows)]
    marks = [body for body in said if isinstance(body, Noted)]

    assert len(tables[0].rows[0][0] or "") == HELD - 11
    assert tables[1] == Rows((("next",),))
    assert [mark.what for mark in marks] == ["cut"]
    assert f"{3_000_011 - HELD} are not" in marks[0].detail


def test_text_is_read_in_the_sessions_client_encoding(reading: Reading) -> None:
    reading.to_client(wire.status("client_encoding", "LATIN1"), wire.ready())
    reading.finish()

    said = reading.to_client(wire.columns(("t", 25)), wire.row("grün".encode("latin-1")), exchange=2)
    assert said[1] == Rows((("grün",),))


# -- COPY ----------------------------------------------------------------------------------------------


def test_copy_in(reading: Reading) -> None:
    reading.to_client(wire.copy_in())

    assert reading.to_target(wire.copy_data(b"1\ta\n"), wire.copy_data(b"2\tb\n")) == [
        Output("copy in", "1\ta\n2\tb\n")
    ]
    assert reading.to_target(wire.COPY_DONE) == []
    assert reading.finish(["ok", 0, 20, 30, "COPY 2", None]) == [Done("ok", "COPY 2", 2, 50)]


def test_a_character_cut_by_two_messages_is_one_character(reading: Reading) -> None:
    euro = "€".encode()
    said = reading.to_target(wire.copy_data(b"5 " + euro[:1])) + reading.to_target(wire.copy_data(euro[1:]))

    assert said == [Output("copy in", "5 "), Output("copy in", "€")]


def test_copy_out_and_its_last_half_character(reading: Reading) -> None:
    assert reading.to_client(wire.copy_out(), wire.copy_data(b"a\n"), wire.copy_data(b"b\xe2")) == [
        Output("copy out", "a\nb")
    ]
    assert reading.to_client(wire.COPY_DONE, wire.complete("COPY 2")) == [Output("copy out", "\\xe2")]


@pytest.mark.parametrize("announced", [True, False])
def test_binary_copy_is_hexadecimal(reading: Reading, announced: bool) -> None:
    if announced:
        reading.to_client(wire.message(b"G", b"\1", struct.pack(">hh", 1, 1)))
    head = b"PGCOPY\n\xff\r\n\0" + bytes(8)

    assert reading.to_target(wire.copy_data(head)) == [Output("copy in", "\\x" + head.hex())]


def test_a_client_that_gives_a_copy_up_says_why(reading: Reading) -> None:
    said = reading.to_target(wire.copy_data(b"1\n"), wire.message(b"f", b"disk full\0"))

    assert said == [Output("copy in", "1\n"), Noted("copy-failed", "disk full")]


def test_copy_data_longer_than_is_held_is_cut(reading: Reading) -> None:
    said = reading.to_target(wire.copy_data(b"x" * (2 * HELD)), wire.copy_data(b"y\n"))

    assert [type(body) for body in said] == [Output, Noted, Output]
    assert said[2] == Output("copy in", "y\n")


def test_a_copy_that_fails_inside_a_message_does_not_spoil_what_follows(ready: Play) -> None:
    long = wire.copy_data(b"x" * 400_000)
    ready.client(wire.query("copy t from stdin"))
    ready.target(wire.copy_in())
    ready.client(long[:300_000])
    ready.target(wire.error("22P02", "invalid input"), wire.ready())
    ready.client(long[300_000:350_000])
    ready.client(long[350_000:] + wire.copy_data(b"next\n") + wire.COPY_DONE)

    assert [one for one in told(ready) if isinstance(one, Noted | Output)][-2:] == [
        Noted("unfinished", "the record of this exchange ends inside a message"),
        Output("copy in", "next\n"),
    ]


# -- what was said -------------------------------------------------------------------------------------


def test_errors_notices_and_notifications(reading: Reading) -> None:
    error = wire.message(b"E", b"SERROR\0C42P01\0Mno such table\0Dlooked everywhere\0Hcreate it\0\0")

    assert reading.to_client(error, wire.notice("careful"), wire.notification("jobs", "42")) == [
        Message("error", "42P01", "no such table", "looked everywhere", "create it"),
        Message("notice", "00000", "careful"),
        Message("notification", "jobs", "42", "from server process 4711"),
    ]


def test_an_error_is_shown_once(reading: Reading) -> None:
    failed = ["error", 0, 10, 0, None, {"code": "42601", "message": "syntax error", "severity": "ERROR"}]

    reading.to_client(wire.error())
    assert reading.finish(failed) == [Done("error", None, 0, 10)]
    assert reading.finish(failed, exchange=2) == [
        Message("error", "42601", "syntax error"),
        Done("error", None, 0, 10),
    ]


@pytest.mark.parametrize(
    ("tag", "rows"),
    [("INSERT 0 5", 5), ("SELECT 3", 3), ("INSERT 0 1; SELECT 2", 3), ("BEGIN", 1), (None, 1), ("CREATE TABLE; COPY 7", 7)],
)  # fmt: skip
def test_rows_are_those_that_the_tag_reports_or_those_that_went_by(
    reading: Reading, tag: str | None, rows: int
) -> None:
    assert reading.finish(["ok", 1, 0, 0, tag, None]) == [Done("ok", tag, rows, 0)]


def test_the_session_itself(reading: Reading) -> None:
    opened = {
        "session": "ses_a", "run": "run_a", "agent": "billing-bot", "database": "orders", "address": "[::1]:5",
        "principal": {"issuer": "bodycam", "subject": "ci"}, "target": {"name": "orders"},
    }  # fmt: skip
    closed = {"outcome": "cut", "reason": "revoked", "unsent_to_client": 12, "unsent_to_target": 0}

    assert reading.event(Kind.OPENED, opened, 0) == [
        Noted(
            "opened", "billing-bot in run run_a of ci@bodycam: target orders, database orders, from [::1]:5"
        )
    ]
    assert reading.event(Kind.NOTE, {"note": "target", "backend_pid": 42}, 0) == [
        Noted("target", "backend_pid: 42")
    ]
    assert reading.event(Kind.CLOSED, closed, 0) == [
        Noted("closed", "cut: revoked; 12 bytes for the client were never sent")
    ]


# -- nonsense ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    "body", [None, 7, b"", "x", [], {}, [None] * 7, [0, 0], [0, 0, None], {"note": None}]
)
def test_a_body_of_the_wrong_shape_never_raises(reading: Reading, kind: Kind, body: Any) -> None:
    assert all(isinstance(said, Noted | Done | Asked) for said in reading.event(kind, body))


def test_a_malformed_message_is_noted_and_the_next_one_read(reading: Reading) -> None:
    said = reading.to_client(
        wire.columns(("a", 23)), wire.row(b"1"), wire.row(b"1", b"2"), wire.message(b"D", b"\0"),
        wire.message(b"T", b"\0\7"), wire.message(b"?", b"x"), wire.row(b"2"),
    )  # fmt: skip

    assert [type(body) for body in said] == [Columns, Rows, Noted, Noted, Noted, Noted, Rows]
    assert {body.what for body in said if isinstance(body, Noted)} == {"undecodable"}


def test_a_length_that_no_message_has_ends_what_can_be_read(reading: Reading) -> None:
    bad = reading.to_client(wire.notice("before"), b"D\0\0\0\2abc")

    assert bad == [
        Message("notice", "00000", "before"),
        Noted("undecodable", "from here on these bytes are no messages of the protocol"),
    ]
    assert reading.to_client(wire.notice("after")) == []
    assert reading.finish() == [Done("ok", None, 1, 10)]


def test_an_exchange_that_ends_inside_a_message_says_so(reading: Reading) -> None:
    reading.to_client(wire.columns(("t", 25)), wire.row(b"x" * 100)[:50])

    assert reading.finish(["unknown", 1, 50, 0, None, None]) == [
        Noted("unfinished", "the record of this exchange ends inside a message"),
        Done("unknown", None, 1, 50),
    ]


def test_exchanges_that_never_end_are_forgotten(reading: Reading) -> None:
    for number in range(1, 1000):
        reading.to_client(wire.columns(("a", 23)), exchange=number)

    assert len(reading.reader._exchanges) == EXCHANGES_MOST  # type: ignore[attr-defined]


# -- a real session, from machine to reader ------------------------------------------------------------


def test_a_session_from_login_to_end(ready: Play) -> None:
    ready.client(wire.parse("select $1::int", "s1"), wire.describe("S", "s1"), wire.SYNC)
    ready.target(wire.PARSED, wire.described(23), wire.columns(("n", 23)), wire.ready())
    ready.client(wire.bind(b"7", statement="s1", formats=(1,)), wire.execute(), wire.SYNC)
    ready.target(wire.BOUND, wire.row(b"\0\0\0\x07"), wire.complete("SELECT 1"), wire.ready())
    ready.client(wire.query("selec"))
    ready.target(wire.error(), wire.ready())
    ready.client(wire.TERMINATE)

    said = told(ready)

    assert not [body for body in said if isinstance(body, Noted) and body.what == "undecodable"]
    assert said[0].what == "opened"  # type: ignore[union-attr]
    shown = [replace(body, bytes=0) if isinstance(body, Done) else body for body in said]
    assert [body for body in shown if not isinstance(body, Noted)] == [
        Asked("connect", "user=token, database=orders, application_name=psql", (), aside=True),
        Done("ok", None, 0, 0),
        Asked("prepare", "select $1::int", (), aside=True),
        Done("ok", None, 0, 0),
        Asked("execute", "select $1::int", (Shown("int4", "7"),), aside=False),
        Columns((Column("n", "int4"),)),
        Rows((("7",),)),
        Done("ok", "SELECT 1", 1, 0),
        Asked("query", "selec", (), aside=False),
        Message("error", "42601", "syntax error"),
        Done("error", None, 0, 0),
    ]
