"""Journals become sealed recordings: each committed event in exactly one, in order, and the ledger agrees."""

import errno
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from bodycam.archive import ledger
from bodycam.archive.archivist import ArchiveSettings
from bodycam.archive.format import v1
from bodycam.archive.store import StoreUnavailable
from bodycam.archive.store.local import LocalStore
from bodycam.journal.layout import RecordType
from bodycam.model import ids
from bodycam.model.event import Kind
from tests.unit.archive.house import House, Worker, without_times


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


def test_a_short_session_is_sealed_as_it_was_committed(house: House, worker: Worker) -> None:
    house.start()
    session = worker.open()
    worker.query(session, 1)
    worker.close(session)

    house.until_sealed(session)

    assert without_times(house.recordings()[session]) == worker.committed[session]
    assert house.verified() == "self-consistent"


def test_a_long_session_lets_its_journal_segments_go_while_it_is_open(house: House, worker: Worker) -> None:
    house.start()
    session = worker.open()
    for exchange in range(1, 1500):
        worker.query(session, exchange, 300)
        if exchange % 50 == 0:
            house.archivist.step()
    house.until(lambda: len(list(worker.writer.folder.glob("*.seg"))) <= 3)
    assert not house.archivist.is_sealed(ids.raw(session))

    worker.close(session)
    house.until_sealed(session)

    assert without_times(house.recordings()[session]) == worker.committed[session]
    assert house.verified() == "self-consistent"


def test_a_worker_that_died_leaves_interrupted_sessions(house: House, worker: Worker) -> None:
    house.start()
    session = worker.open()
    worker.query(session, 1)
    worker.put(session, Kind.REQUEST, 2, ["query", "select 2", [], {}, "statement", None, 0])
    worker.die()

    house.until_sealed(session)

    events = without_times(house.recordings()[session])
    assert events[: len(worker.committed[session])] == worker.committed[session]
    noted, finished, closed = events[len(worker.committed[session]) :]
    assert noted[2]["note"] == "interrupted"
    assert (finished[0], finished[1], finished[2][0]) == (Kind.FINISH, 2, "unknown")
    assert closed[2]["outcome"] == "interrupted"
    house.until(lambda: not worker.writer.folder.exists())


def test_a_thousand_short_sessions_share_few_containers(house: House, worker: Worker) -> None:
    house.settings = ArchiveSettings(seal_interval=0.2)
    house.start()
    sessions = [worker.open() for _ in range(1000)]
    for session in sessions:
        worker.query(session, 1)
        worker.close(session)

    house.until_sealed(*sessions)

    assert len(house.index.containers) < 10
    recordings = house.recordings()
    assert {one: without_times(recordings[one]) for one in sessions} == worker.committed


def test_a_journal_closed_in_order_goes_once_its_writer_is_gone(house: House, worker: Worker) -> None:
    house.start()
    worker.writer._mark(RecordType.CLOSED)  # what `close` writes first, while it still holds the lock
    for _ in range(60):
        house.archivist.step()
        time.sleep(0.005)
    assert worker.writer.folder.exists()

    worker.die()

    house.until(lambda: not worker.writer.folder.exists())


def test_after_a_stop_an_open_session_goes_on(house: House, worker: Worker) -> None:
    house.start()
    session = worker.open()
    for exchange in range(1, 40):
        worker.query(session, exchange, 1000)
    house.until(lambda: any(house.root.glob("staging/*.part")))
    house.stop()
    for exchange in range(40, 80):
        worker.query(session, exchange, 1000)

    house.start()
    worker.close(session)
    house.until_sealed(session)

    assert without_times(house.recordings()[session]) == worker.committed[session]
    assert house.verified() == "self-consistent"
    assert not list(house.root.glob("staging/*.part"))


def test_a_live_session_is_read_up_to_its_last_event(house: House, worker: Worker) -> None:
    house.start()
    session = worker.open()
    for exchange in range(1, 40):
        worker.query(session, exchange, 1000)
    house.until(lambda: any(house.root.glob("staging/*.part")))
    worker.query(session, 40)
    house.archivist.step()

    events = house.archivist.live(ids.raw(session))

    assert events is not None
    assert without_times(events) == worker.committed[session]


