"""Deleting recordings, in an order that a crash between any two steps can't spoil.

First the details in the file of deletions, then the tombstone in the ledger: from there on it is decided, and
whoever comes next finishes it. Then the key is destroyed, by which the recording is unreadable wherever
copies of it are; then its rows leave the index; then what they left in the database's files is overwritten;
last the object goes, once none of its sessions is kept. Each step can be done again.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine

from bodycam.archive import deletions
from bodycam.archive.archivist import Archivist
from bodycam.archive.deletions import ACTION, Deletion, DeletionFile
from bodycam.archive.format.container import read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Leaf
from bodycam.archive.store import ObjectMissing, Store, StoreUnavailable
from bodycam.catalog import audit, deletion, retention
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.retention import DeletionRecord
from bodycam.model import ids

log = structlog.get_logger(__name__)

_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Decided:
    """A deletion whose tombstone is in the ledger: at which index, and when (Unix milliseconds)."""

    deletion: Deletion
    leaf: int
    at: int


class Removal:
    """Deletes recordings. Blocking; used by one thread at a time."""

    def __init__(
        self, archivist: Archivist, file: DeletionFile, store: Store, keystore: KeyStore, engine: Engine
    ) -> None:
        self._archivist, self._file = archivist, file
        self._store, self._keystore, self._engine = store, keystore, engine
        self._unfinished: list[Decided] = []
        self.left = 0
        """Containers that the store did not let go of, at the last try."""

    def recover(self, tombstones: Mapping[bytes, tuple[int, int, bytes]], file: deletions.Source) -> int:
        """Finish what an earlier process had decided, by the ledger's tombstones; returns how many.

        Raises:
            SQLAlchemyError, OSError: the catalog or the key store can't be written; call it again.
        """
        known = dict[bytes, Deletion]()
        for _, one in file():
            if isinstance(one, Deletion):
                found = tombstones.get(one.session)
                if found is not None and found[2] == one.digest:
                    known[one.session] = one
        names = {ids.session_id(session): session for session in tombstones}
        sessions = list(tombstones)
        for begin in range(0, len(sessions), _AT_ONCE):
            # of all, whatever the catalog says: a key store from a backup would bring them back
            self._keystore.destroy(*sessions[begin : begin + _AT_ONCE])
        with reading(self._engine) as connection:
            missing = names.keys() - retention.deleted_among(connection, names)
        waiting = [
            Decided(known.get(session) or _nameless(session, at), leaf, at)
            for session, (leaf, at, _) in ((names[name], tombstones[names[name]]) for name in missing)
        ]
        for begin in range(0, len(waiting), _AT_ONCE):
            self._finish(waiting[begin : begin + _AT_ONCE])
        return len(waiting)

    def decide(self, found: Sequence[Deletion]) -> None:
        """Enter tombstones for these; `finish` does the rest, or the next process.

        Raises:
            OSError: something can't be written.
        """
        self._file.add(found)
        now = time.time_ns() // 1_000_000
        with self._archivist.lock:
            ledger = self._archivist.ledger
            # from here on the leaves are on their way, whatever fails: the ledger tries again by itself
            for one in found:
                leaf = ledger.append([Leaf.DELETED, one.session, one.digest])
                self._unfinished.append(Decided(one, leaf, now))
            ledger.commit()

    def finish(self) -> None:
        """Finish what was decided.

        Raises:
            OSError, SQLAlchemyError: something can't be written, or the tombstones are not in the ledger yet.
                Call it again.
        """
        size = self._archivist.ledger.size
        ready = [one for one in self._unfinished if one.leaf < size]
        if ready:
            self._finish(ready)
            self._unfinished = [one for one in self._unfinished if one.leaf >= size]
        if self._unfinished:
            raise OSError("tombstones of recordings wait for the ledger to be writable")

    def _finish(self, decided: Sequence[Decided]) -> None:
        self._keystore.destroy(*(one.deletion.session for one in decided))
        for one in decided:
            deletion.forget_session(self._engine, ids.session_id(one.deletion.session))
        records = {ids.session_id(one.deletion.session): one for one in decided}
        with writing(self._engine) as connection:
            for name in retention.note(connection, [_record(one) for one in decided]):
                one = records[name]
                if one.deletion.salt:
                    audit.add_event(
                        connection,
                        at=one.at * 1000,
                        actor=one.deletion.actor,
                        action=ACTION,
                        object=name,
                        detail=one.deletion.detail,
                        salt=one.deletion.salt,
                        leaf=one.leaf,
                    )

    def clear(self, unindexed: Collection[str]) -> int:
        """Overwrite what deleted texts left behind, then remove the objects of which no session is kept.

        Returns how many objects went. What the store does not let go of is tried again the next time; it is
        unreadable meanwhile. Containers that the index still reads are left alone.

        Raises:
            SQLAlchemyError: the catalog can't be written.
        """
        with reading(self._engine) as connection:
            demanded = retention.scrub_demanded(connection)
        if demanded:
            deletion.scrub(self._engine)
            with writing(self._engine) as connection:
                retention.scrubbed(connection)
        removed, left, after = 0, 0, ""
        while True:
            with reading(self._engine) as connection:
                names = retention.objects_left(connection, after, _AT_ONCE)
            for name in names:
                if name in unindexed or not self._may_go(name):
                    continue
                try:
                    self._store.delete(name)
                except (StoreUnavailable, ValueError) as error:
                    left += 1
                    log.warning(
                        "the object of deleted recordings stays for now", object=name, error=str(error)
                    )
                    continue
                with writing(self._engine) as connection:
                    retention.object_gone(connection, name, time.time_ns() // 1000)
                removed += 1
            if len(names) < _AT_ONCE:
                self.left = left
                return removed
            after = names[-1]

    def _may_go(self, name: str) -> bool:
        """Whether all sessions of a container are deleted; also of one that is gone already."""
        try:
            size = self._store.size(name)
            places, _ = read_footer(lambda at, length: self._store.get_range(name, at, length), size)
        except ObjectMissing:
            return True
        except (FormatDamaged, StoreUnavailable, ValueError) as error:
            log.warning("a container can't be read and is left alone", object=name, error=str(error))
            return False
        held = {ids.session_id(one.session) for one in places if not self._keystore.superseded(one.root)}
        with reading(self._engine) as connection:
            return held <= retention.deleted_among(connection, held)


def _nameless(session: bytes, at: int) -> Deletion:
    """A deletion of which only the tombstone is left."""
    return Deletion(session, b"", "", "", "", 0.0, at, "")


def _record(one: Decided) -> DeletionRecord:
    told = one.deletion
    return DeletionRecord(
        session=ids.session_id(told.session),
        run=told.run,
        rule=told.rule,
        sealed=told.sealed * 1000,
        deleted=one.at * 1000,
        object=told.object,
        removed=None if told.object else one.at * 1000,
    )
