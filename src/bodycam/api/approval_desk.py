"""What workers ask for is put before people here, and used up when it was approved.

The worker's word is taken for the operation, which only it has seen, and for nothing else: whose run it is,
and whether that may still act, is the catalog's to say.
"""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import structlog
from sqlalchemy import Engine

from bodycam.api.catalog_calls import read, write
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.trail import Trail
from bodycam.api.webhooks import Notifier
from bodycam.catalog import approvals as catalog
from bodycam.catalog.approvals import Approval, Came, Standing
from bodycam.identity.proof import KnownRun, RunStore
from bodycam.model.ids import APPROVAL, new_id
from bodycam.session.approval import ApprovalSaid, ApprovalState, ApprovalWanted
from bodycam.session.open_sessions import OpenSessions

log = structlog.get_logger(__name__)

MOST_PENDING = 100
MOST_HOURLY = 300
"""For one run: of those that expire soon there could else be any number."""

MAX_TEXT = 64 * 1024
MAX_SECONDS = 7 * 24 * 3600.0
MAX_GROUPS = 100
KEEPING_SECONDS = 3600.0
ENTER_SECONDS = 2.0
END_SECONDS = 3.0
_FORGOTTEN_AT_ONCE = 500
_MAX_VERB = 64
_HOUR = 3_600_000_000


