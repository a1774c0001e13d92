"""/v1/legal-holds: what no rule of retention deletes, until it is released."""

from typing import Annotated, Self

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from bodycam.api.caller import Admin, In, Reader
from bodycam.api.catalog_calls import read, write
from bodycam.api.errors import ApiError, not_found
from bodycam.api.listing import Cursor, Limit, maybe_seconds, micros, now_micros, seconds
from bodycam.api.nul import WITHOUT_NUL
from bodycam.catalog import holds as catalog
from bodycam.catalog.words import parse
from bodycam.model.ids import LEGAL_HOLD, new_id

router = APIRouter()

Text = Annotated[str, StringConstraints(min_length=1, max_length=512, pattern=WITHOUT_NUL)]
Long = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=WITHOUT_NUL)]
Moment = Annotated[float, Field(ge=0, le=2**40, allow_inf_nan=False)]


class HoldIn(BaseModel):
    """A hold to add: sessions that fit all that is given, those to come too.

    `query` is words as `/v1/search` takes them, which one exchange has to hold; between `since` and `until`
    the session has to have been open for a moment.
    """

    model_config = ConfigDict(extra="forbid")

    query: Long | None = None
    run: Text | None = None
    agent: Text | None = None
    principal: Text | None = None
    target: Text | None = None
    since: Moment | None = None
    until: Moment | None = None
    reason: Long


class ReleaseIn(BaseModel):
    """Why a hold is released."""

    model_config = ConfigDict(extra="forbid")

    reason: Long


class HoldOut(BaseModel):
    """A hold; it is in force while `released` is null."""

    id: str
    query: str | None
    run: str | None
    agent: str | None
    principal: str | None
    target: str | None
    since: float | None
    until: float | None
    reason: str
    actor: str
    created: float
    released: float | None
    released_by: str | None
    release_reason: str | None

    @classmethod
    def of(cls, one: catalog.LegalHold) -> Self:
        """A hold of the catalog."""
        held = one.held
        return cls(
            id=one.id,
            query=held.words,
            run=held.run,
            agent=held.agent,
            principal=held.principal,
            target=held.target,
            since=maybe_seconds(held.since),
            until=maybe_seconds(held.until),
            reason=one.reason,
            actor=one.actor,
            created=seconds(one.created),
            released=maybe_seconds(one.released),
            released_by=one.released_by,
            release_reason=one.release_reason,
        )


class HoldsOut(BaseModel):
    """A page of holds, newest first."""

    holds: list[HoldOut]
    next: str | None


@router.post("/v1/legal-holds", status_code=201)
async def add_hold(context: In, who: Admin, body: HoldIn) -> HoldOut:
    """Hold recordings. Once this has answered, nothing that fits is deleted any more."""
    told = body.model_dump(exclude={"reason"}, exclude_none=True)
    if not told:
        raise ApiError(
            422, "invalid", "this hold is about nothing", "Give a query, a run, an agent, a target or a time."
        )
    if body.query is not None and not parse(body.query):
        raise ApiError(422, "invalid", "the query has no word in it", "Words are letters and digits.")
    if body.since is not None and body.until is not None and body.since >= body.until:
        raise ApiError(422, "invalid", "since is not before until", "Give the earlier time as since.")
    held = catalog.Held(
        words=body.query,
        run=body.run,
        agent=body.agent,
        principal=body.principal,
        target=body.target,
        since=micros(body.since),
        until=micros(body.until),
    )
    name, actor = new_id(LEGAL_HOLD), str(who.principal)
    await context.trail.before("legal-hold-added", actor, name, told | {"reason": body.reason})
    added = await write(context.catalog, catalog.add_hold, name, held, body.reason, actor, now_micros())
    await context.archivist.settle_holds()
    return HoldOut.of(added)


@router.get("/v1/legal-holds")
async def list_holds(
    context: In, who: Reader, released: bool = False, limit: Limit = 100, cursor: Cursor = None
) -> HoldsOut:
    """Holds in force, newest first; with `released` all that there ever were."""
    page = await read(context.catalog, catalog.list_holds, released=released, limit=limit, cursor=cursor)
    return HoldsOut(holds=[HoldOut.of(one) for one in page.items], next=page.next)


@router.post("/v1/legal-holds/{hold}/release")
async def release_hold(hold: str, context: In, who: Admin, body: ReleaseIn) -> HoldOut:
    """End a hold: from now on the rules count for what it kept."""
    found = await read(context.catalog, catalog.get_hold, hold)
    if found is None:
        raise not_found("legal hold", hold)
    if found.released is not None:
        raise ApiError(409, "released", f"legal hold {hold} is released already", "There is nothing to do.")
    actor, now = str(who.principal), now_micros()
    await context.trail.before("legal-hold-released", actor, hold, {"reason": body.reason})
    await write(context.catalog, catalog.release_hold, hold, body.reason, actor, now)
    after = await read(context.catalog, catalog.get_hold, hold)
    assert after is not None
    return HoldOut.of(after)
