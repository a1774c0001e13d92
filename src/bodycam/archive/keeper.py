"""The keeper: deletes recordings whose time is up, every so often and when it is told to.

The catalog proposes, because it is quick; the recording decides, because it is the truth: its own opening
and manifest are held against the rules once more. Its age counts from the time that the ledger has for its
sealing, or from the latest time that the ledger had before, so that a clock that was behind makes nothing
old.
"""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from bodycam.archive import deletions
from bodycam.archive.archivist import Archivist
from bodycam.archive.calendar import Calendar
from bodycam.archive.deletions import Deletion
from bodycam.archive.due import Due, Proposals
from bodycam.archive.frames import LedgerDamaged
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Leaf
from bodycam.archive.plan import Plan
from bodycam.archive.recorded import RecordingUnreadable, read_recorded
from bodycam.archive.removal import Removal
from bodycam.archive.store import Store, StoreUnavailable
from bodycam.catalog import renewal
from bodycam.catalog.engine import reading
from bodycam.catalog.holds import holding, holds_in_force
from bodycam.config.retention import Retention
from bodycam.model import ids
from bodycam.policy.retention import RetentionPolicy

log = structlog.get_logger(__name__)

ITSELF = "retention"
"""The actor of what nobody applied by hand."""
PASS, BATCH = 20_000, 100
"""Recordings that one pass deletes at most, and so many of them at a time."""
AGAIN = 10.0
"""Seconds until the next try after one that something stood in the way of."""

Rules = Callable[[], Sequence[Retention]]
Failures = (OSError, SQLAlchemyError, StoreUnavailable, LedgerDamaged, ValueError)


