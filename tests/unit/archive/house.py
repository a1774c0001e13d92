"""An archivist with real journal, ledger, key store and local store in a temporary folder."""

import asyncio
import os
import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cbor2

from bodycam.archive import keys
from bodycam.archive.archivist import ArchiveSettings, Archivist, Folders
from bodycam.archive.builder import SessionBuilder, Taken
from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Ledger
from bodycam.archive.sealing import Sealed, Sealer
from bodycam.archive.store import Store
from bodycam.archive.store.local import LocalStore
from bodycam.archive.verify import Verifier
from bodycam.journal.settings import JournalSettings
from bodycam.journal.writer import JournalWriter
from bodycam.model import ids
from bodycam.model.event import Kind

SEGMENT = 64 * 1024
QUICK = ArchiveSettings(seal_interval=0.0, checkpoint_interval=0.05, head_interval=0.1, block=4096)


class NoIndex:
    """An index that keeps nothing but what it was told of containers."""

    def __init__(self) -> None:
        self.containers: list[str] = []

    def taken(self, events: Taken) -> None: ...

    def missed(self, builder: SessionBuilder) -> None: ...

    def sealing(self, name: str) -> None: ...

    def sealed(self, sealed: Sealed) -> None:
        self.containers.append(sealed.name)

    def backlog(self) -> int:
        return 0


class House:
    """All that a gateway has on its disk, and archivists over it one after another."""

    def __init__(self, root: Path, store: Store | None = None, settings: ArchiveSettings = QUICK) -> None:
        self.root, self.settings = root, settings
        if not (root / "keys").exists():
            keys.generate(root / "keys")
        self.keys = keys.load_archivist(root / "keys")
        self.store = store or LocalStore(root / "recordings")
        self.index = NoIndex()
        self.archivist: Archivist | None = None
        self.keystore: KeyStore | None = None

    def start(self) -> Archivist:
        """An archivist that has taken up what is there."""
        archivist = self.make()
        archivist.recover()
        return archivist

    def make(self) -> Archivist:
        """An archivist that has not begun."""
        self.keystore = KeyStore(self.root / "keystore" / "keys.db", self.keys.wrapping)
        staging = self.root / "staging"
        self.archivist = Archivist(
            Folders(journal=self.root / "journal", staging=staging),
            journal_key=self.keys.journal,
            ledger=Ledger(self.root / "ledger", self.keys.signing),
            keystore=self.keystore,
            sealer=Sealer(staging / "intent", self.store, self.keystore, self.keys.signing),
            index=self.index,
            settings=self.settings,
        )
        return self.archivist

    def stop(self) -> None:
        """Stop in order."""
        if self.archivist is not None and self.keystore is not None:
            self.archivist.close()
            self.keystore.close()
            self.archivist = self.keystore = None

    def crash(self) -> None:
        """Let go of all files as the kernel does; nothing is brought to an end."""
        archivist, keystore = self.archivist, self.keystore
        assert archivist is not None
        assert keystore is not None
        archivist._shipping._thread.shutdown(wait=True)
        for tail in archivist._tails.values():
            tail.close()
        ledger = archivist.ledger
        ledger._pending.clear()
        ledger.close()
        os.close(archivist._own)
        keystore.close()
        self.archivist = self.keystore = None

    def until(self, done: Callable[[], bool], seconds: float = 20) -> None:
        """Step until `done`."""
        assert self.archivist is not None
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.archivist.status()
            if not self.archivist.step():
                time.sleep(0.002)

    def until_sealed(self, *sessions: str) -> None:
        archivist = self.archivist
        assert archivist is not None
        self.until(lambda: all(archivist.is_sealed(ids.raw(session)) for session in sessions))

    def writer(self, **settings: Any) -> JournalWriter:
        incarnation = os.urandom(16)
        chosen = {"segment_bytes": SEGMENT, "max_bytes": 4096 * SEGMENT, "disk_reserve": 0, **settings}
        return JournalWriter.create(
            self.root / "journal" / incarnation.hex(),
            incarnation=incarnation,
            recipient=self.keys.journal.public_key(),
            settings=JournalSettings(**chosen),
        )

    def recordings(self) -> dict[str, list[list[Any]]]:
        """Every event of every sealed session; a session in two places fails."""
        keystore = KeyStore(self.root / "keystore" / "keys.db", self.keys.wrapping)
        store = LocalStore(self.root / "recordings")
        found: dict[str, list[list[Any]]] = {}
        for name in store.list():

            def read(at: int, size: int, name: str = name) -> bytes:
                return store.get_range(name, at, size)

            for place in read_footer(read, store.size(name))[0]:
                session = ids.session_id(place.session)
                assert session not in found, f"{session} is sealed twice"
                key = keystore.get(place.session)
                found[session] = list(SessionReader(read, place.offset, place.length).events(key))
        keystore.close()
        return found

    def verified(self) -> str:
        """The verdict of verification; faults fail."""
        report = Verifier(
            self.root / "ledger",
            LocalStore(self.root / "recordings"),
            self.keys.signing.public_key(),
            pinned=False,
        ).run()
        assert not report.findings, report.findings
        return report.state.value


