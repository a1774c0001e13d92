"""The archivist: journals in, sealed recordings, ledger leaves and index rows out.

`step` is plain blocking code that one thread calls again and again; the store, which may hang, is another
thread's. Nothing is forgotten before what replaces it is on the disk: a journal segment goes when all in it
is sealed or staged, a staging file when its session is in the ledger.
"""

import fcntl
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import cbor2
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive import builder as building
from bodycam.archive.builder import SessionBuilder, SessionKey, Taken
from bodycam.archive.checkpoint import Checkpointer, chain_heads, with_largest
from bodycam.archive.ended import Ended
from bodycam.archive.format.container import Place
from bodycam.archive.indexed import Index
from bodycam.archive.kek import DEFAULT
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.archive.recover import Known, staged_incarnations, staged_sessions
from bodycam.archive.sealing import Batch, Sealed, Sealer
from bodycam.archive.settings import ArchiveSettings, Folders
from bodycam.archive.shipping import Shipping
from bodycam.archive.succession import Succession
from bodycam.archive.tailing import Tail
from bodycam.journal.entry import Entry
from bodycam.journal.folder import LOCK, incarnations, is_live, remove, sweep
from bodycam.journal.follower import Follower
from bodycam.journal.wrapping import Opener
from bodycam.model import ids

__all__ = ["ArchiveSettings", "Archivist", "Folders", "Index"]

log = structlog.get_logger(__name__)

POLL_BYTES = 1024 * 1024
SCAN_INTERVAL = 0.1
RESUMED_EVENTS = 500
"""Events of a staged session that the index is given at a time."""
RECENT_PLACES = 10_000
"""Sessions of which it is known without the catalog where they were sealed last."""