def test_an_id_that_is_taken_does_not_harm_the_recording_that_has_it(house: House, worker: Worker) -> None:
    house.start()
    session = worker.open()
    worker.close(session)
    house.until_sealed(session)
    first = list(worker.committed.pop(session))

    worker.open(session)
    worker.numbers[session] = 2
    house.archivist.step()
    worker.writer.append(2, 0, Kind.CLOSED, b"\xa1gourcome".replace(b"gourcome", b"goutcomeeended"))
    worker.writer.commit()
    house.until(lambda: house.archivist.sealed_total == 2)

    recordings = house.recordings()
    assert len(recordings) == 2
    assert without_times(recordings[session]) == first
    assert house.verified() == "self-consistent"


class Failing(LocalStore):
    """A store that fails a number of times, before or after it did its work."""

    def __init__(self, folder: Path, failures: int, *, afterwards: bool) -> None:
        super().__init__(folder)
        self.failures, self.afterwards = failures, afterwards

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        self.failures -= 1
        if self.failures < 0:
            super().put(name, parts)
            return
        if self.afterwards:
            super().put(name, parts)
            self.failures = 0
        raise StoreUnavailable("the disk is away")


@pytest.mark.parametrize("afterwards", [False, True])
def test_a_store_that_fails_gets_each_session_once(tmp_path: Path, afterwards: bool) -> None:
    house = House(tmp_path, Failing(tmp_path / "recordings", 3, afterwards=afterwards))
    worker = Worker(house.writer())
    house.start()
    sessions = [worker.open() for _ in range(3)]
    for session in sessions:
        worker.query(session, 1)
        worker.close(session)
    house.until(lambda: house.archivist.status()["store_failure"] is not None)

    house.until_sealed(*sessions)

    recordings = house.recordings()
    assert {one: without_times(recordings[one]) for one in sessions} == worker.committed
    assert house.archivist.status()["store_failure"] is None
    assert house.verified() == "self-consistent"
    worker.die()


