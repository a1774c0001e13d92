"""A session of any length is recorded: its blocks grow, and the last resort is an end that says so."""

import itertools
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from bodycam.archive import builder as building
from bodycam.archive.archivist import ArchiveSettings
from bodycam.archive.blocks import BEHIND, MOST, ROOM, BlockPlan
from bodycam.archive.builder import SessionBuilder
from bodycam.archive.checkpoint import with_largest
from bodycam.archive.format import v1
from bodycam.archive.staging import StagingFile
from bodycam.journal import layout
from bodycam.journal.entry import Entry
from bodycam.model import ids
from bodycam.model.event import Kind
from tests.unit.archive.house import House, Worker, opened, without_times
from tests.unit.archive.journals import edges, flip

INTERVAL = 2.0


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    built = House(tmp_path)
    yield built
    built.stop()


@pytest.fixture
def worker(house: House) -> Iterator[Worker]:
    made = Worker(house.writer())
    yield made
    if not made.writer._closed:
        made.die()


class TestThePlan:
    @pytest.mark.parametrize("size", [1 << 12, 256 * 1024, 8 << 20])
    def test_holds_more_than_any_session_moves_and_lasts_longer_than_any(self, size: int) -> None:
        plan = BlockPlan(size)
        blocks = range(0, MOST - ROOM, 100)
        assert sum(plan.target(count) * 100 for count in blocks) > 7e12
        assert sum(plan.patience(count, INTERVAL) * 100 for count in blocks) > 10 * 365 * 86400
        assert not any(plan.spent(count) for count in blocks)

    def test_starts_small_and_grows_without_leaps(self) -> None:
        plan = BlockPlan(256 * 1024)
        targets = [plan.target(count) for count in range(0, MOST, 1000)]
        assert targets[: len(targets) // 2] == [256 * 1024] * (len(targets) // 2)
        assert max(targets) == v1.MAX_PLAIN
        assert all(after <= 2 * before for before, after in itertools.pairwise(targets))
        assert plan.patience(0, INTERVAL) == INTERVAL
        assert plan.patience(MOST - 1, INTERVAL) == 3600

    def test_its_index_fits_into_its_frame(self) -> None:
        longest = [2**63, 2**32 - 1, 2**32 - 1, 2**63, 2**63, bytes(32)]
        assert MOST * len(cbor2.dumps(longest)) + 9 <= v1.MAX_META
        assert MOST <= v1.MAX_BLOCKS


def built(plan: BlockPlan) -> SessionBuilder:
    session = ids.new_id(ids.SESSION)
    entry = Entry(1, 0, Kind.OPENED, 0, cbor2.dumps(opened(session, bytes(16), 1)))
    made = SessionBuilder.begin((bytes(16), 1), entry, plan, lambda _: None)
    made.add(entry, 1)
    return made


class TestWhenASessionIsStaged:
    def test_first_soon_then_each_interval_and_with_many_blocks_seldom(self, tmp_path: Path) -> None:
        plan = BlockPlan(1 << 20, most=64)
        one = built(plan)
        one.born = 10.0
        one.staging = StagingFile.create(tmp_path, *one.key, one.writer.header)
        assert not one.due(11.0, INTERVAL, 1)
        now, taken = 12.0, []
        for number in range(60):
            pauses = 0
            while not one.due(now, INTERVAL, 1):
                now, pauses = now + INTERVAL, pauses + 1
                assert pauses < 4000
            one.stage(now)
            taken.append(pauses)
            assert not one.due(now + 1e9, INTERVAL, 1), "nothing has come since"
            one.add(Entry(1, 1, Kind.TO_CLIENT, number, b"\x00"), 1)
        assert taken[:32] == [0] + [1] * 31
        assert taken[-1] > 100
        assert taken == sorted(taken)

    def test_and_at_once_when_the_journal_waits_for_it(self, tmp_path: Path) -> None:
        one = built(BlockPlan(1 << 20, most=16))
        one.staging = StagingFile.create(tmp_path, *one.key, one.writer.header)
        for _ in range(9):
            one.stage(100.0)
            one.add(Entry(1, 1, Kind.TO_CLIENT, 0, b"\x00"), 5)
        assert not one.due(100.0 + INTERVAL, INTERVAL, 5 + BEHIND - 1)
        assert one.due(100.0 + INTERVAL, INTERVAL, 5 + BEHIND)

    def test_when_memory_is_full_the_largest_and_those_that_are_due(self) -> None:
        plan = BlockPlan(1 << 20)
        many = [built(plan) for _ in range(5)]
        for number, one in enumerate(many):
            one.key = bytes(16), number
            one._pending = bytearray(10 * (number + 1))
        assert with_largest([], many, 0) == []
        assert with_largest([], many, 60) == [many[4], many[3]]
        assert with_largest([many[0], many[4]], many, 60) == [many[0], many[4]]
        assert with_largest([many[0], many[4]], many, 61) == [many[0], many[4], many[3]]


def lengthen(house: House, worker: Worker, session: str, queries: range, size: int = 1000) -> None:
    for exchange in queries:
        worker.query(session, exchange, size)
        if exchange % 5 == 0 and house.archivist is not None:
            house.archivist.step()


def test_many_times_more_than_its_first_blocks_could_hold_is_recorded(house: House, worker: Worker) -> None:
    house.settings = ArchiveSettings(0.0, 60.0, 0.1, block=4096, most_blocks=64)
    house.start()
    session = worker.open()
    lengthen(house, worker, session, range(1, 1000), 3000)
    worker.close(session)
    house.until_sealed(session)
    assert without_times(house.recordings()[session]) == worker.committed[session]
    assert house.verified() == "self-consistent"


@pytest.fixture
def bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Blocks that can't grow, and few of them."""
    monkeypatch.setattr(v1, "MAX_PLAIN", 8192)
    house.settings = ArchiveSettings(0.0, 0.02, 0.05, block=4096, most_blocks=30)
    return house


def ended_early(house: House, worker: Worker, session: str) -> list[tuple[int, int, Any]]:
    """A recording that holds what was committed up to its end, and says that it is not whole."""
    house.until_sealed(session)
    events = without_times(house.recordings()[session])
    ours = next(n for n, (kind, _, body) in enumerate(events) if kind == Kind.NOTE and "what" in body)
    assert events[:ours] == worker.committed[session][:ours]
    assert ours > 20
    note, *finished, closed = events[ours:]
    assert note[2]["note"] == "truncated"
    assert "can hold no more" in note[2]["what"]
    assert all((kind, body[0]) == (Kind.FINISH, "unknown") for kind, _, body in finished)
    assert (closed[0], closed[2]["outcome"]) == (Kind.CLOSED, "cut")
    assert house.verified() == "self-consistent"
    return finished


def fill(house: House, worker: Worker, session: str) -> None:
    """Write until the recording has room for nothing but its end."""
    archivist = house.archivist
    assert archivist is not None
    archivist.step()
    while ids.raw(session) not in archivist._live or not archivist._live[ids.raw(session)].full:
        worker.put(session, Kind.TO_CLIENT, 0, [0, 0, secrets.token_bytes(1000)])
        archivist.step()


class TestTheLastResort:
    def test_is_an_end_that_says_so_and_stops_nobody(self, bounded: House, worker: Worker) -> None:
        bounded.start()
        session, other = worker.open(), worker.open()
        lengthen(bounded, worker, session, range(1, 400))
        worker.query(other, 1)
        worker.close(other)
        worker.close(session)
        ended_early(bounded, worker, session)
        bounded.until_sealed(other)
        assert without_times(bounded.recordings()[other]) == worker.committed[other]
        bounded.until(lambda: len(list(worker.writer.folder.glob("*.seg"))) <= 3)
        worker.end()
        bounded.until(lambda: not worker.writer.folder.exists())

    def test_exchanges_that_are_open_get_an_unknown_end(self, bounded: House, worker: Worker) -> None:
        bounded.start()
        session = worker.open()
        for exchange in (1, 2):
            worker.put(session, Kind.REQUEST, exchange, ["query", "copy", [], {}, "statement", None, 0])
        for _ in range(400):
            worker.put(session, Kind.TO_CLIENT, 2, [0, 0, secrets.token_bytes(1000)])
        assert [exchange for _, exchange, _ in ended_early(bounded, worker, session)] == [1, 2]

    def test_comes_once_whenever_the_archivist_is_killed(self, bounded: House, worker: Worker) -> None:
        session = worker.open()
        bounded.start()
        for begin in range(1, 300, 30):
            lengthen(bounded, worker, session, range(begin, begin + 30))
            bounded.crash()
            bounded.start()
        worker.die()
        ended_early(bounded, worker, session)

    def test_leaves_room_for_the_end_of_a_worker_that_dies(self, bounded: House, worker: Worker) -> None:
        bounded.start()
        session = worker.open()
        fill(bounded, worker, session)
        worker.die()
        bounded.until_sealed(session)
        events = without_times(bounded.recordings()[session])
        assert events[: len(worker.committed[session])] == worker.committed[session]
        assert events[-1][2]["outcome"] == "interrupted"

    def test_damage_in_the_journal_ends_what_is_full(self, bounded: House, worker: Worker) -> None:
        bounded.start()
        session = worker.open()
        fill(bounded, worker, session)
        bounded.until(lambda: bounded.archivist is not None and not bounded.archivist._unstaged())
        bounded.crash()
        worker.query(session, 1)
        path = worker.writer.folder / layout.segment_name(int(worker.writer.stats()["generation"]))
        flip(path, edges(path)[-3] + 40)
        worker.die()
        bounded.start()
        ended_early(bounded, worker, session)

    def test_what_was_staged_under_a_larger_plan_is_sealed_too(self, bounded: House, worker: Worker) -> None:
        bounded.settings = ArchiveSettings(0.0, 0.02, 0.05, block=4096, most_blocks=200)
        bounded.start()
        session = worker.open()
        lengthen(bounded, worker, session, range(1, 300))
        bounded.until(lambda: bounded.archivist is not None and not bounded.archivist._unstaged())
        bounded.crash()
        bounded.settings = ArchiveSettings(0.0, 0.02, 0.05, block=4096, most_blocks=30)
        bounded.start()
        worker.query(session, 300)
        bounded.until_sealed(session)
        committed = worker.committed[session]
        assert without_times(bounded.recordings()[session]) == committed[: len(committed) - 3]
        assert bounded.verified() == "self-consistent"


def test_a_long_staging_file_is_taken_up_block_by_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = BlockPlan(4096)
    one = built(plan)
    one.staging = StagingFile.create(tmp_path, *one.key, one.writer.header)
    for number in range(50):
        one.add(Entry(1, 1, Kind.TO_CLIENT, number, cbor2.dumps([1, 1, bytes(3000)])), 1)
        one.stage(0.0)
    held, most = set[int](), 0
    whole = StagingFile.blocks

    def counted(staging: StagingFile) -> Iterator[bytes]:
        nonlocal most
        for number, block in enumerate(whole(staging)):
            held.add(number)
            most = max(most, len(held))
            yield block
            held.discard(number)

    monkeypatch.setattr(StagingFile, "blocks", counted)
    found = StagingFile.found(one.staging.path)
    assert found is not None
    again = building.resume(found[0], one.key, one.data_key, plan)
    assert again is not None
    assert again.writer.entries == one.writer.entries
    assert again.opened == one.opened
    assert most <= 2
