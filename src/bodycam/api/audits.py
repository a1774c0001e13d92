"""/v1/audit: who did what to what."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from bodycam.api.caller import In, Reader
from bodycam.api.catalog_calls import read
from bodycam.api.listing import Cursor, Limit, Moment, Name, micros, seconds
from bodycam.catalog.audit import list_events

router = APIRouter()


class AuditOut(BaseModel):
    """One act; `leaf` is its place in the ledger and `salt` (hexadecimal) what its hash there was made with,
    both null for what is only counted."""

    id: int
    at: float
    actor: str
    action: str
    object: str
    detail: dict[str, Any]
    salt: str | None
    leaf: int | None


class AuditPageOut(BaseModel):
    """A page of acts, newest first."""

    events: list[AuditOut]
    next: str | None


@router.get("/v1/audit")
async def list_audit(
    context: In,
    who: Reader,
    actor: Name = None,
    action: Name = None,
    since: Moment = None,
    until: Moment = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> AuditPageOut:
    """The trail of administrative acts, viewings and failed logins."""
    page = await read(
        context.catalog,
        list_events,
        actor=actor,
        action=action,
        since=micros(since),
        until=micros(until),
        limit=limit,
        cursor=cursor,
    )
    events = [
        AuditOut(
            id=one.id,
            at=seconds(one.at),
            actor=one.actor,
            action=one.action,
            object=one.object,
            detail=dict(one.detail),
            salt=None if one.salt is None else one.salt.hex(),
            leaf=one.leaf,
        )
        for one in page.items
    ]
    return AuditPageOut(events=events, next=page.next)
