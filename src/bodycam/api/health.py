"""/healthz, /readyz, /metrics: for those who run the gateway; no key is asked, and nobody is named."""

import contextlib
import time
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from bodycam.api.archivist import ArchivistAway, ArchivistRefused
from bodycam.api.caller import In
from bodycam.api.catalog_calls import read
from bodycam.api.context import Control
from bodycam.api.metrics import Snapshot, render
from bodycam.journal.pressure import Pressure
from bodycam.session.quota import Quota

router = APIRouter()

STALE_SECONDS = 10.0


class HealthOut(BaseModel):
    """The control process is alive."""

    status: str
    version: str


class CheckOut(BaseModel):
    """One thing that sessions need; `detail` says what is wrong."""

    name: str
    ok: bool
    detail: str


class ReadyOut(BaseModel):
    """Whether new sessions can be opened and recorded."""

    ready: bool
    checks: list[CheckOut]


@router.get("/healthz")
async def healthz(context: In) -> HealthOut:
    """Whether this process answers."""
    return HealthOut(status="alive", version=context.version)


@router.get("/readyz", responses={503: {"model": ReadyOut}})
async def readyz(context: In, response: Response) -> ReadyOut:
    """Whether new sessions can be opened and recorded; 503 when not."""
    checks = [
        await _archivist(context),
        _workers(context),
        await _catalog(context),
        _journal(context),
        _anchors(context),
        _quota(context.quota),
    ]
    ready = all(check.ok for check in checks)
    response.status_code = 200 if ready else 503
    return ReadyOut(ready=ready, checks=checks)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(context: In) -> Response:
    """What Prometheus scrapes."""
    archivist: dict[str, Any] = {"up": 0}
    try:
        archivist = await context.archivist.status() | {"up": 1}
    except (ArchivistAway, ArchivistRefused):
        archivist = {"up": 0}
    workers = context.workers.connected
    control = {
        "workers": len(workers),
        "failed_logins": context.admission.failed_total,
        "pending_logins": context.admission.pending,
        "unknown_cancels": context.workers.unknown_cancels,
        "break_glass": context.emergencies["uses"],
        "quota": context.quota.most,
        "watchers": len(context.watchers),
        "audit_owed": context.trail.owed,
        "audit_behind": context.audit_export.most_behind,
        "spans": {
            "on": int(context.span_export.following is True),
            "behind": context.span_export.behind,
            "sent": context.span_export.sent,
            "refused": context.span_export.refused,
            "failed": context.span_export.failed,
        },
        "anchors": {
            "behind": context.anchoring.most_behind,
            "failing": len(context.anchoring.failures),
            "sent": context.anchoring.told.sent,
            "failed": context.anchoring.told.failed,
        },
        "approvals": await _approvals(context),
    }
    told = Snapshot({worker.number: worker.stats for worker in workers}, archivist, control)
    return Response(render(told), media_type=CONTENT_TYPE_LATEST)


async def _approvals(context: Control) -> dict[str, int]:
    """What approvals came to, and their webhooks; without the catalog, nothing of those that wait."""
    counts, notifier = context.approvals.counts, context.approvals.notifier
    told = {
        "asked": counts["new"],
        "used": counts["used"],
        "refused": counts["too-many"],
        "webhooks_sent": notifier.sent,
        "webhooks_failed": notifier.failed,
        "webhooks_waiting": notifier.waiting,
    }
    with contextlib.suppress(SQLAlchemyError):
        told["pending"] = await context.approvals.pending()
    return told


async def _archivist(context: Control) -> CheckOut:
    try:
        status = await context.archivist.status()
    except (ArchivistAway, ArchivistRefused) as error:
        return CheckOut(name="archivist", ok=False, detail=str(error))
    if status.get("store_failure"):
        return CheckOut(name="archivist", ok=False, detail="recordings can't be stored; the log says why")
    if status.get("ledger_failure"):
        detail = f"the ledger can't be written, and nothing is sealed: {status['ledger_failure']}"
        return CheckOut(name="archivist", ok=False, detail=detail)
    if status.get("key_failure"):
        detail = f"recordings wait for a key-encryption key: {status['key_failure']}"
        return CheckOut(name="archivist", ok=False, detail=detail)
    return CheckOut(name="archivist", ok=True, detail="")


def _workers(context: Control) -> CheckOut:
    fresh = [one for one in context.workers.connected if time.monotonic() - one.heard < STALE_SECONDS]
    there, expected = len({one.number for one in fresh}), context.workers.expected
    if not fresh:
        return CheckOut(name="workers", ok=False, detail="no worker is connected")
    # one that is started again takes no connection before it is connected: the others do meanwhile
    detail = f"{there} of {expected} workers are connected" if there < expected else ""
    return CheckOut(name="workers", ok=not (there < expected and context.workers.awaited), detail=detail)


async def _catalog(context: Control) -> CheckOut:
    def ask(connection: Connection) -> None:
        connection.execute(text("SELECT 1"))

    try:
        await read(context.catalog, ask)
    except (SQLAlchemyError, OSError) as error:
        return CheckOut(
            name="catalog", ok=False, detail=f"the catalog does not answer ({type(error).__name__})"
        )
    return CheckOut(name="catalog", ok=True, detail="")


def _anchors(context: Control) -> CheckOut:
    # sessions need no anchor: it is said, and nothing is refused for it
    failing = ", ".join(sorted(context.anchoring.failures))
    detail = f"the ledger's head can't be put to {failing}; the log says why" if failing else ""
    return CheckOut(name="anchors", ok=True, detail=detail)


def _quota(quota: Quota) -> CheckOut:
    if quota.most is None:
        return CheckOut(name="quota", ok=True, detail="")
    if quota.used is None:
        return CheckOut(name="quota", ok=True, detail="it is not known yet how much the recordings take")
    share = f"the recordings take {quota.used} of the {quota.most} bytes of storage.quota ({quota.percent} %)"
    if quota.full:
        return CheckOut(name="quota", ok=False, detail=f"{share}: new sessions are refused")
    return CheckOut(name="quota", ok=True, detail=share if quota.warning else "")


def _journal(context: Control) -> CheckOut:
    worst = Pressure.CLEAR
    for worker in context.workers.connected:
        journal = worker.stats.get("journal") or {}
        if journal.get("failed"):
            detail = f"worker {worker.number} can't write its journal"
            return CheckOut(name="journal", ok=False, detail=detail)
        worst = max(worst, Pressure(int(journal.get("pressure", 0))))
    ok = worst < Pressure.REFUSE
    return CheckOut(
        name="journal", ok=ok, detail="" if ok else f"the journal's pressure is {worst.name.lower()}"
    )