class ApprovalDesk:
    """The control side of approvals; `wall` gives seconds of the Unix epoch."""

    def __init__(
        self,
        engine: Engine,
        runs: RunStore,
        sessions: OpenSessions,
        settings: SettingsInUse,
        trail: Trail,
        notifier: Notifier,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine, self._runs, self._sessions = engine, runs, sessions
        self._settings, self._trail, self._wall = settings, trail, wall
        self._beside: set[asyncio.Task[None]] = set()
        self._keeping_due = 0.0
        self.notifier = notifier
        self.counts: Counter[str] = Counter()
        """`new`, `waits`, `used`, `denied`, `run-over`, `too-many`: askings by what became of them."""

    async def ask(self, wanted: ApprovalWanted, worker: str) -> ApprovalSaid:
        """Answer a worker: approved and used up by this very answer, pending, or denied with the reason."""
        open_session = self._sessions.at(wanted.session)
        if open_session is None or (open_session.worker, open_session.run) != (worker, wanted.run):
            return _denied("the session is not open any more")
        known = await self._runs.known_run(wanted.run)
        if known is None or not known.usable(self._wall()):
            return _denied("the run has ended, or may not act any more")
        if (unfit := _unfit(wanted)) is not None:
            return _denied(unfit)
        now = round(self._wall() * 1e6)
        came, approval = await write(
            self._engine,
            catalog.ask,
            _asking(wanted, known, now),
            id=new_id(APPROVAL),
            run=wanted.run,
            most=MOST_PENDING,
            most_lately=MOST_HOURLY,
            since=now - _HOUR,
            now=now,
        )
        self.counts[came.value] += 1
        if approval is None:
            log.warning("an approval is not asked for", run=wanted.run, rule=wanted.rule, why=came.value)
            return _denied(_WITHOUT[came])
        if came is Came.NEW:
            log.info("an approval waits", approval=approval.id, run=approval.run, rule=approval.rule)
            self.notifier.tell(approval, self.link(approval.id))
            self._enter("approval-asked", approval)
        if came is Came.USED:
            # it is in the ledger before the operation goes on, unless the archivist stands still
            entering = self._enter("approval-used", approval)
            for done in (await asyncio.wait({entering}, timeout=ENTER_SECONDS))[0]:
                done.result()
        reason = _refusal(approval) if came is Came.DENIED else approval.reason
        return ApprovalSaid(approval.id, _STATES[came], self.link(approval.id), approval.by, reason)

    async def ended(self) -> None:
        """Finish what is being entered, for a bounded time, and give up the webhooks under way."""
        if self._beside:
            await asyncio.wait(self._beside, timeout=END_SECONDS)
        for task in list(self._beside):
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self.notifier.close()

    async def pending(self) -> int:
        """How many approvals wait for people."""
        return await read(self._engine, catalog.count_pending, round(self._wall() * 1e6))

    async def keep(self) -> None:
        """Once an hour delete what has expired longer ago than approvals.keep says."""
        if time.monotonic() < self._keeping_due:
            return
        before = round((self._wall() - self._settings.settings.approvals.keep) * 1e6)
        while await write(self._engine, catalog.forget_approvals, before, _FORGOTTEN_AT_ONCE):
            await asyncio.sleep(0)
        self._keeping_due = time.monotonic() + KEEPING_SECONDS

    def link(self, approval: str) -> str:
        """Where people find an approval, as the settings are now."""
        return self._settings.settings.approvals.link(approval)

    def _enter(self, action: str, approval: Approval) -> asyncio.Task[None]:
        act = self._trail.after(action, str(approval.starter), approval.id, entry(approval))
        task = asyncio.get_running_loop().create_task(act)
        self._beside.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._beside.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an act on an approval is in neither ledger nor audit", exc_info=error)


_STATES = {
    Came.NEW: ApprovalState.PENDING,
    Came.WAITS: ApprovalState.PENDING,
    Came.USED: ApprovalState.APPROVED,
    Came.DENIED: ApprovalState.DENIED,
}
_WITHOUT = {
    Came.RUN_OVER: "the run has ended",
    Came.TOO_MANY: f"the run asks people too often: {MOST_PENDING} operations may wait for them at once, and "
    f"{MOST_HOURLY} be asked in an hour",
}


def entry(approval: Approval) -> dict[str, Any]:
    """What ledger and audit keep of an approval; the statement is in the session's record."""
    return {
        "run": approval.run,
        "session": approval.session,
        "exchange": approval.exchange,
        "target": approval.target,
        "rule": approval.rule,
        "policy": approval.policy,
    }


def state_told(standing: Standing) -> str:
    """A standing in the words that workers know."""
    match standing:
        case Standing.PENDING:
            return ApprovalState.PENDING.value
        case Standing.APPROVED | Standing.USED:
            return ApprovalState.APPROVED.value
        case Standing.DENIED | Standing.WITHDRAWN:
            return ApprovalState.DENIED.value
        case Standing.EXPIRED:
            return ApprovalState.EXPIRED.value


def _denied(reason: str) -> ApprovalSaid:
    return ApprovalSaid("", ApprovalState.DENIED, reason=reason)


def _refusal(approval: Approval) -> str:
    return approval.reason or "denied"


def _unfit(wanted: ApprovalWanted) -> str | None:
    """Why nobody can be asked this, or None."""
    if not 0 < wanted.expires < float("inf") or wanted.minimum < 1 or len(wanted.by) > MAX_GROUPS:
        return "the rule asks for an approval that can't be given"
    if len(wanted.text) + sum(map(len, wanted.parameters)) > MAX_TEXT:
        # cut, it would be approved by somebody who has not seen all of it
        return f"the operation has more than {MAX_TEXT} characters, and nobody can be asked to approve that"
    return None


def _asking(wanted: ApprovalWanted, known: KnownRun, now: int) -> catalog.Asking:
    return catalog.Asking(
        digest=_digest(wanted, known),
        session=wanted.session,
        exchange=wanted.exchange,
        target=_kept(wanted.target),
        database=_kept(wanted.database),
        rule=_kept(wanted.rule),
        policy=_kept(wanted.policy),
        verb=_kept(wanted.verb)[:_MAX_VERB],
        text=_kept(wanted.text),
        parameters=tuple(_kept(one) for one in wanted.parameters),
        by=wanted.by,
        minimum=wanted.minimum,
        expires=now + round(min(wanted.expires, MAX_SECONDS) * 1e6),
    )


def _digest(wanted: ApprovalWanted, known: KnownRun) -> bytes:
    """What an approval is for: the worker's binding, and what must not hang on the worker's word.

    The rule and whom it wants are in it, so that what was approved under a milder rule is not enough.
    """
    starter = known.run.principal
    digest = hashlib.sha256()
    parts = (
        starter.issuer, starter.subject, known.run.agent, wanted.target, wanted.database, wanted.rule,
        str(wanted.minimum), *sorted(set(wanted.by)),
    )  # fmt: skip
    for part in (wanted.binding, *(part.encode() for part in parts)):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def _kept(text: str) -> str:
    """As every catalog can hold it: PostgreSQL's text has no U+0000."""
    return text.replace("\0", "\ufffd")
