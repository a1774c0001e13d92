"""The index's own thread: it may be slow or down, and neither sealing nor recording waits for it.

A container that is not indexed yet has a marker file beside the staging files; whatever the thread missed it
reads again from the container, because the recording is the truth.
"""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import cbor2
import structlog
from sqlalchemy.exc import SQLAlchemyError

from bodycam.archive import told
from bodycam.archive.builder import SessionBuilder, Taken
from bodycam.archive.format.container import Place, SessionReader, read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.index import Indexer
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.sealing import Sealed
from bodycam.archive.store import Store, StoreUnavailable
from bodycam.catalog import sessions as catalog_sessions
from bodycam.model import ids
from bodycam.model.event import Event, Kind

log = structlog.get_logger(__name__)

QUEUE_ITEMS = 50_000
QUEUE_BYTES = 64 * 1024 * 1024
"""What waits for the index at most; of a session for which there is no room, the recording is read later."""

DATA_PER_EXCHANGE = 32 * 1024
"""Bytes of an exchange's data that are looked at for the index; it keeps far less."""

FLUSH_INTERVAL = 0.1
RETRY = 1.0

_DATA = (int(Kind.TO_CLIENT), int(Kind.TO_TARGET))
_FINISH, _CLOSED = int(Kind.FINISH), int(Kind.CLOSED)
_Item = tuple[str, int, int, int, bytes] | Sealed


class ContainerIndexer:
    """Indexes whole containers; for what was missed, and for `reindex`."""

    def __init__(self, indexer: Indexer, store: Store, keystore: KeyStore) -> None:
        self.indexer, self._store, self._keystore = indexer, store, keystore

    def places(self, name: str) -> list[Place]:
        """The sessions of a container.

        Raises:
            FormatDamaged: it is not a container.
            StoreUnavailable: it can't be read.
        """
        return read_footer(lambda at, size: self._store.get_range(name, at, size), self._store.size(name))[0]

    def session(self, name: str, place: Place) -> None:
        """Feed one session of a container to the indexer, from its first event on.

        Raises:
            FormatDamaged: it does not decode, or is nothing that can be indexed.
            StoreUnavailable: it can't be read.
            SQLAlchemyError, OSError: the catalog can't be written.
        """
        session = ids.session_id(place.session)
        self.indexer.forget(session)
        try:
            key = self._keystore.get(place.session)
        except KeyGone:
            log.warning("a recording can't be indexed: its key is gone", session=session)
            return
        reader = SessionReader(
            lambda at, size: self._store.get_range(name, at, size), place.offset, place.length
        )
        try:
            self._feed(session, reader.events(key))
        except FormatDamaged as error:
            self.indexer.flush()  # what comes before it can be searched
            self.indexer.forget(session)
            raise FormatDamaged(f"session {session}: {error}") from error

    def _feed(self, session: str, events: Iterator[list[Any]]) -> None:
        for kind, at, exchange, body in events:
            try:
                self.indexer.feed(session, Event(Kind(kind), at, exchange, body))
            except Exception as error:  # whatever the event says, it is this session's fault alone
                raise FormatDamaged(f"an event makes no sense: {error!r}") from error
            if self.indexer.due:
                self.indexer.flush()

    def sealed(self, name: str, place: Place) -> None:
        """Write where a session lies, and when it was sealed.

        Raises:
            StoreUnavailable: it can't be read.
            SQLAlchemyError, OSError: the catalog can't be written.
        """
        where = catalog_sessions.Place(name, place.offset, place.length, place.root)
        reader = SessionReader(
            lambda at, size: self._store.get_range(name, at, size), place.offset, place.length
        )
        try:
            at = told.count(reader.manifest().sealed) * 1000
        except (FormatDamaged, ValueError):
            at = None  # verification names it; the index does with the time of now
        self.indexer.sealed(ids.session_id(place.session), where, at)