@dataclass(slots=True)
class Applied:
    """What one pass did: how many recordings each rule deleted, how many holds kept, and which can't be read.

    `objects` went, `objects_left` the store did not let go of; `refused` says why nothing was deleted, `more`
    that there is more than one pass takes.
    """

    deleted: dict[str, int] = field(default_factory=dict)
    held: int = 0
    unreadable: list[str] = field(default_factory=list)
    objects: int = 0
    objects_left: int = 0
    more: bool = False
    refused: str = ""

    def to_plain(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class Keeper:
    """Retention over one archivist's recordings.

    `rules` gives the settings' rules as they are at that moment; `unindexed` the containers that the index
    has not read yet, which are left alone; `calendar` is made when the ledger has been read.
    """

    def __init__(
        self,
        archivist: Archivist,
        *,
        removal: Removal,
        proposals: Proposals,
        store: Store,
        keystore: KeyStore,
        engine: Engine,
        records: deletions.Source,
        rules: Rules,
        unindexed: Callable[[], Collection[str]],
        interval: float,
        calendar: Callable[[int], Calendar] = Calendar,
    ) -> None:
        self._archivist, self._removal, self._proposals = archivist, removal, proposals
        self._store, self._keystore, self._engine = store, keystore, engine
        self._records, self._rules, self._unindexed = records, rules, unindexed
        self._interval, self._make_calendar = interval, calendar
        self._calendar: Calendar | None = None
        self._passing, self._deciding = threading.Lock(), threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="keeper", daemon=True)
        self.deleted_total = 0
        self.refused: str = ""
        """Why the last pass did nothing, or did not come to its end."""

    # -- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin; the archivist has recovered."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        # what was decided is finished at once; new deletions wait, so that changed rules can be looked at
        work: Callable[[], Applied] = self.tidy
        while not self._stopping.is_set():
            try:
                applied = work()
                self.refused, work = applied.refused, self.apply
                again = bool(applied.refused) or applied.more
            except Failures as error:
                if not self.refused:
                    log.error("retention waits", error=str(error))
                self.refused, again = str(error), True
            self._stopping.wait(min(AGAIN, self._interval) if again else self._interval)

    def status(self) -> dict[str, Any]:
        """Gauges for metrics."""
        return {
            "deleted_total": self.deleted_total,
            "objects_left": self._removal.left,
            "retention_waits": int(bool(self.refused)),
        }

    @property
    def passing(self) -> threading.Lock:
        """Held while anything is deleted; whoever rewrites recordings holds it too."""
        return self._passing

    def settle(self) -> None:
        """Wait until nothing is decided any more by holds as they were before this call."""
        with self._deciding:
            pass

    def plan(self, within: float, limit: int) -> Plan:
        """What would go now, and within so many seconds, as the catalog has it; and what is kept, and why.

        Raises:
            SQLAlchemyError, OSError, ValueError: catalog or settings can't be read.
        """
        policy = RetentionPolicy(self._rules())
        now = round((self._calendar or self._make_calendar(0)).now() * 1e6)
        plan = Plan(now, limit, waits=self.refused)
        with reading(self._engine) as connection:
            holds = holds_in_force(connection)
            for one in self._proposals.until(policy, now + round(within * 1e6)):
                hold = holding(connection, holds, one.session, one.session.closed)
                plan.add(one, None if hold is None else hold.id)
        return plan

    # -- a pass ----------------------------------------------------------------------------------------

    def apply(self, actor: str = ITSELF, *, trust_clock: bool = False) -> Applied:
        """Delete what is due; with `trust_clock` also where the clock is in doubt.

        Raises:
            OSError, SQLAlchemyError, StoreUnavailable, LedgerDamaged, ValueError: something stood in the
                way; what was decided is finished by the next pass.
        """
        with self._passing:
            applied = Applied()
            calendar = self._recover()
            refused = calendar.refusal(self._archivist.ledger.head().at)
            if refused is not None and not trust_clock:
                applied.refused = refused
            elif self._renewed():
                applied.refused = "the index is being built anew"
            else:
                self._delete(actor, round(calendar.now() * 1e6), applied)
            self._clear(applied)
            return applied

    def tidy(self) -> Applied:
        """Finish what was decided, and decide nothing. Raises as `apply` does."""
        with self._passing:
            applied = Applied()
            self._recover()
            self._clear(applied)
            return applied

    def _clear(self, applied: Applied) -> None:
        applied.objects = self._removal.clear(frozenset(self._unindexed()))
        applied.objects_left = self._removal.left

    def _recover(self) -> Calendar:
        """Finish what an earlier process or pass decided, before anything is decided anew."""
        if self._calendar is None:
            known = self._archivist.known
            done = self._removal.recover(known.deleted, self._records)
            if done:
                log.info("deletions that were under way are finished", recordings=done)
            self._calendar = self._make_calendar(known.newest)
            known.deleted.clear()
        self._removal.finish()
        return self._calendar

    def _renewed(self) -> bool:
        """Whether the index is about to mark all containers: asked before the marks are looked at."""
        with reading(self._engine) as connection:
            return renewal.demanded(connection)

    def _delete(self, actor: str, now: int, applied: Applied) -> None:
        policy = RetentionPolicy(self._rules())
        found = self._proposals.until(policy, now)
        due = list(islice((one for one in found if one.at <= now), PASS))
        applied.more = len(due) == PASS
        sealed = self._sealed({ids.raw(one.session.id) for one in due}, now // 1000)
        for begin in range(0, len(due), BATCH):
            if self._stopping.is_set():
                return
            self._batch(due[begin : begin + BATCH], sealed, policy, actor, now, applied)

    def _batch(
        self,
        due: Sequence[Due],
        sealed: dict[bytes, tuple[int, bytes]],
        policy: RetentionPolicy,
        actor: str,
        now: int,
        applied: Applied,
    ) -> None:
        with self._deciding:
            chosen = list(self._chosen(due, sealed, policy, actor, now, applied))
            if chosen:
                self._removal.decide(chosen)
        self._removal.finish()
        self.deleted_total += len(chosen)
        for deletion in chosen:
            applied.deleted[deletion.rule] = applied.deleted.get(deletion.rule, 0) + 1

    def _chosen(
        self,
        due: Sequence[Due],
        sealed: dict[bytes, tuple[int, bytes]],
        policy: RetentionPolicy,
        actor: str,
        now: int,
        applied: Applied,
    ) -> Iterator[Deletion]:
        """Those of a batch that ledger, recording and holds agree on."""
        unindexed = frozenset(self._unindexed())
        with reading(self._engine) as connection:
            holds = holds_in_force(connection)
            for one in due:
                session, place = ids.raw(one.session.id), one.session.place
                found = sealed.get(session)
                if place is None or place.object in unindexed or found is None or found[1] != place.root:
                    continue
                try:
                    told = read_recorded(self._store, self._keystore, one.session.id, place)
                except RecordingUnreadable as error:
                    log.warning(
                        "a recording that is due can't be read", session=one.session.id, error=str(error)
                    )
                    applied.unreadable.append(one.session.id)
                    continue
                term = policy.term(told.recorded)
                if term.rule is None or term.due is None or found[0] + term.due * 1000 > now // 1000:
                    continue
                whole = one.session.exchanges >= told.exchanges
                if holding(connection, holds, told.opening, told.closed, whole=whole) is not None:
                    applied.held += 1
                    continue
                yield Deletion.fresh(
                    session, actor, told.opening.run, term.rule, term.keep, found[0], place.object
                )

    def _sealed(self, wanted: set[bytes], now: int) -> dict[bytes, tuple[int, bytes]]:
        """Of those that the ledger has as sealed and not deleted, since when they count, and their roots.

        That is the latest time of all leaves up to the sealing, those left out that are later than now.
        """
        found, latest = dict[bytes, tuple[int, bytes]](), 0
        for leaf in self._archivist.ledger.leaves() if wanted else ():
            if latest < leaf[1] <= now:
                latest = leaf[1]
            if leaf[0] == Leaf.SEALED and leaf[2] in wanted:
                found[leaf[2]] = max(latest, leaf[1]), leaf[3]
            elif leaf[0] == Leaf.REDACTED and leaf[2] in found:
                found[leaf[2]] = found[leaf[2]][0], leaf[4]
            elif leaf[0] == Leaf.DELETED:
                found.pop(leaf[2], None)
        return found
