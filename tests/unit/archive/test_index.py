"""What the indexer makes of a session's events."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from bodycam.archive.index import Indexer, IndexSettings
from bodycam.catalog import runs, sessions, tail
from bodycam.catalog.engine import make_engine, reading
from bodycam.catalog.exchanges import ExchangeFilter, ExchangeRecord, list_exchanges
from bodycam.catalog.sightings import LeakFilter, list_leaks
from bodycam.model.event import Event, Kind
from bodycam.model.operation import Fact
from bodycam.model.trace import TRACE_PARENT, TraceParent, trace_parent
from bodycam.model.transcript import Asked, Entry, Reader, Rows, Shown
from tests.catalogs import migrated

NOON = 1_700_000_000_000_000
OPENED = {
    "id": "ses_a",
    "run": "run_a",
    "principal": {"issuer": "api", "subject": "ci", "kind": "service", "groups": ["dev"]},
    "agent": "bot",
    "target": {"name": "orders", "protocol": "echo", "labels": {}},
    "database": "shop",
    "grade": "separated",
    "labels": {"k": "v"},
    "trace": None,
    "address": "127.0.0.1:1",
    "claims": {"application": "psql"},
    "worker": b"\xab" * 16,
    "opening": 3,
    "started": NOON,
    "policy": "p1",
    "version": "0",
}


class EchoReader:
    """Values are their own bytes; each data event is one row."""

    def __init__(self) -> None:
        self.fed: list[Kind] = []

    def feed(self, event: Event) -> list[Entry]:
        self.fed.append(event.kind)
        match event.kind:
            case Kind.REQUEST:
                shown = tuple(Shown("text", None if v is None else v.decode()) for _, _, v in event.body[2])
                return [Entry(event.at, event.exchange, Asked(event.body[0], event.body[1], shown, False))]
            case Kind.TO_CLIENT:
                return [Entry(event.at, event.exchange, Rows(((event.body[2].decode(), None),)))]
            case _:
                return []


class Echo:
    def __init__(self) -> None:
        self.readers: list[Any] = []

    def reader(self) -> Reader:
        self.readers.append(EchoReader())
        return self.readers[-1]

    def trace(self, text: str, facts: Mapping[str, Any]) -> TraceParent | None:
        return trace_parent(str(facts.get(TRACE_PARENT)))

    def kept(self, facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
        return {name: facts[name] for name in ("kept",) if name in facts}

    def shape(self, text: str) -> str | None:
        return None


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    migrated(made)
    yield made
    made.dispose()


def request(at: int, number: int, text: str, values: list[bytes | None] | None = None) -> Event:
    given = [[25, 0, value] for value in values or []]
    return Event(Kind.REQUEST, at, number, ["query", text, given, {}, "statement", None, 0])


def rows(at: int, number: int, data: bytes) -> Event:
    return Event(Kind.TO_CLIENT, at, number, [1, 1, data])


def finish(at: int, number: int, outcome: str = "ok", error: dict[str, Any] | None = None) -> Event:
    return Event(Kind.FINISH, at, number, [outcome, 2, 30, 4, "SELECT 2", error])


SESSION = [
    Event(Kind.OPENED, 0, 0, OPENED),
    request(10, 1, "SELECT $1", [b"bob", None]),
    request(15, 2, "SELECT nothing"),
    rows(20, 1, b"first"),
    finish(30, 1),
    finish(31, 2, "error", {"code": "42P01", "message": "no table", "hint": "make one"}),
    request(40, 3, "SELECT pg_sleep(9)"),
    Event(Kind.NOTE, 50, 0, {"note": "cut"}),
    Event(Kind.CLOSED, 60, 0, {"outcome": "cut", "reason": "revoked"}),
]


def listed(engine: Engine) -> list[ExchangeRecord]:
    with reading(engine) as connection:
        return list(list_exchanges(connection, ExchangeFilter()).items)


def test_a_session_becomes_rows(engine: Engine) -> None:
    indexer = Indexer(engine, {"echo": Echo()})
    for event in SESSION:
        indexer.feed("ses_a", event)
    assert indexer.flush() == 3  # each ended in another way
    one, two, three = listed(engine)
    assert (one.text, one.values, one.output, one.status) == ("SELECT $1", "bob\nNULL", "first", "ok")
    assert (one.started, one.duration, one.rows, one.bytes) == (NOON + 10, 20, 2, 34)
    assert (two.code, two.error, two.output) == ("42P01", "no table\nmake one", "")
    assert (three.text, three.status, three.duration) == ("SELECT pg_sleep(9)", "unknown", 20)
    with reading(engine) as connection:
        session = sessions.get_session(connection, "ses_a")
        run = runs.get_run(connection, "run_a")
        arrived = tail.after(connection, 0).items
    assert session is not None
    assert run is not None
    assert (session.state.value, session.outcome, session.reason, session.closed) == (
        "closed",
        "cut",
        "revoked",
        NOON + 60,
    )
    assert (session.worker, session.opening, session.exchanges) == ("ab" * 16, 3, 3)
    assert (run.agent, str(run.principal), run.grade.value, run.labels) == (
        "bot",
        "ci@api",
        "separated",
        {"k": "v"},
    )
    assert [kind.value for kind, _ in arrived] == ["opened", "exchanges", "exchanges", "exchanges", "closed"]


@pytest.mark.parametrize("cut", range(len(SESSION)))
def test_reading_again_after_a_crash_changes_nothing(engine: Engine, cut: int) -> None:
    crashed = Indexer(engine, {"echo": Echo()})
    for event in SESSION[:cut]:
        crashed.feed("ses_a", event)
        crashed.flush()
    indexer = Indexer(engine, {"echo": Echo()})
    for event in SESSION:
        indexer.feed("ses_a", event)
    indexer.flush()
    assert [(one.number, one.status) for one in listed(engine)] == [(1, "ok"), (2, "error"), (3, "unknown")]


KEY = "ab" * 16
LEAKING = [
    Event(Kind.OPENED, 0, 0, OPENED),
    request(10, 1, "SELECT secrets"),
    Event(Kind.NOTE, 11, 0, {"note": "target", "backend_pid": 7}),
    Event(Kind.NOTE, 15, 1, {"note": "masked", "detector": "secrets.x", "count": 1, "fingerprints": KEY}),
    finish(20, 1),
    request(30, 2, "INSERT secrets"),
    Event(
        Kind.NOTE,
        30,
        2,
        {"note": "masked", "way": "sent", "detector": "secrets.x", "count": 1, "fingerprints": KEY},
    ),
    finish(40, 2),
    Event(Kind.CLOSED, 60, 0, {"outcome": "ended", "reason": ""}),
]


@pytest.mark.parametrize("cut", range(len(LEAKING)))
def test_sightings_are_counted_once_whatever_crashes(engine: Engine, cut: int) -> None:
    crashed = Indexer(engine, {"echo": Echo()})
    for event in LEAKING[:cut]:
        crashed.feed("ses_a", event)
        crashed.flush()
    indexer = Indexer(engine, {"echo": Echo()})
    for event in LEAKING:
        indexer.feed("ses_a", event)
    indexer.flush()
    with reading(engine) as connection:
        (leak,) = list_leaks(connection, LeakFilter()).items
    assert (leak.what, leak.detector, leak.sessions, leak.exchanges) == (KEY, "secrets.x", 1, 2)
    assert leak.asked is not None
    assert leak.asked.text == "SELECT secrets"
    assert [(one.sighting.way, one.sighting.first, one.sighting.exchange) for one in leak.places] == [
        ("received", NOON + 15, 1),
        ("sent", NOON + 30, 2),
    ]


def test_a_note_that_makes_no_sense_costs_its_session_the_live_index_only(engine: Engine) -> None:
    indexer = Indexer(engine, {"echo": Echo()})
    for event in LEAKING[:2]:
        indexer.feed("ses_a", event)
    with pytest.raises(ValueError, match="fingerprint"):
        indexer.feed("ses_a", Event(Kind.NOTE, 15, 1, LEAKING[3].body | {"fingerprints": "hunter2"}))
    for event in LEAKING[4:]:
        indexer.feed("ses_a", event)
    indexer.flush()
    with reading(engine) as connection:
        (leak,) = list_leaks(connection, LeakFilter()).items
    assert [one.sighting.way for one in leak.places] == ["sent"]


def test_an_unknown_protocol_is_indexed_without_decoding(engine: Engine) -> None:
    indexer = Indexer(engine, {})
    for event in SESSION:
        indexer.feed("ses_a", event)
    indexer.flush()
    assert next((one.text, one.values, one.output) for one in listed(engine)) == ("SELECT $1", "", "")


def test_the_reader_is_left_alone_past_the_caps(engine: Engine) -> None:
    echo = Echo()
    indexer = Indexer(engine, {"echo": echo}, IndexSettings(values=4, output=6, text=8))
    indexer.feed("ses_a", SESSION[0])
    indexer.feed("ses_a", request(1, 1, "SELECT long", [b"abcdefgh"]))
    for at in range(2, 10):
        indexer.feed("ses_a", rows(at, 1, b"word"))
    indexer.feed("ses_a", finish(11, 1))
    indexer.flush()
    (only,) = listed(engine)
    assert (only.values, only.output, only.text, only.truncated) == ("abcd", "word\nw", "SELECT l", True)
    assert echo.readers[0].fed.count(Kind.TO_CLIENT) == 2


def test_an_exchange_without_values_or_output_costs_no_decoding(engine: Engine) -> None:
    echo = Echo()
    indexer = Indexer(engine, {"echo": echo})
    indexer.feed("ses_a", SESSION[0])
    indexer.feed("ses_a", request(1, 1, "SET x = 1"))
    indexer.feed("ses_a", finish(2, 1))
    assert echo.readers[0].fed == [Kind.OPENED]


def test_sealed_and_rebuilt(engine: Engine) -> None:
    indexer = Indexer(engine, {"echo": Echo()})
    place = sessions.Place("object", 0, 10, b"root")
    for again in range(2):
        if again:
            indexer.rebuild()
            assert listed(engine) == []
        for event in SESSION:
            indexer.feed("ses_a", event)
        indexer.sealed({"ses_a": (place, NOON + 99)})
        with reading(engine) as connection:
            found = sessions.get_session(connection, "ses_a")
        assert found is not None
        assert (found.place, found.state.value, found.exchanges) == (place, "sealed", 3)


def test_events_before_opened_are_an_error(engine: Engine) -> None:
    with pytest.raises(LookupError, match="before its OPENED"):
        Indexer(engine, {}).feed("ses_x", request(1, 1, "SELECT 1"))


class SkimmingReader(EchoReader):
    """Says when it was skimmed; data that begins with a question mark it can't skim."""

    def skim_values(self, parameters: Sequence[tuple[int, int, bytes | None]]) -> str:
        return "skimmed " + " ".join("NULL" if value is None else value.decode() for *_, value in parameters)

    def skim_output(self, columns: bytes | None, data: bytes, most: int) -> str | None:
        if data.startswith(b"?"):
            return None
        described = "" if columns is None else f" by {columns.decode()}"
        return f"skimmed {data.decode()}{described}"[:most]