class IndexThread:
    """The archivist's `Index`: takes events as they come, and writes them in batches."""

    def __init__(self, containers: ContainerIndexer, markers: Path) -> None:
        self._containers, self._markers = containers, markers
        self._indexer = containers.indexer
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._queued = self._taken = 0  # bytes, ever; each is written by one side alone
        self._moved: dict[str, dict[int, int]] = {}  # the archivist's side alone
        self._incomplete: set[str] = set()
        self._begun: set[str] = set()  # sessions that the thread has seen from their first event on
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._stopping = threading.Event()
        self.failure: str | None = None

    def start(self) -> None:
        """Begin, with what an earlier process left unindexed."""
        self._markers.mkdir(parents=True, exist_ok=True, mode=0o700)
        for marker in sorted(self._markers.iterdir()):
            name = marker.name.replace("_-", "/")
            try:
                places = self._containers.places(name)
            except (FormatDamaged, StoreUnavailable) as error:
                log.error("a container can't be indexed", container=name, error=str(error))
                continue
            self._incomplete.update(ids.session_id(place.session) for place in places)
            self._queue.put(Sealed(name, tuple(places)))
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, within a bounded time; what does not get written is read again next time."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(timeout=10)

    # -- the archivist's side ------------------------------------------------------------------------

    def taken(self, events: Taken) -> None:
        """Take events, but of exchanges looked at enough, and where the thread is too far behind."""
        for builder, kind, at, exchange, body in zip(
            events.builders, events.kinds, events.ats, events.exchanges, events.bodies, strict=True
        ):
            session = builder.opened["session"]
            if kind in _DATA:
                exchanges = self._moved.setdefault(session, {})
                moved = exchanges.get(exchange, 0)
                if moved > DATA_PER_EXCHANGE or exchange == 0:
                    continue
                exchanges[exchange] = moved + len(body)
            elif kind == _FINISH:
                self._moved.get(session, {}).pop(exchange, None)
            elif kind == _CLOSED:
                self._moved.pop(session, None)
            if session in self._incomplete:
                continue
            if self._queue.qsize() >= QUEUE_ITEMS or self._queued - self._taken >= QUEUE_BYTES:
                self._incomplete.add(session)
                continue
            self._queued += len(body)
            self._queue.put((session, kind, at, exchange, body))

    def missed(self, builder: SessionBuilder) -> None:
        """Read this session from its recording once it is sealed."""
        self._incomplete.add(builder.opened["session"])

    def sealing(self, name: str) -> None:
        """Leave a marker for a container that is about to enter the ledger."""
        self._markers.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._marker(name).touch()

    def sealed(self, sealed: Sealed) -> None:
        """A container is in the ledger: its sessions' places are to be written."""
        self._queue.put(sealed)

    def backlog(self) -> int:
        """How many containers wait to be indexed."""
        return sum(1 for _ in self._markers.iterdir()) if self._markers.is_dir() else 0

    # -- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        flush_at = time.monotonic() + FLUSH_INTERVAL
        while True:
            try:
                item = self._queue.get(timeout=FLUSH_INTERVAL)
            except queue.Empty:
                pass
            else:
                if item is None:
                    self._try(self._indexer.flush)
                    return
                if not isinstance(item, Sealed):
                    self._taken += len(item[4])
                    self._feed(item)
                elif not self._seal_at_last(item):
                    return
            if self._indexer.due or time.monotonic() >= flush_at:
                flush_at = time.monotonic() + FLUSH_INTERVAL
                while not self._try(self._indexer.flush) and self._indexer.due:
                    # nothing more is taken in while a whole batch can't be written
                    if self._stopping.wait(RETRY):
                        return

    def _seal_at_last(self, sealed: Sealed) -> bool:
        """Index a container however long the catalog is away; False when the process ends meanwhile."""
        while not self._try(partial(self._seal, sealed)):
            if self._stopping.wait(RETRY):
                return False
        return True

    def _feed(self, item: tuple[str, int, int, int, bytes]) -> None:
        session, kind, at, exchange, body = item
        if not self._indexer.wants(session, kind, exchange):
            return
        try:
            self._indexer.feed(session, Event(Kind(kind), at, exchange, cbor2.loads(body)))
            if kind == Kind.OPENED:
                self._begun.add(session)
        except Exception as error:
            # the index is no law: the recording goes on, and its container is read again once it is sealed
            log.exception("an event was not indexed", session=session, error=str(error))
            self._incomplete.add(session)

    def _seal(self, sealed: Sealed) -> None:
        for place in sealed.places:
            session = ids.session_id(place.session)
            if session in self._incomplete or session not in self._begun:
                try:
                    self._containers.session(sealed.name, place)
                except FormatDamaged as error:
                    log.error("a recording can't be indexed", container=sealed.name, error=str(error))
            self._containers.sealed(sealed.name, place)
            self._incomplete.discard(session)
            self._begun.discard(session)
        self._marker(sealed.name).unlink(missing_ok=True)

    def _try(self, work: Callable[[], object]) -> bool:
        try:
            work()
        except (SQLAlchemyError, StoreUnavailable, OSError) as error:
            if self.failure is None:
                log.error("the catalog can't be written; the index waits", error=str(error))
            self.failure = str(error)
            return False
        except FormatDamaged as error:
            log.error("a container can't be indexed", error=str(error))
            return True
        self.failure = None
        return True

    def _marker(self, name: str) -> Path:
        return self._markers / name.replace("/", "_-")


def reindex(
    containers: ContainerIndexer, names: Iterable[str], progress: Callable[[int], None] | None = None
) -> tuple[int, list[str]]:
    """Rebuild the whole index from recordings; returns how many sessions, and what could not be read."""
    containers.indexer.rebuild()
    done, faults = 0, []
    for name in names:
        try:
            for place in containers.places(name):
                try:
                    containers.session(name, place)
                    done += 1
                except FormatDamaged as error:
                    faults.append(f"recording {name}: {error}")
                containers.sealed(name, place)
        except (FormatDamaged, StoreUnavailable) as error:
            faults.append(f"recording {name}: {error}")
        if progress is not None:
            progress(done)
    containers.indexer.flush()
    return done, faults
