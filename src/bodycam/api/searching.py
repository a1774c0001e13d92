"""/v1/search: exchanges by what they say."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel

from bodycam.api.caller import In, Who
from bodycam.api.catalog_calls import read
from bodycam.api.exchanges import ExchangeOut, fields
from bodycam.api.listing import Cursor, Limit, Moment, Name, micros
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.search import Hit, search
from bodycam.catalog.snippet import Snippet

router = APIRouter()

MAX_QUESTION = 1000


class SnippetOut(BaseModel):
    """Where a hit matched: `field` is statement, values, error or output; `text[begin:end]` is the match."""

    field: str
    text: str
    begin: int
    end: int


class HitOut(ExchangeOut):
    """An exchange that was found; `snippet` is null when only filters were asked."""

    snippet: SnippetOut | None

    @classmethod
    def found(cls, hit: Hit) -> Self:
        """A hit of the catalog's search."""
        return cls(**fields(hit.exchange), snippet=_snippet(hit.snippet))


class HitsOut(BaseModel):
    """A page of hits, newest first."""

    hits: list[HitOut]
    next: str | None


@router.get("/v1/search")
async def search_exchanges(
    context: In,
    who: Who,
    q: Annotated[str, Query(max_length=MAX_QUESTION, description='Words, "phrases", prefixes*.')] = "",
    run: Name = None,
    session: Name = None,
    agent: Name = None,
    principal: Name = None,
    target: Name = None,
    since: Moment = None,
    until: Moment = None,
    kind: Name = None,
    status: Name = None,
    asides: bool = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> HitsOut:
    """Exchanges that hold all of `q` in statement, values, error or output; without `q`, by filters alone.

    `kind` is the protocol's verb (query, execute, ...), `status` how the exchange ended.
    """
    wanted = ExchangeFilter(
        session=session,
        run=run,
        agent=agent,
        principal=who.confined(principal),
        target=target,
        since=micros(since),
        until=micros(until),
        kind=kind,
        status=status,
        asides=asides,
    )
    if not q.strip():
        plain = await read(context.catalog, list_exchanges, wanted, limit=limit, cursor=cursor, newest=True)
        return HitsOut(hits=[HitOut(**fields(one), snippet=None) for one in plain.items], next=plain.next)
    page = await read(context.catalog, search, q, wanted, limit=limit, cursor=cursor)
    return HitsOut(hits=[HitOut.found(hit) for hit in page.items], next=page.next)


def _snippet(one: Snippet) -> SnippetOut:
    return SnippetOut(field=one.field, text=one.text, begin=one.begin, end=one.end)
