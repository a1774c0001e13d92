"""What the control process does by itself: cuts runs that are over, and brings the audit up to date."""

import asyncio
import time

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bodycam.api.catalog_calls import read
from bodycam.api.context import Control
from bodycam.catalog import accounts
from bodycam.catalog.engine import writing
from bodycam.catalog.runs import RunState, states_of

log = structlog.get_logger(__name__)

SWEEP_SECONDS = 1.0
FAILURES_SECONDS = 10.0
_RUNS_AT_ONCE = 500

_REASONS = {
    RunState.EXPIRED: "the run's lease has expired",
    RunState.ENDED: "the run has ended",
    RunState.REVOKED: "the run was revoked",
}


async def keep(context: Control) -> None:
    """Sweep every second until cancelled; a catalog that is away is met again at the next sweep."""
    failures_due = 0.0
    while True:
        try:
            await sweep(context)
            await context.trail.settle()
            await note_key_use(context, time.time())
            await context.approvals.keep()
            if time.monotonic() >= failures_due:
                failures_due = time.monotonic() + FAILURES_SECONDS
                await context.trail.failed_logins(context.admission.failures())
        except SQLAlchemyError as error:
            log.error("upkeep waits for the catalog", error=str(error))
        await asyncio.sleep(SWEEP_SECONDS)


async def sweep(context: Control) -> list[str]:
    """Cut the sessions of every run that is not active any more, and return those runs.

    The catalog is asked, not this process's memory, so that what another door or a former process decided
    counts as well.
    """
    now = time.time_ns() // 1000
    names = context.admission.sessions.runs()
    over: list[str] = []
    for at in range(0, len(names), _RUNS_AT_ONCE):
        part = names[at : at + _RUNS_AT_ONCE]
        states = await read(context.catalog, states_of, part, now)
        for name in part:
            # a run that the catalog does not know at all can't be allowed to go on
            state = states.get(name, RunState.REVOKED)
            if state is RunState.ACTIVE:
                continue
            over.append(name)
            # who ended a run wants its sessions gone: what drains is a credential that is over
            drain = 0.0 if state is RunState.ENDED else None
            context.workers.cut_run(name, _REASONS[state], drain=drain)
    return over


async def note_key_use(context: Control, now: float) -> None:
    """Write down when API keys were used, each at most once a minute."""
    uses = context.key_use.due(now)
    if not uses:
        return

    def note() -> None:
        # what a power loss may take is a minute's knowledge: no disk is waited for
        with writing(context.catalog, durable=False) as connection:
            accounts.keys_used(connection, {key: round(at * 1e6) for key, at in uses.items()})

    await asyncio.to_thread(note)
    context.key_use.written(uses, now)
