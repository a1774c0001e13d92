"""/v1/exchanges: what was asked, in the order in which it was."""

from typing import Any, Self

from fastapi import APIRouter
from pydantic import BaseModel

from bodycam.api.caller import In, Who
from bodycam.api.catalog_calls import read
from bodycam.api.listing import Cursor, Limit, Name, seconds
from bodycam.catalog import exchanges as catalog

router = APIRouter()


class ExchangeOut(BaseModel):
    """One exchange as the index knows it: texts are capped there, `truncated` says whether `text` was; the
    transcript has all of it. `parameters` are the values handed over, as text."""

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

    @classmethod
    def of(cls, one: catalog.ExchangeRecord) -> Self:
        """An exchange of the catalog."""
        return cls(**fields(one))


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
    }


@router.get("/v1/exchanges")
async def list_exchanges(
    context: In,
    who: Who,
    session: Name = None,
    run: Name = None,
    asides: bool = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> ExchangesOut:
    """Exchanges of a session, of a run, or of all; `asides` adds a connection's own housekeeping."""
    wanted = catalog.ExchangeFilter(session=session, run=run, principal=who.only, asides=asides)
    page = await read(context.catalog, catalog.list_exchanges, wanted, limit=limit, cursor=cursor)
    return ExchangesOut(exchanges=[ExchangeOut.of(one) for one in page.items], next=page.next)
