"""The index beside the archivist: it may be away for a while, and across a restart; it catches up."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bodycam.archive import index, indexing
from bodycam.archive.index import Indexer
from bodycam.archive.indexing import ContainerIndexer, IndexThread, Markers, reindex
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.catalog import deletion, renewal, sessions
from bodycam.catalog.engine import make_engine, reading, writing
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.runs import add_run
from bodycam.catalog.sessions import Opening, SessionState, open_session
from bodycam.model.event import Kind
from bodycam.model.identity import Principal, PrincipalKind, Run
from tests.catalogs import migrated
from tests.unit.archive.house import House, Worker

PRINCIPAL = Principal("local", "ci", PrincipalKind.SERVICE, frozenset())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    migrated(made)
    yield made
    made.dispose()


class Indexed:
    """A house whose archivists index into a catalog."""

    def __init__(self, root: Path, engine: Engine) -> None:
        self.house, self.engine = House(root), engine
        self.worker = Worker(self.house.writer())

    def start(self) -> None:
        keystore = KeyStore(self.house.root / "keystore" / "keys.db", self.house.keys.wrapping)
        self.keystore = keystore
        self.containers = ContainerIndexer(Indexer(self.engine, {}), self.house.store, keystore)
        self.thread = IndexThread(self.containers, Markers(self.house.root / "staging" / "unindexed"))
        self.house.index = self.thread  # type: ignore[assignment]
        self.thread.start()
        self.house.start()

    def stop(self) -> None:
        self.house.stop()
        self.thread.stop()
        self.keystore.close()

    def run(self, exchanges: int) -> str:
        session = self.worker.open()
        for exchange in range(1, exchanges + 1):
            self.worker.query(session, exchange)
        self.worker.close(session)
        self.house.until_sealed(session)
        return session

    def exchanges(self, session: str) -> list[int]:
        with reading(self.engine) as connection:
            wanted = ExchangeFilter(session=session, asides=True)
            return sorted(one.number for one in list_exchanges(connection, wanted, limit=500).items)

    def statuses(self, session: str) -> dict[int, str]:
        with reading(self.engine) as connection:
            page = list_exchanges(connection, ExchangeFilter(session=session, asides=True), limit=500)
            return {one.number: one.status for one in page.items}

    def state(self, session: str) -> SessionState | None:
        with reading(self.engine) as connection:
            found = sessions.get_session(connection, session)
            return None if found is None else found.state


@pytest.fixture
def indexed(tmp_path: Path, engine: Engine) -> Iterator[Indexed]:
    made = Indexed(tmp_path, engine)
    made.start()
    yield made
    made.stop()
    made.worker.die()


def away(*_: object, **__: object) -> None:
    raise OSError("the catalog is away")


def soon(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_sealed_session_is_found_with_its_exchanges(indexed: Indexed) -> None:
    session = indexed.run(3)

    soon(lambda: indexed.state(session) is SessionState.SEALED)

    assert indexed.exchanges(session) == [1, 2, 3]
    assert indexed.thread.backlog() == 0


def test_a_catalog_that_is_away_stops_no_sealing_and_is_caught_up(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "RETRY", 0.05)

    with monkeypatch.context() as patched:
        patched.setattr(index, "writing", away)
        session = indexed.run(3)
        soon(lambda: indexed.thread.failure is not None)
        assert indexed.state(session) is None
        assert indexed.thread.backlog() == 1

    soon(lambda: indexed.state(session) is SessionState.SEALED)
    assert indexed.exchanges(session) == [1, 2, 3]


def test_what_the_last_process_could_not_index_the_next_one_does(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(index, "writing", away)
        session = indexed.run(3)
        indexed.stop()
    assert indexed.state(session) is None

    indexed.start()

    soon(lambda: indexed.state(session) is SessionState.SEALED)
    assert indexed.exchanges(session) == [1, 2, 3]


def test_what_has_no_room_in_the_queue_is_read_from_the_recording(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "QUEUE_BYTES", 0)
    session = indexed.run(3)

    soon(lambda: indexed.state(session) is SessionState.SEALED)

    assert indexed.exchanges(session) == [1, 2, 3]


def test_an_end_that_found_no_room_makes_no_exchange_of_unknown_outcome(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = indexed.worker.open()
    indexed.worker.query(session, 1)
    indexed.worker.put(session, Kind.REQUEST, 2, ["query", "select 2", [], {}, "statement", None, 0])
    indexed.house.until(lambda: not indexed.house.archivist.step())
    with monkeypatch.context() as patched:
        patched.setattr(indexing, "QUEUE_BYTES", 0)
        indexed.worker.put(session, Kind.FINISH, 2, ["ok", 1, 5, 10, "SELECT 1", None])
        indexed.house.until(lambda: not indexed.house.archivist.step())
    indexed.worker.close(session)
    indexed.house.until_sealed(session)

    soon(lambda: indexed.state(session) is SessionState.SEALED)

    assert indexed.statuses(session) == {1: "ok", 2: "ok"}


def test_an_event_that_makes_no_sense_costs_only_its_exchange(indexed: Indexed) -> None:
    bad, good = indexed.worker.open(), indexed.worker.open()
    indexed.worker.query(bad, 1)
    indexed.worker.put(bad, Kind.REQUEST, 2, ["short"])
    indexed.worker.put(bad, Kind.FINISH, 2, ["ok", 1, 5, 10, "SELECT 1", None])
    indexed.worker.put(bad, Kind.REQUEST, 3, {"no": "list"})
    indexed.worker.query(bad, 4)
    indexed.worker.query(good, 1)
    indexed.worker.close(bad)
    indexed.worker.close(good)
    indexed.house.until_sealed(bad, good)

    soon(lambda: indexed.state(good) is SessionState.SEALED and indexed.state(bad) is SessionState.SEALED)

    assert indexed.exchanges(good) == [1]
    assert indexed.exchanges(bad) == [1, 4]
    assert indexed.thread.backlog() == 0


def test_what_is_taken_is_found_while_the_session_goes_on(indexed: Indexed) -> None:
    session = indexed.worker.open()
    for exchange in range(1, 4):
        indexed.worker.query(session, exchange)
        indexed.house.archivist.step()

        soon(lambda exchange=exchange: indexed.exchanges(session) == list(range(1, exchange + 1)))


def test_after_an_upgrade_the_index_is_built_anew_by_itself(indexed: Indexed) -> None:
    wanted = [indexed.run(2), indexed.run(3)]
    going_on = indexed.worker.open()
    indexed.worker.query(going_on, 1)
    soon(lambda: all(indexed.state(session) is SessionState.SEALED for session in wanted))
    indexed.stop()
    deletion.clear_index(indexed.engine)
    with writing(indexed.engine) as connection:
        add_run(connection, Run("run_old", PRINCIPAL, "bot", 1.0), None, 1)
        old = dict.fromkeys(Opening.__slots__, "") | {"id": wanted[0], "run": "run_old"}
        opening = Opening(**{**old, "claims": {}, "opened": 1, "opening": 1})  # type: ignore[arg-type]
        open_session(connection, opening)
        renewal.demand(connection)

    indexed.start()

    soon(lambda: all(indexed.state(session) is SessionState.SEALED for session in wanted))
    assert [indexed.exchanges(session) for session in wanted] == [[1, 2], [1, 2, 3]]
    soon(lambda: indexed.thread.backlog() == 0)
    with reading(indexed.engine) as connection:
        assert not renewal.demanded(connection)
    indexed.worker.close(going_on)
    indexed.house.until_sealed(going_on)
    soon(lambda: indexed.state(going_on) is SessionState.SEALED)
    assert indexed.exchanges(going_on) == [1]


def test_a_container_from_before_a_crash_is_indexed_from_itself(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException): ...

    def dies(name: str) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(indexed.thread, "sealing", dies)
        patched.setattr(index, "writing", away)
        with pytest.raises(Killed):
            session = indexed.run(3)
        indexed.house.crash()
        indexed.thread.stop()
        indexed.keystore.close()
    session = next(iter(indexed.worker.committed))

    indexed.start()

    soon(lambda: indexed.state(session) is SessionState.SEALED)
    assert indexed.exchanges(session) == [1, 2, 3]


def test_reindex_fills_an_empty_catalog(indexed: Indexed, tmp_path: Path) -> None:
    wanted = [indexed.run(2), indexed.run(3)]
    other = make_engine(f"sqlite:///{tmp_path / 'other.db'}")
    migrated(other)
    store = LocalStore(tmp_path / "recordings")
    steps: list[int] = []

    done, faults = reindex(
        ContainerIndexer(Indexer(other, {}), store, indexed.keystore), store.list(), steps.append
    )

    indexed.engine, kept = other, indexed.engine
    assert (done, faults, steps[-1]) == (2, [], 2)
    assert [indexed.exchanges(session) for session in wanted] == [[1, 2], [1, 2, 3]]
    assert {indexed.state(session) for session in wanted} == {SessionState.SEALED}
    indexed.engine = kept
    other.dispose()