class FullDisk:
    """Writes to the ledger, which fail while the disk is full, the first of them halfway."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full, self._write = False, ledger._write
        monkeypatch.setattr(ledger, "_write", self)

    def __call__(self, descriptor: int, data: bytes, position: int) -> None:
        if self.full:
            self._write(descriptor, data[: len(data) // 2], position)
            raise OSError(errno.ENOSPC, "No space left on device")
        self._write(descriptor, data, position)


@pytest.mark.parametrize("amid", ["opening", "sealing"])
def test_a_ledger_that_can_t_be_written_waits_and_nothing_is_sealed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, amid: str
) -> None:
    house, disk = House(tmp_path), FullDisk(monkeypatch)
    archivist, worker = house.start(), Worker(house.writer())
    disk.full = amid == "opening"
    session = worker.open()
    worker.query(session, 1)
    if amid == "sealing":
        house.until(lambda: archivist.ledger.size > 0)
        disk.full = True
    worker.close(session)

    house.until(lambda: archivist.status()["ledger_failure"] is not None)
    size = archivist.ledger.size
    for _ in range(200):
        archivist.step()
    assert (archivist.ledger.size, archivist.is_sealed(ids.raw(session))) == (size, False)
    assert list((house.root / "journal").iterdir()), "its journal is still there"
    assert archivist.status()["ledger_failure"] == "[Errno 28] No space left on device"

    disk.full = False
    house.until_sealed(session)

    assert archivist.status()["ledger_failure"] is None
    assert {session: without_times(house.recordings()[session])} == worker.committed
    assert house.verified() == "self-consistent"
    worker.die()


def test_a_crash_while_the_ledger_can_t_be_written_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, disk = House(tmp_path), FullDisk(monkeypatch)
    archivist, worker = house.start(), Worker(house.writer())
    session = worker.open()
    house.until(lambda: archivist.ledger.size > 0)
    disk.full = True
    worker.query(session, 1)
    worker.close(session)
    house.until(lambda: archivist.status()["ledger_failure"] is not None)
    disk.full = False
    house.crash()

    house.start()
    house.until_sealed(session)

    assert {session: without_times(house.recordings()[session])} == worker.committed
    assert house.verified() == "self-consistent"
    worker.die()
    house.stop()


def test_an_event_that_no_block_can_hold_is_marked_and_stops_nobody(
    house: House, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # no journal of this version takes so long an event; one of another version might
    monkeypatch.setattr(v1, "MAX_PLAIN", 100_000)
    house.start()
    session, other = worker.open(), worker.open()
    worker.put(session, Kind.REQUEST, 1, ["query", "x" * 100_001, [], {}, "statement", None, 0])
    worker.close(session)
    worker.query(other, 1)
    worker.close(other)

    house.until_sealed(session, other)

    recordings = house.recordings()
    assert without_times(recordings[other]) == worker.committed[other]
    kind, exchange, note = without_times(recordings[session])[1]
    assert (kind, exchange, note["note"], note["kind"]) == (Kind.NOTE, 1, "truncated", Kind.REQUEST)


def test_staging_without_its_journal_is_sealed_as_interrupted(house: House, worker: Worker) -> None:
    house.start()
    session = worker.open()
    for exchange in range(1, 40):
        worker.query(session, exchange, 1000)
    house.until(
        lambda: any(house.root.glob("staging/*.part")) and house.archivist.status()["unstaged_bytes"] == 0
    )
    house.stop()
    worker.die()
    shutil.rmtree(worker.writer.folder)

    house.start()
    house.until_sealed(session)

    events = without_times(house.recordings()[session])
    assert events[: len(worker.committed[session])] == worker.committed[session]
    assert events[-1][2]["outcome"] == "interrupted"


def test_a_second_archivist_is_kept_away(house: House) -> None:
    house.start()
    with pytest.raises(Exception, match=r"in use|unavailable"):
        House(house.root).start()


class Hanging(LocalStore):
    """A store that answers nothing until it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.released = threading.Event()

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        assert self.released.wait(30)
        super().put(name, parts)


def test_a_store_that_hangs_holds_up_neither_openings_nor_the_journal(tmp_path: Path) -> None:
    store = Hanging(tmp_path / "recordings")
    house = House(tmp_path, store, ArchiveSettings(0.0, 0.05, 0.1, block=4096, memory=64 * 1024))
    worker = Worker(house.writer())
    house.start()
    for _ in range(150):
        session = worker.open()
        worker.query(session, 1, 2000)
        worker.close(session)
        house.archivist.step()
    house.until(lambda: house.archivist.ledger.size >= 150)
    house.until(lambda: house.archivist.status()["unstaged_bytes"] < 64 * 1024)
    assert house.archivist.sealed_total == 0

    store.released.set()
    house.until_sealed(*worker.committed)

    recordings = house.recordings()
    assert {one: without_times(events) for one, events in recordings.items()} == worker.committed
    assert house.verified() == "self-consistent"
    worker.die()
    house.stop()


def test_events_that_make_no_sense_are_marked_and_the_other_sessions_go_on(
    house: House, worker: Worker
) -> None:
    house.start()
    bad, good = worker.open(), worker.open()
    worker.put(bad, Kind.FINISH, 1, ["short"])
    worker.put(bad, Kind.NOTE, 0, {"note": []})
    worker.put(bad, Kind.CLOSED, 0, "not a map")
    worker.query(good, 1)
    worker.close(good)

    house.until_sealed(good)

    assert without_times(house.recordings()[good]) == worker.committed[good]
    assert house.archivist.status()["damages"] == 3
    worker.die()
    house.until_sealed(bad)
    notes = [body["note"] for kind, _, body in without_times(house.recordings()[bad]) if kind == Kind.NOTE]
    assert notes[:3] == ["lost-tail"] * 3
