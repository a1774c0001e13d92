"""The index's own thread: it may be slow or down, and neither sealing nor recording waits for it.

A container that is not indexed yet has a marker file beside the staging files; whatever the thread missed it
reads again from the container, because the recording is the truth.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

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
from bodycam.catalog import renewal
from bodycam.catalog import sessions as catalog_sessions
from bodycam.catalog.engine import reading, writing
from bodycam.journal.segment import sync_folder
from bodycam.model import ids
from bodycam.model.event import Event, Kind

log = structlog.get_logger(__name__)

QUEUE_BYTES = 64 * 1024 * 1024
"""What waits for the index at most; of a session for which there is no room, the recording is read later."""
EVENT_BYTES = 200
"""What an event takes of that beside its body."""

QUIET, LONGEST_WAIT = 0.1, 1.0
"""Seconds after which what was taken is written: when nothing more comes, and in any case."""
RETRY = 1.0


class Markers:
    """A file for each container that is not indexed yet, so that none is forgotten over a crash."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def leave(self, name: str) -> None:
        """Mark a container, durably."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file(name).touch()
        sync_folder(self._folder)

    def remove(self, name: str) -> None:
        """A container is indexed."""
        self._file(name).unlink(missing_ok=True)

    def names(self) -> list[str]:
        """The marked containers, oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(marker.name.replace("_-", "/") for marker in self._folder.iterdir())

    def count(self) -> int:
        """How many there are."""
        return len(self.names())

    def _file(self, name: str) -> Path:
        return self._folder / name.replace("/", "_-")


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
        found, _ = read_footer(lambda at, size: self._store.get_range(name, at, size), self._store.size(name))
        # of a recording that was redacted, only the one that took its place
        return [one for one in found if not self._keystore.superseded(one.root)]

    def session(self, name: str, place: Place) -> None:
        """Feed one session of a container to the indexer, from its first event on.

        Raises:
            FormatDamaged: it can't be read to its end, or an event made no sense; the others are indexed.
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
            fault = self._feed(session, reader.events(key))
        except FormatDamaged as error:
            self.indexer.flush()  # what comes before it can be searched
            self.indexer.forget(session)
            raise FormatDamaged(f"session {session}: {error}") from error
        if fault is not None:
            self.indexer.drop([session])
            raise FormatDamaged(f"session {session}: an event makes no sense: {fault!r}") from fault

    def _feed(self, session: str, events: Iterator[list[Any]]) -> Exception | None:
        fault: Exception | None = None
        for kind, at, exchange, body in events:
            try:
                self.indexer.feed(session, Event(Kind(kind), at, exchange, body))
            except Exception as error:  # whatever the event says, the others are to be found
                fault = fault or error
            if self.indexer.due:
                self.indexer.flush()
        return fault

    def renew(self, markers: Markers) -> bool:
        """Mark every container, if the catalog asks for that; says whether it did."""
        engine = self.indexer.engine
        with reading(engine) as connection:
            if not renewal.demanded(connection):
                return False
        log.info("the index is built anew from the recordings; it is complete when no container is behind")
        for name in self._store.list():
            markers.leave(name)
        with writing(engine) as connection:
            renewal.settled(connection)
        return True

    def sealed(self, name: str, places: Iterable[Place]) -> None:
        """Write where sessions lie in a container, and when they were sealed.

        Raises:
            StoreUnavailable: it can't be read.
            SQLAlchemyError, OSError: the catalog can't be written.
        """
        self.indexer.sealed(
            {
                ids.session_id(one.session): (
                    catalog_sessions.Place(name, one.offset, one.length, one.root),
                    self._sealed_at(name, one),
                )
                for one in places
            }
        )

    def _sealed_at(self, name: str, place: Place) -> int | None:
        reader = SessionReader(
            lambda at, size: self._store.get_range(name, at, size), place.offset, place.length
        )
        try:
            return told.count(reader.manifest().sealed) * 1000
        except (FormatDamaged, ValueError, TypeError):
            return None  # verification names it; the index does with the time of now


class IndexThread:
    """The archivist's `Index`: takes events as they come, and writes them in batches.

    What an earlier process, or an upgrade, left unindexed is read from its containers when nothing else is to
    be done.
    """

    def __init__(self, containers: ContainerIndexer, markers: Markers) -> None:
        self._containers, self._markers = containers, markers
        self._indexer = containers.indexer
        self._queue: queue.SimpleQueue[tuple[Taken, int] | frozenset[str] | Sealed | None] = (
            queue.SimpleQueue()
        )
        self._queued = self._read = 0  # bytes, ever; each is written by one side alone
        self._lost: set[str] = set()  # sessions of which events found no room; the archivist's side alone
        self._incomplete: set[str] = set()
        self._begun: set[str] = set()  # sessions that the thread has seen from their first event on
        self._behind: deque[str] = deque()  # containers
        self._thread = threading.Thread(target=self._run, name="index", daemon=True)
        self._stopping = threading.Event()
        self.failure: str | None = None

    def start(self) -> None:
        """Begin, with what an earlier process left unindexed."""
        self._behind.extend(self._markers.names())
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, within a bounded time; what does not get written is read again next time."""
        self._stopping.set()
        self._queue.put(None)
        self._thread.join(timeout=10)

    # -- the archivist's side ------------------------------------------------------------------------

    def taken(self, events: Taken) -> None:
        """Take events, unless the thread is too far behind."""
        size = sum(map(len, events.bodies)) + EVENT_BYTES * len(events.kinds)
        if self._queued - self._read >= QUEUE_BYTES:
            fresh = {builder.name for builder in events.builders} - self._lost
            if fresh:
                self._lost |= fresh
                self._queue.put(frozenset(fresh))
            return
        self._queued += size
        self._queue.put((events, size))

    def missed(self, builder: SessionBuilder) -> None:
        """Read this session from its recording once it is sealed."""
        self._lost.add(builder.name)
        self._queue.put(frozenset({builder.name}))

    def sealing(self, name: str) -> None:
        """Leave a marker for a container that is about to enter the ledger."""
        self._markers.leave(name)

    def anew(self, sealed: Sealed) -> None:
        """A container took the place of recordings: they are read from it."""
        self._markers.leave(sealed.name)
        self._queue.put(frozenset(ids.session_id(place.session) for place in sealed.places))
        self._queue.put(sealed)

    def sealed(self, sealed: Sealed) -> None:
        """A container is in the ledger: its sessions' places are to be written."""
        self._lost.difference_update(ids.session_id(place.session) for place in sealed.places)
        self._queue.put(sealed)

    def backlog(self) -> int:
        """How many containers wait to be indexed."""
        return self._markers.count()

    # -- the thread ----------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._follow()
        except Exception as error:
            # recording and sealing go on; what is not indexed is marked, and the next process reads it
            log.exception("the index has stopped until the archivist is started again", error=str(error))
            self.failure = str(error)

    def _follow(self) -> None:
        self._at_last(self._renew)
        flush_at = time.monotonic() + LONGEST_WAIT
        while True:
            quiet = False
            try:
                item = self._queue.get(timeout=0 if self._behind else QUIET)
            except queue.Empty:
                quiet = True
                if self._behind and not self._catch_up(self._behind.popleft()):
                    return
            else:
                if item is None:
                    self._try(self._indexer.flush)
                    return
                if isinstance(item, tuple):
                    self._take(*item)
                elif isinstance(item, frozenset):
                    self._give_up(item)
                elif not self._at_last(partial(self._seal, item)):
                    return
            if quiet or self._indexer.due or time.monotonic() >= flush_at:
                flush_at = time.monotonic() + LONGEST_WAIT
                while not self._try(self._indexer.flush) and self._indexer.due:
                    # nothing more is taken in while a whole batch can't be written
                    if self._stopping.wait(RETRY):
                        return

    def _renew(self) -> None:
        """An upgrade may have emptied the index: then all recordings are behind."""
        if self._containers.renew(self._markers):
            self._behind.clear()
            self._behind.extend(self._markers.names())

    def _catch_up(self, name: str) -> bool:
        """Index a container that was left; False when the process ends meanwhile."""
        try:
            places = self._containers.places(name)
        except (FormatDamaged, StoreUnavailable) as error:
            log.error("a container can't be indexed", container=name, error=str(error))
            return True
        return self._at_last(partial(self._seal, Sealed(name, tuple(places))))

    def _at_last(self, work: Callable[[], object]) -> bool:
        """Do something however long the catalog is away; False when the process ends meanwhile."""
        while not self._try(work):
            if self._stopping.wait(RETRY):
                return False
        return True

    def _take(self, events: Taken, size: int) -> None:
        self._read += size
        failed, begun = self._indexer.take(events)
        self._begun |= begun
        self._give_up(failed)  # the index is no law: the recording goes on

    def _give_up(self, names: Collection[str]) -> None:
        """Of these sessions something is missing: their recordings are read once they are sealed."""
        self._incomplete.update(names)
        self._indexer.drop(names)

    def _seal(self, sealed: Sealed) -> None:
        for place in sealed.places:
            session = ids.session_id(place.session)
            if session in self._incomplete or session not in self._begun:
                try:
                    self._containers.session(sealed.name, place)
                except FormatDamaged as error:
                    log.error("a recording can't be indexed", container=sealed.name, error=str(error))
        self._containers.sealed(sealed.name, sealed.places)
        done = {ids.session_id(place.session) for place in sealed.places}
        self._incomplete -= done
        self._begun -= done
        self._markers.remove(sealed.name)

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


def reindex(
    containers: ContainerIndexer, names: Iterable[str], progress: Callable[[int], None] | None = None
) -> tuple[int, list[str]]:
    """Rebuild the whole index from recordings; returns how many sessions, and what could not be read."""
    containers.indexer.rebuild()
    with writing(containers.indexer.engine) as connection:
        renewal.settled(connection)
    done, faults = 0, []
    for name in names:
        try:
            places = containers.places(name)
            for place in places:
                try:
                    containers.session(name, place)
                except FormatDamaged as error:
                    faults.append(f"recording {name}: {error}")
            containers.sealed(name, places)
            done += len(places)
        except (FormatDamaged, StoreUnavailable) as error:
            faults.append(f"recording {name}: {error}")
        if progress is not None:
            progress(done)
    containers.indexer.flush()
    return done, faults
