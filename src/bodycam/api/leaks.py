"""/v1/leaks, /v1/hunts: which secrets were seen, by fingerprint, and in which sessions. Never a value."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from bodycam.api.caller import Caller, In, Reader, Who
from bodycam.api.catalog_calls import read
from bodycam.api.context import Control
from bodycam.api.exchanges import looking, seen
from bodycam.api.found import visible_run
from bodycam.api.listing import Cursor, Limit, Name, seconds
from bodycam.api.looks import EVERYWHERE
from bodycam.api.sights import Sight
from bodycam.catalog.sightings import Leak, LeakFilter, Place, leak_sessions, list_leaks
from bodycam.config.viewing import Act

router = APIRouter()


class PlaceOut(BaseModel):
    """A session in which it turned up, one for each way: `received` by the client, or `sent` by it.

    `exchange` is the number of the exchange that had it first there, `exchanges` how many had it, `values`
    how many values there were (null for a secret).
    """

    session: str
    run: str
    agent: str
    principal: str
    target: str
    way: str
    first: float
    exchange: int
    last: float
    exchanges: int
    values: int | None

    @classmethod
    def of(cls, place: Place) -> Self:
        """A place of the catalog."""
        one = place.sighting
        return cls(
            session=place.session,
            run=place.run,
            agent=place.agent,
            principal=place.principal,
            target=place.target,
            way=one.way,
            first=seconds(one.first),
            exchange=one.exchange,
            last=seconds(one.last),
            exchanges=one.exchanges,
            values=None if one.secret else one.met,
        )


class FirstOut(BaseModel):
    """The first moment, and what was asked then: `verb` and `text` as recorded, null while not indexed."""

    at: float
    session: str
    run: str
    agent: str
    principal: str
    target: str
    way: str
    exchange: int
    verb: str | None
    text: str | None


class LeakOut(BaseModel):
    """A secret, by its `fingerprint`, or a kind of sensitive data that has none, by its detector.

    `sessions` are the first in the order of their first moments; with `more`, /v1/leaks/sessions has all.
    """

    id: str
    fingerprint: str | None
    detector: str
    first: FirstOut
    last: float
    exchanges: int
    values: int | None
    sessions_total: int
    sessions: list[PlaceOut]
    more: bool

    @classmethod
    def of(cls, leak: Leak, asked: Mapping[str, Any] | None) -> Self:
        """A leak of the catalog, and the exchange that had it first as its viewer may see it."""
        begun = leak.places[0]
        first = FirstOut(
            at=seconds(begun.sighting.first),
            session=begun.session,
            run=begun.run,
            agent=begun.agent,
            principal=begun.principal,
            target=begun.target,
            way=begun.sighting.way,
            exchange=begun.sighting.exchange,
            verb=None if asked is None else asked["verb"],
            text=None if asked is None else asked["text"],
        )
        return cls(
            id=leak.what,
            fingerprint=leak.what if leak.secret else None,
            detector=leak.detector,
            first=first,
            last=seconds(leak.last),
            exchanges=leak.exchanges,
            values=None if leak.secret else leak.met,
            sessions_total=leak.sessions,
            sessions=[PlaceOut.of(place) for place in leak.places],
            more=leak.more,
        )


class LeaksOut(BaseModel):
    """A page of leaks, the one that was first seen last first."""

    leaks: list[LeakOut]
    next: str | None


class PlacesOut(BaseModel):
    """A page of sessions, in the order of the first moments."""

    sessions: list[PlaceOut]
    next: str | None


class HuntIn(BaseModel):
    """A hunt that is about to begin: in one run or in all recordings, for these detectors."""

    run: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    detectors: list[Annotated[str, Field(max_length=255)]] = Field(min_length=1, max_length=1000)


class HuntOut(BaseModel):
    """The hunt's place in the ledger is taken: it may begin."""

    run: str | None


@router.post("/v1/hunts")
async def enter_hunt(context: In, who: Reader, body: HuntIn) -> HuntOut:
    """Enter a hunt into the ledger; recordings are decrypted for it on the gateway's machine, by its keys."""
    if body.run is not None:
        await visible_run(context, who, body.run)
    detail = {"detectors": body.detectors}
    await context.trail.before("hunted", str(who.principal), body.run or "recordings", detail)
    return HuntOut(run=body.run)


@router.get("/v1/leaks")
async def leaks(
    context: In, who: Who, run: Name = None, limit: Limit = 100, cursor: Cursor = None
) -> LeaksOut:
    """What was seen in the sessions that you may see.

    With `run`: the secrets that turned up in it, with all their sessions, and of what has no fingerprint the
    run's part.
    """
    sight, wanted = await _looking(context, who, run, "leaks")
    page = await read(context.catalog, list_leaks, wanted, limit=limit, cursor=cursor)

    def shown(one: Leak) -> LeakOut:
        return LeakOut.of(one, None if one.asked is None else seen(context, sight, Act.SEARCH, one.asked))

    return LeaksOut(leaks=await run_in_threadpool(lambda: list(map(shown, page.items))), next=page.next)


@router.get("/v1/leaks/sessions")
async def sessions_of_a_leak(
    context: In,
    who: Who,
    leak: Annotated[str, Query(min_length=1, max_length=255, description="The leak's `id`.")],
    run: Name = None,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> PlacesOut:
    """Every session in which one secret turned up, as /v1/leaks with the same `run` counts them."""
    _, wanted = await _looking(context, who, run, leak)
    page = await read(context.catalog, leak_sessions, leak, wanted, limit=limit, cursor=cursor)
    return PlacesOut(sessions=[PlaceOut.of(one) for one in page.items], next=page.next)


async def _looking(context: Control, who: Caller, run: str | None, what: str) -> tuple[Sight, LeakFilter]:
    if run is not None:
        # what is not there has leaked nothing, which would pass for a run that is clean
        await visible_run(context, who, run)
    sight = await looking(context, who, Act.SEARCH, run)
    detail = {"of": what, "grants": sight.viewer.grants(Act.SEARCH)}
    await context.looks.searched(str(who.principal), run or EVERYWHERE, detail)
    return sight, LeakFilter(run=run, visible=sight.visible(Act.SEARCH))
