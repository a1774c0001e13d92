"""/v1/tail: finished exchanges, and sessions that open, close and are sealed, as they are indexed."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from bodycam.api.caller import In, Who, same_caller
from bodycam.api.catalog_calls import read
from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.api.exchanges import looking, seen
from bodycam.api.listing import Name, seconds
from bodycam.api.looks import EVERYWHERE
from bodycam.api.ndjson import MEDIA_TYPE, line, streamed
from bodycam.api.sights import Sight
from bodycam.catalog.exchanges import ExchangeRecord, exchanges_of
from bodycam.catalog.sessions import SessionRecord, sessions_by_id
from bodycam.catalog.tail import Arrival, Arrivals, after, position
from bodycam.config.viewing import Act, View

log = structlog.get_logger(__name__)
router = APIRouter()

POLL_SECONDS = 0.25
ALIVE_SECONDS = 10.0
MOST = 100
_IDS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is watched; None is anything."""

    run: str | None
    session: str | None
    agent: str | None

    def fits(self, session: str, run: str, agent: str) -> bool:
        """Whether something of this session is asked for."""
        pairs = ((self.session, session), (self.run, run), (self.agent, agent))
        return all(asked is None or asked == got for asked, got in pairs)


@router.get(
    "/v1/tail",
    response_class=StreamingResponse,
    responses={
        200: {"content": {MEDIA_TYPE: {}}, "description": "An event a line, until the client leaves."}
    },
)
async def tail(
    request: Request, context: In, who: Who, run: Name = None, session: Name = None, agent: Name = None
) -> StreamingResponse:
    """Watch live, from now on; `{"type": "alive"}` comes when nothing else does."""
    watchers = context.watchers
    if len(watchers) >= MOST:
        raise ApiError(503, "too-many-watchers", f"{MOST} clients watch already", "Try again later.")
    sight = await looking(context, who, Act.TAIL, run, session)
    detail = {"grants": sight.viewer.grants(Act.TAIL)} | ({} if agent is None else {"agent": agent})
    await context.looks.watched(str(who.principal), session or run or EVERYWHERE, detail)
    at = await read(context.catalog, position)
    return streamed(_lines(request, context, sight, Wanted(run, session, agent), at))


async def _lines(
    request: Request, context: Control, sight: Sight, wanted: Wanted, at: int
) -> AsyncIterator[bytes]:
    mark = object()
    context.watchers.add(mark)
    spoken, proved = 0.0, time.monotonic()
    try:
        while not context.closing.is_set() and not await request.is_disconnected():
            if time.monotonic() - proved >= ALIVE_SECONDS:
                # a key may be revoked, a role or a grant taken while somebody watches
                proved = time.monotonic()
                again = await same_caller(request)
                sight = await context.sights.of(again.principal, again.roles)
            arrived, lines = await read(context.catalog, _arrived, at, wanted, context, sight)
            at = arrived.position
            if arrived.missed:
                lines.insert(0, {"type": "missed", "at": time.time()})
            if lines:
                yield b"".join(line(one) for one in lines)
                spoken = time.monotonic()
            elif time.monotonic() - spoken >= ALIVE_SECONDS:
                yield line({"type": "alive", "at": time.time()})
                spoken = time.monotonic()
            if not arrived.items:
                await asyncio.sleep(POLL_SECONDS)
    except ApiError:
        yield line({"type": "refused", "at": time.time(), "reason": "the API key is not valid any more"})
    except SQLAlchemyError as error:
        log.error("a watcher is let go: the catalog does not answer", error=str(error))
        yield line({"type": "broken-off", "at": time.time(), "reason": "the catalog does not answer"})
    finally:
        context.watchers.discard(mark)


def _arrived(
    connection: Connection, at: int, wanted: Wanted, context: Control, sight: Sight
) -> tuple[Arrivals, list[dict[str, Any]]]:
    arrived = after(connection, at)
    names = list({name for kind, name in arrived.items if kind is not Arrival.EXCHANGES})
    sessions: dict[str, SessionRecord] = {}
    for part in _parts(names):
        sessions |= sessions_by_id(connection, part)
    lines: list[dict[str, Any]] = []
    for kind, items in groupby(arrived.items, key=itemgetter(0)):
        if kind is Arrival.EXCHANGES:
            for part in _parts([int(name) for _, name in items]):
                lines += (
                    {"type": "exchange", **seen(context, sight, Act.TAIL, one)}
                    for one in exchanges_of(connection, part)
                    if _shown(one, wanted, sight)
                )
            continue
        for _, name in items:
            session = sessions.get(name)
            if session is None or not wanted.fits(session.id, session.run, session.agent):
                continue
            permit = sight.permit(Act.TAIL, session.provenance)
            if permit is not None:
                lines.append(_session_line(kind, session, masked=permit.view is View.MASKED))
    return arrived, lines


def _shown(one: ExchangeRecord, wanted: Wanted, sight: Sight) -> bool:
    if one.aside or not wanted.fits(one.session, one.run, one.agent):
        return False
    return sight.permit(Act.TAIL, one.provenance) is not None


def _session_line(kind: Arrival, session: SessionRecord, *, masked: bool) -> dict[str, Any]:
    moments = {Arrival.OPENED: session.opened, Arrival.CLOSED: session.closed, Arrival.SEALED: session.sealed}
    plain: dict[str, Any] = {
        "type": kind.value,
        "at": seconds(moments[kind] or session.opened),
        "session": session.id,
        "run": session.run,
        "agent": session.agent,
        "principal": session.principal,
        "target": session.target,
    }
    if kind is not Arrival.OPENED:
        plain |= {"outcome": session.outcome, "reason": None if masked else session.reason}
    return plain


def _parts(items: Sequence[Any]) -> list[Sequence[Any]]:
    return [items[at : at + _IDS_AT_ONCE] for at in range(0, len(items), _IDS_AT_ONCE)]