class Skimming(Echo):
    def reader(self) -> Reader:
        self.readers.append(SkimmingReader())
        return self.readers[-1]


def data(at: int, number: int, text: bytes, flavor: int = 1, kind: Kind = Kind.TO_CLIENT) -> Event:
    return Event(kind, at, number, [flavor, 1, text])


@pytest.mark.parametrize(
    ("moved", "output"),
    [
        ([], ""),
        ([data(2, 1, b"row")], "skimmed row"),
        ([data(2, 1, b"columns", 3), data(3, 1, b"row")], "skimmed row by columns"),
        ([data(2, 1, b"? row")], "? row"),
        ([data(2, 1, b"one"), data(3, 1, b"two")], "one\ntwo"),
        ([data(2, 1, b"in", 0, Kind.TO_TARGET), data(3, 1, b"out")], "out"),
        ([data(2, 1, b"columns", 3), data(3, 1, b"?one"), data(4, 1, b"two")], "columns\n?one\ntwo"),
        ([data(2, 1, b"columns", 3)], "columns"),
    ],
)
def test_what_is_simple_is_skimmed_and_the_rest_is_read(
    engine: Engine, moved: list[Event], output: str
) -> None:
    skimming = Skimming()
    indexer = Indexer(engine, {"echo": skimming}, IndexSettings(output=40))
    for event in [SESSION[0], request(1, 1, "SELECT $1", [b"v", None]), *moved, finish(9, 1)]:
        indexer.feed("ses_a", event)
    indexer.flush()
    (only,) = listed(engine)
    assert only.output == output
    read_in_full = Kind.REQUEST in skimming.readers[0].fed
    assert only.values == ("v\nNULL" if read_in_full else "skimmed v NULL")
    assert read_in_full == (not output.startswith("skimmed") and bool(moved))


