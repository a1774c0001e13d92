"""The index beside the archivist: it may be away for a while, and across a restart; it catches up."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bodycam.archive import indexing
from bodycam.archive.index import Indexer
from bodycam.archive.indexing import ContainerIndexer, IndexThread, reindex
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.catalog import sessions
from bodycam.catalog.engine import make_engine, reading
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.schema import migrate
from bodycam.catalog.sessions import SessionState
from tests.unit.archive.house import House, Worker


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = make_engine(f"sqlite:///{tmp_path / 'catalog.db'}")
    migrate(made)
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
        self.thread = IndexThread(self.containers, self.house.root / "staging" / "unindexed")
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

    def away() -> int:
        raise OSError("the catalog is away")

    with monkeypatch.context() as patched:
        patched.setattr(indexed.containers.indexer, "flush", away)
        session = indexed.run(3)
        soon(lambda: indexed.thread.failure is not None)
        assert indexed.state(session) is None
        assert indexed.thread.backlog() == 1

    soon(lambda: indexed.state(session) is SessionState.SEALED)
    assert indexed.exchanges(session) == [1, 2, 3]


def test_what_the_last_process_could_not_index_the_next_one_does(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> int:
        raise OSError("the catalog is away")

    with monkeypatch.context() as patched:
        patched.setattr(indexed.containers.indexer, "flush", away)
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


def test_a_container_from_before_a_crash_is_indexed_from_itself(
    indexed: Indexed, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException): ...

    def dies(name: str) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(indexed.thread, "sealing", dies)
        patched.setattr(indexed.containers.indexer, "flush", lambda: 0)
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
    migrate(other)
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
