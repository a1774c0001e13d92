"""Taking a value out of recordings and index, in an order that a crash between any two steps can't spoil.

First the new recording's key and the record of what is done, then the new recording, then the leaf in the
ledger: up to there the old recording counts, and what was prepared is thrown away. From there on the new one
counts, and whoever comes next finishes: the old key is destroyed, rows of the index are made anew from the
new recording, and the old object goes once nothing in it is kept.
"""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from bodycam.archive import redactions
from bodycam.archive.archivist import Archivist
from bodycam.archive.format.container import Place, read_footer
from bodycam.archive.format.v1 import FormatDamaged
from bodycam.archive.kek import KeyAway
from bodycam.archive.keystore import KeyGone, KeyStore
from bodycam.archive.leaked import LONGEST, SHORTEST, forms
from bodycam.archive.ledger import Leaf
from bodycam.archive.redactions import Redaction
from bodycam.archive.rewording import Order, Rewording
from bodycam.archive.rewriting import look, rewrite
from bodycam.archive.sealing import Sealed, container_name
from bodycam.archive.store import Store, StoreUnavailable
from bodycam.catalog import audit, deletion, retention, sessions
from bodycam.catalog.engine import reading, writing
from bodycam.catalog.holds import holding, holds_in_force
from bodycam.catalog.sessions import SessionRecord
from bodycam.model import ids

log = structlog.get_logger(__name__)

_PAGE = 500


