"""What a builder writes can be read by anybody: times, numbers and totals as they came, whatever their width."""

from pathlib import Path

import cbor2
import pytest

from bodycam.archive.blocks import BlockPlan
from bodycam.archive.builder import SessionBuilder, resume
from bodycam.archive.format import v1
from bodycam.archive.staging import StagingFile
from bodycam.journal.entry import Entry
from bodycam.model import ids
from bodycam.model.event import Kind
from tests.unit.archive.house import opened

BLOCK = 4096
WORKER = b"\1" * 16
SECOND = 1_000_000_000


def builder(block: int = BLOCK) -> SessionBuilder:
    body = cbor2.dumps(opened(ids.new_id(ids.SESSION), WORKER, 1))
    entry = Entry(1, 0, Kind.OPENED, 5 * SECOND, body)
    made = SessionBuilder.begin((WORKER, 1), entry, BlockPlan(block), lambda _: None)
    made.add(entry, 1)
    return made


def put(made: SessionBuilder, kind: int, seconds: float, exchange: int, body: object) -> int:
    return made.add(Entry(1, exchange, kind, 5 * SECOND + int(seconds * SECOND), cbor2.dumps(body)), 1)


def request(text: str) -> list[object]:
    return ["query", text, [], {}, "statement", None, 0]


def test_times_and_numbers_of_any_width_are_read_back() -> None:
    made = builder()
    hour = 3600.0
    wanted = [(0, 0)]
    for seconds, exchange in ((0, 1), (0.000024, 23), (1, 24), (hour, 70_000), (2 * hour, 2**32 - 1)):
        assert put(made, Kind.REQUEST, seconds, exchange, request("select 1")) == int(seconds * 1_000_000)
        wanted.append((int(seconds * 1_000_000), exchange))

    assert [(at, exchange) for _, at, exchange, _ in made.events()] == wanted


def test_kinds_of_a_later_version_are_kept() -> None:
    made = builder()
    put(made, 100, 1, 3, ["who knows"])

    assert list(made.events())[-1] == [100, 1_000_000, 3, ["who knows"]]


def test_time_never_goes_back() -> None:
    made = builder()

    assert put(made, Kind.REQUEST, 2, 1, request("select 1")) == 2_000_000
    assert put(made, Kind.REQUEST, 1, 2, request("select 2")) == 2_000_000
    assert put(made, Kind.NOTE, 3, 0, {"note": "cancel"}) == 3_000_000


def test_a_block_says_the_times_of_its_own_events() -> None:
    made = builder()
    for second in range(1, 40):
        put(made, Kind.REQUEST, second, second, request("x" * 300))
    put(made, Kind.REQUEST, 50, 50, request("x" * 3 * BLOCK))
    put(made, Kind.REQUEST, 60, 60, request("short"))
    made.cut_block()

    events = list(made.events())
    assert len(made.writer.entries) > 3
    for entry in made.writer.entries:
        mine, events = events[: entry.events], events[entry.events :]
        assert (entry.first_at, entry.last_at) == (mine[0][1], mine[-1][1])
    assert events == []


def test_totals_are_the_same_after_a_restart(tmp_path: Path) -> None:
    made = builder()
    for exchange in range(1, 30):
        put(made, Kind.REQUEST, exchange, exchange, request("select 1"))
    for exchange in range(1, 29):
        put(made, Kind.FINISH, 40, exchange, ["ok", 2, 100 + exchange % 2, 10, "SELECT 2", None])
    put(made, Kind.NOTE, 41, 0, {"note": "truncated", "what": "a test"})
    made.covered = 17
    made.staging = StagingFile.create(tmp_path, *made.key, made.writer.header)
    made.stage(1.0)
    assert (made.unstaged, made.oldest) == (0, None)

    found = StagingFile.found(next(tmp_path.iterdir()))
    assert found is not None
    again = resume(found[0], made.key, made.data_key, BlockPlan(BLOCK))

    assert again is not None
    assert again.progress == made.progress
    assert again.progress.totals == {
        "exchanges": 29,
        "rows": 56,
        "bytes_to_client": 2814,
        "bytes_to_target": 280,
    }
    assert (again.covered, again.progress.open_exchanges, again.progress.markers) == (17, {29}, ["truncated"])
    assert list(again.events()) == list(made.events())


@pytest.mark.parametrize("body", [["ok"], ["ok", "many", 1, 1, None, None], "ok", None])
def test_an_end_that_makes_no_sense_is_refused_and_leaves_nothing(body: object) -> None:
    made = builder()
    put(made, Kind.REQUEST, 1, 1, request("select 1"))

    with pytest.raises((ValueError, TypeError)):
        put(made, Kind.FINISH, 2, 1, body)

    assert [kind for kind, *_ in made.events()] == [Kind.OPENED, Kind.REQUEST]
    assert made.progress.totals["rows"] == 0


def test_an_event_longer_than_a_block_may_be_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    made = builder()
    monkeypatch.setattr(v1, "MAX_PLAIN", 10_000)
    put(made, Kind.REQUEST, 1, 1, request("x" * 10_001))

    kind, at, exchange, body = list(made.events())[-1]

    assert (kind, at, exchange) == (Kind.NOTE, 1_000_000, 1)
    assert (body["note"], body["kind"]) == ("truncated", Kind.REQUEST)
    assert made.progress.markers == ["truncated"]


def test_blocks_near_the_longest_never_become_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(v1, "MAX_PLAIN", 10_000)
    made = builder(9_000)
    for exchange in range(1, 20):
        put(made, Kind.REQUEST, exchange, exchange, request("x" * 4_000))

    assert [exchange for _, _, exchange, _ in made.events()] == list(range(20))
    assert made.progress.markers == []