class Worker:
    """Writes sessions into a journal as a gateway's worker does, and remembers what it committed."""

    def __init__(self, writer: JournalWriter) -> None:
        self.writer = writer
        self.numbers: dict[str, int] = {}
        self.committed: dict[str, list[tuple[int, int, Any]]] = defaultdict(list)

    def open(self, session: str | None = None) -> str:
        session = session or ids.new_id(ids.SESSION)
        self.numbers[session] = len(self.numbers) + 1
        self.put(session, Kind.OPENED, 0, opened(session, self.writer.incarnation, self.numbers[session]))
        return session

    def query(self, session: str, exchange: int, size: int = 100) -> None:
        self.put(
            session, Kind.REQUEST, exchange, ["query", f"select {exchange}", [], {}, "statement", None, 0]
        )
        self.put(session, Kind.TO_CLIENT, exchange, [1, 1, secrets.token_bytes(size)])
        self.put(session, Kind.FINISH, exchange, ["ok", 1, size, 10, "SELECT 1", None])

    def close(self, session: str) -> None:
        self.put(session, Kind.CLOSED, 0, {"outcome": "ended", "reason": "", "unsent_to_client": 0})

    def put(self, session: str, kind: Kind, exchange: int, body: Any) -> None:
        self.writer.append(self.numbers[session], exchange, kind, cbor2.dumps(body))
        self.writer.commit()
        self.committed[session].append((int(kind), exchange, body))

    def die(self) -> None:
        """Let go of everything as the kernel does for a process that was killed."""
        writer = self.writer
        writer._closed = True
        writer._supply._pool.shutdown(wait=True)
        coming = writer._supply._coming
        if coming is not None and coming.exception() is None:
            coming.result().close()
        writer._syncer.close()
        writer._active.close()
        os.close(writer._lock)

    def end(self) -> None:
        """Close the journal in order."""
        asyncio.run(self.writer.close())


def opened(session: str, worker: bytes, opening: int) -> dict[str, Any]:
    """The body of an OPENED event."""
    return {
        "session": session,
        "run": "run_aaaaaaaaaaaaaaaa",
        "principal": {"issuer": "local", "subject": "ci", "kind": "service", "groups": []},
        "agent": "billing-bot",
        "target": {"name": "orders", "protocol": "postgres", "labels": {}},
        "database": "orders",
        "grade": "advisory",
        "labels": {},
        "trace": None,
        "address": "127.0.0.1",
        "claims": {},
        "worker": worker,
        "opening": opening,
        "started": time.time_ns() // 1000,
        "policy": "1",
        "version": "0",
    }


def without_times(events: Iterable[list[Any]]) -> list[tuple[int, int, Any]]:
    """Events as a worker remembers them."""
    return [(kind, exchange, body) for kind, _, exchange, body in events]
