"""A house with a catalog and a keeper, whose clock is the test's."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from bodycam.archive import deletions
from bodycam.archive.calendar import Calendar
from bodycam.archive.due import Proposals
from bodycam.archive.index import Indexer
from bodycam.archive.indexing import ContainerIndexer, IndexThread, Markers
from bodycam.archive.keeper import Applied, Keeper
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.removal import Removal
from bodycam.archive.store import Store
from bodycam.archive.verify import Verifier
from bodycam.catalog import sessions
from bodycam.catalog.engine import make_engine, reading
from bodycam.catalog.exchanges import ExchangeFilter
from bodycam.catalog.search import search
from bodycam.config import parse
from bodycam.config.retention import Retention
from bodycam.model import ids
from bodycam.model.event import Kind
from tests.catalogs import migrated
from tests.unit.archive.house import House, Worker, opened

DAY = 86_400.0


def rules(text: str) -> Sequence[Retention]:
    """The rules of a list as the settings have it."""
    return parse(f"retention: {text}", file="t", folder=Path("/x")).retention


class Clock:
    """Wall and counting clock; `pass_` lets time go by on both, `jump` turns the wall clock alone."""

    def __init__(self) -> None:
        self.wall = self.counted = time.time()

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.counted += seconds

    def jump(self, seconds: float) -> None:
        self.wall += seconds

    def calendar(self, newest: int) -> Calendar:
        return Calendar(newest, lambda: self.wall, lambda: self.counted)


class Kept:
    """All of an archivist process but its socket; `start` and `crash` as often as a test likes."""

    def __init__(self, root: Path, store: Store | None = None, url: str = "") -> None:
        self.house, self.clock = House(root, store), Clock()
        self.url = url or f"sqlite:///{root / 'catalog.db'}"
        self.rules: Sequence[Retention] = ()
        self.worker = Worker(self.house.writer())
        self.engine: Engine = make_engine(self.url)
        migrated(self.engine)

    def start(self) -> None:
        house = self.house
        self.keystore = KeyStore(house.root / "keystore" / "keys.db", house.keys.wrapping)
        self.markers = Markers(house.root / "staging" / "unindexed")
        self.containers = ContainerIndexer(Indexer(self.engine, {}), house.store, self.keystore)
        self.index = IndexThread(self.containers, self.markers)
        house.index = self.index  # type: ignore[assignment]
        archivist = house.start()
        self.index.start()
        ledger = house.root / "ledger"
        self.file = deletions.DeletionFile(ledger)
        self.keeper = Keeper(
            archivist,
            removal=Removal(archivist, self.file, house.store, self.keystore, self.engine),
            proposals=Proposals(self.engine, house.store, self.keystore),
            store=house.store,
            keystore=self.keystore,
            engine=self.engine,
            records=lambda: deletions.read(ledger),
            rules=lambda: self.rules,
            unindexed=self.markers.names,
            interval=3600.0,
            calendar=self.clock.calendar,
        )

    def crash(self) -> None:
        """Let go of everything as the kernel does."""
        self.house.crash()
        self._let_go()

    def stop(self) -> None:
        self.house.stop()
        self._let_go()

    def _let_go(self) -> None:
        self.index.stop()
        self.file.close()
        self.keystore.close()

    def end(self) -> None:
        self.worker.die()
        self.engine.dispose()

    def apply(self, *actor: str, **more: Any) -> Applied:
        return self.keeper.apply(*actor, **more)

    def record(self, *texts: str, **target: Any) -> list[str]:
        """A session for each text, all in one container, sealed and indexed."""
        found = []
        for text in texts:
            found.append(self.open(**target))
            self.say(found[-1], text)
        for session in found:
            self.worker.close(session)
        self.house.until_sealed(*found)
        self.settle(*found)
        return found

    def open(self, **target: Any) -> str:
        session = ids.new_id(ids.SESSION)
        self.worker.numbers[session] = number = len(self.worker.numbers) + 1
        body = opened(session, self.worker.writer.incarnation, number)
        body["agent"] = target.pop("agent", body["agent"])
        body["target"] |= target
        self.worker.put(session, Kind.OPENED, 0, body)
        return session

    def say(self, session: str, text: str) -> None:
        asked = ["query", f"select '{text}'", [], {}, "statement", None, 0]
        self.worker.put(session, Kind.REQUEST, 1, asked)
        self.worker.put(session, Kind.FINISH, 1, ["ok", 1, 10, 10, "SELECT 1", None])

    def settle(self, *names: str) -> None:
        """Wait until the index has them as sealed, and has nothing left to read."""
        deadline = time.monotonic() + 20
        while self.markers.count() or not all(self.row(one) is not None for one in names):
            assert time.monotonic() < deadline
            time.sleep(0.01)

    # -- what there is -----------------------------------------------------------------------------------

    def row(self, session: str) -> sessions.SessionRecord | None:
        with reading(self.engine) as connection:
            found = sessions.get_session(connection, session)
        return found if found is not None and found.state is sessions.SessionState.SEALED else None

    def has_key(self, session: str) -> bool:
        try:
            self.keystore.get(ids.raw(session))
        except KeyGone:
            return False
        return True

    def found(self, word: str) -> list[str]:
        with reading(self.engine) as connection:
            page = search(connection, word, ExchangeFilter())
            return [hit.exchange.session for hit in page.items]

    def objects(self) -> list[str]:
        return list(self.house.store.list())

    def verified(self) -> dict[str, Any]:
        """The report of verification; faults fail."""
        key = self.house.keys.signing.public_key()
        report = Verifier(self.house.root / "ledger", self.house.store, key, pinned=False).run()
        assert not report.findings, report.findings
        return report.to_plain()

    def bytes_with(self, text: str) -> list[str]:
        """Files of the catalog that hold these bytes."""
        names = sorted(self.house.root.glob("catalog.db*"))
        return [file.name for file in names if text.encode() in file.read_bytes()]