@dataclass(slots=True)
class Redacted:
    """What one redaction did, or would do: sessions, and how often the value is in each.

    `records` are the catalog's own (approvals, runs, acts) in the same way. `held` are kept by legal holds,
    `unreadable` could not be read, `waiting` are not indexed yet; `named` have the value in what says whose
    recording it is, where it stays. `unsealed` are sessions that were not looked into.
    """

    sessions: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    held: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    unsealed: list[str] = field(default_factory=list)

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Redactor:
    """Redacts over one archivist's recordings. Blocking; one redaction at a time.

    `busy` keeps retention from deciding meanwhile; `unindexed` are containers that the index reads still.
    """

    def __init__(
        self,
        archivist: Archivist,
        *,
        folder: Path,
        staging: Path,
        store: Store,
        keystore: KeyStore,
        engine: Engine,
        fingerprint: Callable[[bytes], str],
        signing: Callable[[], Ed25519PrivateKey],
        reindex: Callable[[Sealed], None],
        unindexed: Callable[[], Collection[str]],
        busy: threading.Lock,
    ) -> None:
        self._archivist, self._folder, self._staging = archivist, folder, staging
        self._store, self._keystore, self._engine = store, keystore, engine
        self.fingerprint, self._signing, self._reindex = fingerprint, signing, reindex
        self._unindexed, self._busy = unindexed, busy
        self._stopping = threading.Event()
        self._rewording = Rewording(archivist, engine)

    def stop(self) -> None:
        """End after the recording under way."""
        self._stopping.set()
        with self._busy:
            pass

    def redact(
        self,
        value: bytes,
        *,
        actor: str,
        reason: str,
        run: str | None,
        plan: bool,
        held: bool,
    ) -> Redacted:
        """Take a value out of all sealed recordings and the catalog's own records, or those of a run.

        With `plan` only say where it is, with `held` also out of what a legal hold keeps.

        Raises:
            ValueError: the value is too short or too long.
            OSError, SQLAlchemyError, StoreUnavailable: something stood in the way; what was done is whole.
        """
        if not SHORTEST <= len(value) <= LONGEST:
            raise ValueError(f"a value to redact has {SHORTEST} to {LONGEST} bytes")
        wanted, done = forms(value), Redacted()
        with self._busy:
            after: tuple[int, int] | None = None
            before, fresh = self.unsealed(run), self._unread(run)
            looked = set[str]()
            while True:
                with reading(self._engine) as connection:
                    now = time.time_ns() // 1000 + 1
                    page = retention.sealed_sessions(connection, now, after, _PAGE)
                for one in page:
                    if self._stopping.is_set():
                        raise OSError("the gateway is being stopped")
                    if run is None or one.run == run:
                        if one.id in before or one.id in fresh:
                            looked.add(one.id)
                        self._session(one, wanted, value, actor, reason, done, plan=plan, held=held)
                if len(page) < _PAGE:
                    break
                after = page[-1].opened, page[-1].key
            self._records(Order(wanted, self.fingerprint(value), actor, reason, run, held), done, plan=plan)
            left = self.unsealed(run)
            done.unsealed = sorted(left - looked)
            done.waiting += sorted((before | fresh) - left - looked)
            if (done.sessions or done.records) and not plan:
                self._scrub()
        return done

    def away(self, waited: Collection[str]) -> bool:
        """Whether any of these sessions is not sealed yet, or the index has something left to read."""
        return not self.unsealed(None).isdisjoint(waited) or bool(self._unindexed())

    def unsealed(self, run: str | None) -> set[str]:
        """The sessions, or those of a run, that are not sealed."""
        found = self._archivist.unsealed()
        return {ids.session_id(one) for one, of_run in found.items() if run is None or of_run == run}

    def _unread(self, run: str | None) -> set[str]:
        """Sealed sessions that the index may not have as sealed yet."""
        found = [place.session for name in self._unindexed() for place in self._places(name)]
        names = {ids.session_id(one) for one in found}
        if run is None or not names:
            return names
        with reading(self._engine) as connection:
            return {
                one for one, of_run in sessions.runs_of_sessions(connection, names).items() if of_run == run
            }

    def _records(self, order: Order, done: Redacted, *, plan: bool) -> None:
        for one, count, held in self._rewording.found(order):
            if self._stopping.is_set():
                raise OSError("the gateway is being stopped")
            if held:
                done.held.append(one.id)
                continue
            done.records[one.id] = count
            if not plan:
                self._rewording.take_out(one, order)

    def _session(
        self,
        one: SessionRecord,
        wanted: tuple[bytes, ...],
        value: bytes,
        actor: str,
        reason: str,
        done: Redacted,
        *,
        plan: bool,
        held: bool,
    ) -> None:
        if one.place is None:
            return
        name, raw = one.place.object, ids.raw(one.id)
        place = Place(raw, one.place.offset, one.place.length, one.place.root)

        def read(at: int, size: int) -> bytes:
            return self._store.get_range(name, at, size)

        try:
            key = self._keystore.get(raw)
            finder = look(read, place, key, wanted)
        except KeyGone:
            return  # nobody can read it any more
        except (FormatDamaged, StoreUnavailable, KeyAway) as error:
            log.warning("a recording could not be searched", session=one.id, error=str(error))
            done.unreadable.append(one.id)
            return
        if finder.kept:
            done.named.append(one.id)
        if not finder.count:
            return
        with reading(self._engine) as connection:
            if not held and holding(connection, holds_in_force(connection), one, one.closed) is not None:
                done.held.append(one.id)
                return
        if name in self._unindexed():
            done.waiting.append(one.id)
            return
        done.sessions[one.id] = finder.count
        if plan:
            return
        note = {"note": "redacted", "values": finder.count, "fingerprint": self.fingerprint(value)}
        made = rewrite(read, place, key, finder, note, self._signing(), self._staging)
        with made.stream:
            told = Redaction(
                raw, actor, one.run, reason, self.fingerprint(value), finder.count, place.root,
                made.place.root, name, container_name(time.time()),
            ).salted()  # fmt: skip
            self._keystore.prepare(raw, made.place.root, made.key)
            redactions.add(self._folder, told)
            self._store.put(told.new_object, made.parts())
        with self._archivist.lock:
            ledger = self._archivist.ledger
            leaf = ledger.append([Leaf.REDACTED, raw, told.old, told.new, told.digest])
            ledger.commit()
        self._finish(told, made.place, leaf, time.time_ns() // 1_000_000)

    def _finish(self, told: Redaction, place: Place, leaf: int, at: int) -> None:
        """The leaf is there: let the new recording take the old one's place."""
        sealed = Sealed(told.new_object, (place,))
        self._archivist.moved(told.session, told.new_object, place)
        self._keystore.promote(told.session, told.old, told.new)
        deletion.forget_session(self._engine, ids.session_id(told.session))
        with writing(self._engine) as connection:
            retention.demand_scrub(connection)
            if told.salt and not audit.has_leaf(connection, leaf):
                audit.add_event(
                    connection,
                    at=at * 1000,
                    actor=told.actor,
                    action=redactions.ACTION,
                    object=ids.session_id(told.session),
                    detail=told.detail,
                    salt=told.salt,
                    leaf=leaf,
                )
        # last: where the index has the new place, nothing of this is left to be done
        self._reindex(sealed)

    def _scrub(self) -> None:
        deletion.scrub(self._engine)
        with writing(self._engine) as connection:
            retention.scrubbed(connection)
        self.clear()

    def recover(self, leaves: Mapping[bytes, Sequence[tuple[int, int, bytes, bytes, bytes]]]) -> int:
        """Finish what has a leaf, and throw away what has none; returns how many were finished.

        `leaves` are those of redactions by session: index, time, old and new root, hash.

        Raises:
            SQLAlchemyError, OSError, StoreUnavailable: call it again.
        """
        finished = 0
        newest = dict[bytes, tuple[Redaction, int, int]]()
        for _, told in redactions.read(self._folder):
            if isinstance(told, str):
                continue
            fits = [one for one in leaves.get(told.session, ()) if one[4] == told.digest]
            if fits:
                newest[told.session] = told, fits[0][0], fits[0][1]
                if not self._keystore.superseded(told.old):
                    self._keystore.promote(told.session, told.old, told.new)
            else:
                self._keystore.abandon(told.session, told.new)
                self._store.delete(told.new_object)
        for session, (told, leaf, at) in newest.items():
            with reading(self._engine) as connection:
                known = sessions.get_session(connection, ids.session_id(session))
                gone = retention.deletion_of(connection, ids.session_id(session)) is not None
            current = known is not None and known.place is not None and known.place.root == told.new
            if current or gone:
                continue
            places = self._places(told.new_object)
            if places:
                self._finish(told, places[0], leaf, at)
                finished += 1
        self.clear()
        return finished

    def _places(self, name: str) -> list[Place]:
        try:
            return read_footer(
                lambda at, size: self._store.get_range(name, at, size), self._store.size(name)
            )[0]
        except (FormatDamaged, StoreUnavailable) as error:
            log.error("a redacted recording can't be read", object=name, error=str(error))
            return []

    def clear(self) -> None:
        """Remove old objects in which nothing is kept any more; what the store keeps is tried again."""
        for _, told in redactions.read(self._folder):
            if isinstance(told, str) or not self._keystore.superseded(told.old):
                continue
            try:
                self._store.size(told.old_object)
            except StoreUnavailable:
                continue
            places = self._places(told.old_object)
            others = {
                ids.session_id(one.session) for one in places if not self._keystore.superseded(one.root)
            }
            with reading(self._engine) as connection:
                gone = retention.deleted_among(connection, others)
            if places and others <= gone:
                try:
                    self._store.delete(told.old_object)
                except StoreUnavailable as error:
                    log.warning("the object of a redacted recording stays for now", error=str(error))
