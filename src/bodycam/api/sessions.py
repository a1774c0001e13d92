"""/v1/sessions: listing, looking at and cutting sessions."""

from fastapi import APIRouter
from pydantic import BaseModel

from bodycam.api.caller import In, Who
from bodycam.api.catalog_calls import read
from bodycam.api.errors import ApiError
from bodycam.api.found import visible_session
from bodycam.api.listing import Cursor, Limit, Moment, Name, micros
from bodycam.api.run_endings import ReasonIn
from bodycam.api.shapes import SessionOut, seen
from bodycam.catalog import sessions as catalog
from bodycam.config.viewing import Act

router = APIRouter()


class SessionsOut(BaseModel):
    """A page of sessions, the one opened last first."""

    sessions: list[SessionOut]
    next: str | None


class KilledOut(BaseModel):
    """A session that is being cut; `reached` is False when the worker that has it is not connected just now:
    it is told as soon as it is."""

    session: str
    reached: bool


@router.get("/v1/sessions")
async def list_sessions(
    context: In,
    who: Who,
    run: Name = None,
    agent: Name = None,
    principal: Name = None,
    target: Name = None,
    state: catalog.SessionState | None = None,
    since: Moment = None,
    until: Moment = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> SessionsOut:
    """Sessions, the one opened last first; `since` and `until` bound when they opened."""
    sight = await context.sights.of(who.principal, who.roles)
    wanted = catalog.SessionFilter(
        run=run,
        agent=agent,
        principal=sight.filtered(principal),
        target=target,
        state=state,
        since=micros(since),
        until=micros(until),
        visible=sight.visible(Act.LIST),
    )
    page = await read(context.catalog, catalog.list_sessions, wanted, limit=limit, cursor=cursor)
    return SessionsOut(sessions=[seen(sight, one) for one in page.items], next=page.next)


@router.get("/v1/sessions/{session}")
async def show_session(session: str, context: In, who: Who) -> SessionOut:
    """One session."""
    record = await visible_session(context, who, session)
    return seen(await context.sights.of(who.principal, who.roles), record)


@router.post("/v1/sessions/{session}/kill")
async def kill_session(session: str, context: In, who: Who, body: ReasonIn | None = None) -> KilledOut:
    """Cut one open session; its run goes on."""
    reason = body.reason if body else ""
    record = await visible_session(context, who, session)
    if not who.may_stop_run(record.principal, record.agent):
        raise ApiError(
            403, "forbidden", "this session is somebody else's", "Its run's starter or an admin may."
        )
    if record.state is not catalog.SessionState.OPEN:
        raise ApiError(
            409, "session-closed", f"session {session} has ended already", "There is nothing to cut."
        )
    reached = context.workers.kill(session, f"killed{': ' if reason else ''}{reason}")
    await context.trail.after("session-killed", str(who.principal), session, {"reason": reason})
    return KilledOut(session=session, reached=reached)