def test_what_was_skimmed_before_is_not_skimmed_again_until_the_reader_has_learnt_something(
    engine: Engine,
) -> None:
    skimming = Skimming()
    indexer = Indexer(engine, {"echo": skimming})
    indexer.feed("ses_a", SESSION[0])
    reader = skimming.readers[0]
    asked: list[bytes] = []
    skim = reader.skim_output

    def counted(columns: bytes | None, data: bytes, most: int) -> str | None:
        asked.append(data)
        return skim(columns, data, most)

    reader.skim_output = counted
    for number, said in enumerate((b"same", b"same", b"? other", b"same", b"same"), 1):
        for event in (request(1, number, "SELECT 1"), data(2, number, said), finish(3, number)):
            indexer.feed("ses_a", event)
    assert asked == [b"same", b"? other", b"same"]


def test_long_data_is_cut_for_the_index(engine: Engine) -> None:
    echo = Echo()
    indexer = Indexer(engine, {"echo": echo}, IndexSettings(output=100_000))
    for event in (SESSION[0], request(1, 1, "COPY"), data(2, 1, b"x" * 300_000), finish(3, 1)):
        indexer.feed("ses_a", event)
    indexer.flush()
    assert len(listed(engine)[0].output) == 64 * 1024


def test_exchanges_with_other_traces_or_details_are_rows_of_their_own(engine: Engine) -> None:
    traces = [f"00-{digit * 32}-{'a' * 16}-01" for digit in "12"]
    facts: list[dict[str, Any]] = [
        {TRACE_PARENT: traces[0]},
        {TRACE_PARENT: traces[1]},
        {TRACE_PARENT: traces[1], "kept": 1},
        {TRACE_PARENT: traces[0].upper(), "kept": 1},
        {"kept": "x" * 5000},
        {},
    ]
    indexer = Indexer(engine, {"echo": Echo()})
    indexer.feed("ses_a", Event(Kind.OPENED, 0, 0, OPENED))
    for again in range(2):
        for at, given in enumerate(facts):
            number = 1 + at + again * len(facts)
            body = ["query", "SELECT 1", [], given, "statement", None, 0]
            indexer.feed("ses_a", Event(Kind.REQUEST, 10 + number, number, body))
            indexer.feed("ses_a", finish(50 + number, number))
    denied = ["query", "SELECT 1", [], {"kept": 2}, "statement", ["deny", "no-ones", "p1", "no"], 0]
    indexer.feed("ses_a", Event(Kind.REQUEST, 90, 90, denied))
    indexer.feed("ses_a", finish(91, 90, "denied"))
    # the details that are too long are left out
    assert indexer.flush() == 6
    found = {one.number: one for one in listed(engine)}
    said = [(str(one.trace)[3:4] if one.trace else "", dict(one.details)) for one in found.values()]
    assert said[:6] == [("1", {}), ("2", {}), ("2", {"kept": 1}), ("", {"kept": 1}), ("", {}), ("", {})]
    assert said[6:12] == said[:6]
    assert found[90].details == {"kept": 2, "verdict": "deny", "rule": "no-ones"}


def test_executions_of_one_statement_are_one_row_and_all_found(engine: Engine) -> None:
    indexer = Indexer(engine, {"echo": Echo()})
    indexer.feed("ses_a", SESSION[0])
    for number in range(1, 101):
        indexer.feed("ses_a", request(number, number, "SELECT $1", [b"value%d" % number]))
        indexer.feed("ses_a", finish(number + 1, number, "error" if number == 50 else "ok"))
    assert indexer.flush() == 2
    found = listed(engine)
    assert [(one.number, one.values) for one in found] == [(n, f"value{n}") for n in range(1, 101)]
    assert [one.number for one in found if one.status == "error"] == [50]
