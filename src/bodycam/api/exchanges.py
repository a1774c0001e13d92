"""/v1/exchanges: what was asked, in the order in which it was."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from bodycam.api import masked_view
from bodycam.api.caller import Caller, In, Who
from bodycam.api.catalog_calls import read
from bodycam.api.context import Control
from bodycam.api.found import listed_run, listed_session, sees_some
from bodycam.api.fresh import must_be_fresh
from bodycam.api.listing import Cursor, Limit, Name, seconds
from bodycam.api.looks import EVERYWHERE
from bodycam.api.purpose import Purpose, PurposeAsked
from bodycam.api.sights import Sight, not_granted
from bodycam.catalog import exchanges as catalog
from bodycam.config.viewing import Act, View

router = APIRouter()


class ExchangeOut(BaseModel):
    """One exchange as the index knows it: texts are capped there, `truncated` says whether `text` was; the
    transcript has all of it. `parameters` are the values handed over, as text; `trace` is the traceparent
    that the exchange itself claims."""

    id: str
    session: str
    run: str
    agent: str
    principal: str
    target: str
    number: int
    verb: str
    aside: bool
    text: str
    truncated: bool
    parameters: str
    started: float
    duration_us: int
    status: str
    rows: int
    bytes: int
    code: str | None
    error: str
    trace: str | None


class ExchangesOut(BaseModel):
    """A page of exchanges in the order of their start."""

    exchanges: list[ExchangeOut]
    next: str | None


def fields(one: catalog.ExchangeRecord) -> dict[str, Any]:
    """An exchange's fields as answers show them."""
    return {
        "id": one.id,
        "session": one.session,
        "run": one.run,
        "agent": one.agent,
        "principal": one.principal,
        "target": one.target,
        "number": one.number,
        "verb": one.verb,
        "aside": one.aside,
        "text": one.text,
        "truncated": one.truncated,
        "parameters": one.values,
        "started": seconds(one.started),
        "duration_us": one.duration,
        "status": one.status,
        "rows": one.rows,
        "bytes": one.bytes,
        "code": one.code,
        "error": one.error,
        "trace": None if one.trace is None else str(one.trace),
    }


@router.get("/v1/exchanges")
async def list_exchanges(
    context: In,
    who: Who,
    session: Name = None,
    run: Name = None,
    asides: bool = False,
    purpose: PurposeAsked = Purpose.LOOK,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ExchangesOut:
    """Exchanges of a session, of a run, or of all; `asides` adds a connection's own housekeeping."""
    act = purpose.act(Act.SEARCH)
    sight = await looking(context, who, act, run, session)
    detail = {"of": "exchanges", "grants": sight.viewer.grants(act)}
    if purpose is Purpose.EXPORT:
        must_be_fresh(context, who)
        await context.looks.exported(str(who.principal), session or run or EVERYWHERE, detail)
    else:
        await context.looks.searched(str(who.principal), session or run or EVERYWHERE, detail)
    wanted = catalog.ExchangeFilter(session=session, run=run, asides=asides, visible=sight.visible(act))
    page = await read(context.catalog, catalog.list_exchanges, wanted, limit=limit, cursor=cursor)
    shown = await run_in_threadpool(lambda: [seen(context, sight, act, one) for one in page.items])
    return ExchangesOut(exchanges=[ExchangeOut(**one) for one in shown], next=page.next)


async def looking(
    context: Control, who: Caller, act: Act, run: str | None = None, session: str | None = None
) -> Sight:
    """What they may look at, who want to do this with a run, a session, or whatever there is.

    Raises:
        ApiError: 403, nothing lets them do so with any recording, or with this one that they see listed: to
            find nothing there would pass for one in which nothing happened.
    """
    sight = await context.sights.of(who.principal, who.roles)
    sight.needs(act)
    if sight.everything:
        return sight
    if session is not None and (one := await listed_session(context, who, session)) is not None:
        sight.permitted(act, one.provenance)
    if run is not None and (found := await listed_run(context, who, run)) is not None:
        mine = who.owns(str(found.principal)) and sight.viewer.own(act) is not None
        if not mine and not await sees_some(context, who, run, act):
            raise not_granted(act)
    return sight


def seen(context: Control, sight: Sight, act: Act, one: catalog.ExchangeRecord) -> dict[str, Any]:
    """An exchange's fields as its viewer may see them; where nothing says so, masked."""
    permit, plain = sight.permit(act, one.provenance), fields(one)
    if permit is not None and permit.view is View.FULL:
        return plain
    return masked_view.exchange(plain, context.literals.get(one.protocol))
