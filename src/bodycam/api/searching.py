"""/v1/search: exchanges by what they say."""

from typing import Annotated, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from bodycam.api.caller import In, Who
from bodycam.api.catalog_calls import read
from bodycam.api.errors import ApiError
from bodycam.api.exchanges import ExchangeOut, fields, looking, seen
from bodycam.api.listing import Cursor, Limit, Moment, Name, micros
from bodycam.api.looks import EVERYWHERE, words
from bodycam.catalog.exchanges import ExchangeFilter, list_exchanges
from bodycam.catalog.search import Hit, search
from bodycam.catalog.snippet import Snippet
from bodycam.catalog.visible import NOTHING
from bodycam.config.viewing import Act, View
from bodycam.model.trace import TRACE_ID

router = APIRouter()

MAX_QUESTION = 1000

TraceId = Annotated[str | None, Query(pattern=TRACE_ID, description="32 hexadecimal digits.")]


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
    """A page of hits, newest first.

    `left_out` says that `q` or `trace` was not looked for in recordings of which you have a masked view: what
    is found there would tell values.
    """

    hits: list[HitOut]
    next: str | None
    left_out: bool


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
    trace: TraceId = None,
    asides: bool = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> HitsOut:
    """Exchanges that hold all of `q` in statement, values, error or output; without `q`, by filters alone.

    `kind` is the protocol's verb (query, execute, ...), `status` how the exchange ended; `trace` is the id of
    a trace, which exchanges claim themselves or by their run.
    """
    sight = await looking(context, who, Act.SEARCH, run, session)
    asked = bool(q.strip())
    values = asked or trace is not None
    hidden = values and sight.visible(Act.SEARCH, View.MASKED) != NOTHING and not sight.everything
    if hidden and sight.visible(Act.SEARCH, View.FULL) == NOTHING:
        raise ApiError(
            403,
            "masked-view",
            "words and traces can't be looked for where your view is masked: what is found would tell values",
            "Ask without them, by run, agent, target, time or status.",
        )
    wanted = ExchangeFilter(
        session=session,
        run=run,
        agent=agent,
        principal=sight.filtered(principal),
        target=target,
        since=micros(since),
        until=micros(until),
        kind=kind,
        status=status,
        trace=trace,
        asides=asides,
        visible=sight.visible(Act.SEARCH, *([View.FULL] if values else [])),
    )
    detail = {"of": "search", "grants": sight.viewer.grants(Act.SEARCH), "words": words(q)}
    filters = (("agent", agent), ("target", target), ("trace", trace))
    detail |= {name: value for name, value in filters if value is not None}
    await context.looks.searched(str(who.principal), session or run or EVERYWHERE, detail)
    if asked:
        page = await read(context.catalog, search, q, wanted, limit=limit, cursor=cursor)
        return HitsOut(hits=[HitOut.found(hit) for hit in page.items], next=page.next, left_out=hidden)
    plain = await read(context.catalog, list_exchanges, wanted, limit=limit, cursor=cursor, newest=True)
    shown = await run_in_threadpool(lambda: [seen(context, sight, Act.SEARCH, one) for one in plain.items])
    return HitsOut(hits=[HitOut(**one, snippet=None) for one in shown], next=plain.next, left_out=hidden)


def _snippet(one: Snippet) -> SnippetOut:
    return SnippetOut(field=one.field, text=one.text, begin=one.begin, end=one.end)