class Archivist:
    """One gateway's archivist; a lock in the staging folder keeps a second one away."""

    def __init__(
        self,
        folders: Folders,
        *,
        journal_key: Opener,
        ledger: Ledger,
        keystore: KeyStore,
        sealer: Sealer,
        index: Index,
        settings: ArchiveSettings,
        clock: Callable[[], float] = time.monotonic,
        kek_for: Callable[[Mapping[str, Any]], str] = lambda _opened: DEFAULT,
    ) -> None:
        self._folders, self._journal_key, self._kek_for = folders, journal_key, kek_for
        self.ledger, self._keystore, self._sealer = ledger, keystore, sealer
        self._index, self._settings, self._clock = index, settings, clock
        self._checkpointer = Checkpointer(folders.staging, keystore, clock)
        self.lock = threading.RLock()
        self._tails: dict[bytes, Tail] = {}
        self._ended = Ended(keystore.keyring, settings, clock)
        self._shipping = Shipping(sealer, self._ended)
        self._entering: tuple[Batch, Sealed] | None = None
        self._scan_at = self._checkpoint_at = self._heads_at = 0.0
        self.known = Known()
        self._live: dict[bytes, SessionBuilder] = {}
        self._resumed: dict[bytes, list[SessionBuilder]] = {}
        self._recent: OrderedDict[bytes, tuple[str, Place]] = OrderedDict()
        self._polled_at = 0.0
        self.sealed_total = self.duplicates = 0
        self.ledger_failure: str | None = None
        """Why the ledger can't be written."""

    # -- life ------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Take up what an earlier process left. Call once, before the first step."""
        self._folders.staging.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._own = os.open(self._folders.staging / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._own)
            raise
        sweep(self._folders.journal)
        journals = {folder.incarnation for folder in incarnations(self._folders.journal)}
        self.known.read(self.ledger, journals | staged_incarnations(self._folders.staging))
        found = self._sealer.recover()
        if found is not None:
            self._index.sealing(found.name)
            self.known.finish(self.ledger, found)
            self._index.sealed(found)
            self._sealer.forget()
        self.known.settle()
        for builder in staged_sessions(
            self._folders.staging, self._keystore, self.known.sealed, self._settings.plan
        ):
            self._resume(builder)

    def step(self) -> bool:
        """Do what there is to do; returns whether there was anything, so that the caller may rest."""
        with self.lock:
            now = self._clock()
            if now >= self._scan_at:
                self._scan_at = now + SCAN_INTERVAL
                self._scan()
            busy, full = False, self._unstaged() >= self._settings.memory
            if not full:
                for tail in list(self._tails.values()):
                    busy |= tail.poll(POLL_BYTES)
                if not self.behind:
                    # what there was has been read, though more may have come meanwhile
                    self._polled_at = now
            # openings reach the ledger here: one group a step, well within the promised second; until they
            # have, nothing is done by which their journal could go
            if self._enter():
                self._seal(now)
            if self.ledger_failure is None:
                self._keep(now, full=(busy or full) and self._unstaged() >= self._settings.memory)
            return busy

    @property
    def behind(self) -> bool:
        """Whether a step left something of a journal unread, because a step has its bound."""
        return any(tail.behind for tail in self._tails.values())

    def close(self) -> None:
        """Seal what has ended, as far as the store lets us; what is open stays resumable."""
        deadline = self._clock() + 10
        while self._clock() < deadline:
            self.step()
            with self.lock:
                # what has ended waits for no more company
                self._ended.hurry()
                if self._shipping.idle and self._entering is None:
                    break
            time.sleep(0.01)
        with self.lock:
            self._scan()  # journals that are done with go now, whenever the last look was
            self._shipping.stop()
            for tail in self._tails.values():
                tail.close()
            self.ledger.close()
            os.close(self._own)

    def sign_with(self, signing: Ed25519PrivateKey, words: Sequence[Succession]) -> None:
        """Go on under another signing key. Raises as `Ledger.replace_key` does."""
        with self.lock:
            if self.ledger.replace_key(signing, words):
                self._sealer.signing = signing
                log.info("another signing key is in use; the ledger has the old one's word for it")

    # -- Sessions, as a tail sees it -----------------------------------------------------------------

    def begin(self, key: SessionKey, entry: Entry) -> SessionBuilder | None:
        """A session opened: its leaf, unless an earlier process wrote it."""
        if key in self.known.done:
            return None
        known = key in self.known.opened
        stored = self._keystore.find if known else lambda _session: None
        builder = SessionBuilder.begin(key, entry, self._settings.plan, stored)
        builder.born, builder.kek = self._clock(), self._kek_for(builder.opened)
        if builder.session in self.known.sealed or builder.session in self._live:
            self._rename(builder)
        self._live[builder.session] = builder
        if not known:
            self.known.opened.add(key)
            self.ledger.append([Leaf.OPENED, builder.session, *key])
        return builder

    def taken(self, events: Taken) -> None:
        """Events were taken."""
        self._index.taken(events)

    def ended(self, builder: SessionBuilder) -> None:
        """A session's last event is in: it waits for a container."""
        self._ended.add(builder)

    # -- what others ask -----------------------------------------------------------------------------

    def live(self, session: bytes) -> Iterator[list[Any]] | None:
        """The events so far of a session that is not sealed; None when there is no such session."""
        with self.lock:
            builder = self._live.get(session)
            return None if builder is None else builder.events()

    def recent(self, session: bytes) -> tuple[str, Place] | None:
        """Where a session that was sealed not long ago lies, which the catalog may not know yet."""
        with self.lock:
            return self._recent.get(session)

    def moved(self, session: bytes, name: str, place: Place) -> None:
        """A session lies elsewhere now."""
        with self.lock:
            self._recent[session] = name, place

    def is_sealed(self, session: bytes) -> bool:
        """Whether a session is in the ledger as sealed."""
        return session in self.known.sealed

    def unsealed(self) -> dict[bytes, str]:
        """Sessions that are not sealed, with their runs."""
        with self.lock:
            return {session: str(one.opened["run"]) for session, one in self._live.items()}

    def status(self) -> dict[str, Any]:
        """Gauges for metrics; seconds and bytes."""
        with self.lock:
            builders = list(self._builders())
            now = self._clock()
            ended = [builder.ended for builder in builders if builder.closed]
            folders = incarnations(self._folders.journal)
            return {
                "open_sessions": sum(not builder.closed for builder in builders),
                "waiting_sessions": sum(builder.closed for builder in builders),
                "lag_seconds": max(0.0, now - self._polled_at),
                "oldest_unsealed_seconds": max(0.0, now - min(ended, default=now)),
                "unstaged_bytes": self._unstaged(),
                "journal_bytes": sum(folder.bytes for folder in folders),
                "segments": sum(folder.segments for folder in folders),
                "sealed_total": self.sealed_total,
                "ledger_size": self.ledger.size,
                "damages": sum(tail.damages for tail in self._tails.values()),
                "gaps": sum(tail.gaps for tail in self._tails.values()),
                "duplicates": self.duplicates,
                "index_backlog": self._index.backlog(),
                "store_failure": self._shipping.failure,
                "ledger_failure": self.ledger_failure,
                "key_failure": self._ended.failure,
                "keys_away": len(self._keystore.keyring.away()),
                "rewrap_left": self._keystore.rewrap_left(),
            }

    # -- inside --------------------------------------------------------------------------------------

    def _scan(self) -> None:
        """New journals, and those that are done with."""
        for folder in incarnations(self._folders.journal):
            if folder.incarnation not in self._tails:
                follower = Follower(folder.path, self._journal_key)
                builders = self._resumed.pop(folder.incarnation, [])
                self._tails[folder.incarnation] = Tail(folder, follower, self, builders)
        for incarnation, tail in list(self._tails.items()):
            # a worker that closed in order keeps its lock for a moment longer
            if tail.done and not tail.builders and not is_live(tail.path):
                tail.close()
                del self._tails[incarnation]
                remove(tail.path)
                self.known.forget(incarnation)
        # a session whose journal is gone altogether was staged with its end, or ends here
        for incarnation, builders in list(self._resumed.items()):
            if not (self._folders.journal / incarnation.hex()).exists():
                del self._resumed[incarnation]
                tail = self._orphaned(incarnation, builders)
                self._tails[incarnation] = tail

    def _orphaned(self, incarnation: bytes, builders: list[SessionBuilder]) -> Tail:
        folder = self._folders.journal / incarnation.hex()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / LOCK).touch(mode=0o600)  # without it a folder is no journal
        found = next(one for one in incarnations(self._folders.journal) if one.incarnation == incarnation)
        return Tail(found, Follower(folder, self._journal_key), self, builders)

    def _unstaged(self) -> int:
        return sum(builder.unstaged for builder in self._builders())

    def _builders(self) -> Iterator[SessionBuilder]:
        """All sessions that are not sealed and whose journal is being followed."""
        for tail in self._tails.values():
            yield from tail.builders.values()

    def _enter(self) -> bool:
        """Bring to the ledger what was appended to it; False while it can't be written."""
        try:
            self.ledger.commit()
        except OSError as error:
            if self.ledger_failure is None:
                log.error("the ledger can't be written; nothing is sealed until it can", error=str(error))
            self.ledger_failure = str(error)
            return False
        if self.ledger_failure is not None:
            log.info("the ledger is written again")
        self.ledger_failure = None
        return True

    def _keep(self, now: float, *, full: bool) -> None:
        """Stage what has to be, and say in the ledger how far chains have come."""
        if full or now >= self._checkpoint_at:
            whole = self._checkpoint(now, full=full)
            self._checkpoint_at = self._clock() + (self._settings.checkpoint_interval if whole else 0)
        if now >= self._heads_at:
            self._heads_at = now + self._settings.head_interval
            chain_heads(self._builders(), self.ledger)

    def _checkpoint(self, now: float, *, full: bool) -> bool:
        """Stage what has lived for a while, and when memory is full what takes most of it.

        Returns whether all was done: many sessions are staged over several steps, so that openings go on
        reaching the ledger in time.
        """
        for tail in self._tails.values():
            tail.cover()
        busy = self._shipping.keys
        every = self._settings.checkpoint_interval
        due = [b for tail in self._tails.values() for b in tail.due(now, every) if b.key not in busy]
        if full:
            others = [b for b in self._builders() if b.oldest is not None and b.key not in busy]
            due = with_largest(due, others, self._unstaged() - self._settings.memory // 2)
        done = self._checkpointer.stage(due, all_at_once=full)
        for tail in self._tails.values():
            tail.retire()
        return done

    def _seal(self, now: float) -> None:
        """Ship what has ended, and enter what the store has."""
        if self._entering is None and (shipped := self._shipping.step(now)) is not None:
            self._entering, sealed = shipped, shipped[1]
            self._index.sealing(sealed.name)
            for place in sealed.places:
                self.ledger.append([Leaf.SEALED, place.session, place.root])
        if self._entering is not None and self._enter():
            (batch, sealed), self._entering = self._entering, None
            self._sealed(batch, sealed)

    def _sealed(self, batch: Batch, sealed: Sealed) -> None:
        """It is in the ledger: nothing else of these sessions is needed any more."""
        self._index.sealed(sealed)
        for builder in batch.builders:
            self.known.done.add(builder.key)
            self.known.sealed.add(builder.session)
            self._live.pop(builder.session, None)
            if builder.staging is not None:
                builder.staging.remove()
            self._tails[builder.key[0]].sealed(builder.key[1])
        self._sealer.forget()
        for place in sealed.places:
            self._recent[place.session] = sealed.name, place
            if len(self._recent) > RECENT_PLACES:
                self._recent.popitem(last=False)
        self.sealed_total += len(batch.builders)

    def _rename(self, builder: SessionBuilder) -> None:
        """Record a session whose id is taken under one of its own."""
        self.duplicates += 1
        own = building.duplicate_id(builder.key)
        log.error(
            "a worker opened a session under an id that is taken; it is recorded under another",
            worker=builder.key[0].hex(),
            claimed=builder.opened["session"],
            recorded=ids.session_id(own),
        )
        builder.rename(own, self._keystore.find(own))

    def _resume(self, builder: SessionBuilder) -> None:
        try:
            taken = Taken()
            for kind, at, exchange, body in builder.events():
                taken.add(builder, kind, at, exchange, cbor2.dumps(body))
                if len(taken.kinds) >= RESUMED_EVENTS:
                    self._index.taken(taken)
                    taken = Taken()
            self._index.taken(taken)
        except OSError:
            raise
        except Exception as error:  # whatever it trips over is this session's: the others have to go on
            log.error("what is staged does not decode", session=builder.opened["session"], error=str(error))
            self._index.missed(builder)
            builder.mark_unreadable(str(error))
        builder.kek = self._kek_for(builder.opened)
        self._live[builder.session] = builder
        self._resumed.setdefault(builder.key[0], []).append(builder)
        if builder.closed:
            self.ended(builder)
