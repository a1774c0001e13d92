"""Exchanges: listing by filters, in order or newest first. `search` finds them by what they say."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, select

from bodycam.catalog.ingest import first_id, started_at
from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.tables import exchanges, extras, runs, sessions, statements

LAST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """One exchange as the index knows it; times and durations are microseconds."""

    id: int
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
    values: str
    started: int
    duration: int
    status: str
    rows: int
    bytes: int
    code: str | None
    error: str
    output: str


@dataclass(frozen=True, slots=True)
class ExchangeFilter:
    """What to find; None is anything. `since` and `until` bound the start, until excluded."""

    session: str | None = None
    run: str | None = None
    agent: str | None = None
    principal: str | None = None
    target: str | None = None
    since: int | None = None
    until: int | None = None
    kind: str | None = None
    status: str | None = None
    asides: bool = False


def list_exchanges(
    connection: Connection,
    wanted: ExchangeFilter,
    *,
    limit: int = 100,
    cursor: str | None = None,
    newest: bool = False,
) -> Page[ExchangeRecord]:
    """Exchanges in the order of their start, or `newest` first.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    scope = scope_of(connection, wanted)
    if scope is None:
        return Page((), None)
    own = exchanges.c.id
    query = select(own).join(sessions, sessions.c.key == exchanges.c.session).where(*scope)
    query = query.order_by(own.desc() if newest else own)
    if cursor is not None:
        at = decode(cursor, 1)[0]
        query = query.where(own < at if newest else own > at)
    size = bounded(limit)
    keys = connection.execute(query.limit(size + 1)).scalars().all()
    found = records(connection, keys[:size])
    return Page(tuple(found), encode(keys[size - 1]) if len(keys) > size else None)


def get_exchange(connection: Connection, session: str, number: int) -> ExchangeRecord | None:
    """One exchange of a session."""
    query = _query().where(sessions.c.id == session, exchanges.c.number == number)
    row = connection.execute(query).first()
    return None if row is None else ExchangeRecord(started=started_at(row.id), **row._mapping)


def records(connection: Connection, ids: Iterable[int]) -> list[ExchangeRecord]:
    """The exchanges of these ids, in this order; those that are gone are left out."""
    wanted = list(ids)
    rows = connection.execute(_query().where(exchanges.c.id.in_(wanted)))
    found = {row.id: ExchangeRecord(started=started_at(row.id), **row._mapping) for row in rows}
    return [found[key] for key in wanted if key in found]


def scope_of(connection: Connection, wanted: ExchangeFilter) -> list[ColumnElement[bool]] | None:
    """The filter over `exchanges` joined with `sessions`; None if nothing can fit.

    What names a run or a session is looked up first, so that the query runs along that one's index. What
    names an agent, a principal or a target is narrowed to the time in which such sessions were.
    """
    found: list[ColumnElement[bool]] = []
    if wanted.session is not None:
        key = connection.execute(select(sessions.c.key).where(sessions.c.id == wanted.session)).scalar()
        if key is None:
            return None
        found.append(exchanges.c.session == key)
    if wanted.run is not None:
        key = connection.execute(select(runs.c.key).where(runs.c.id == wanted.run)).scalar()
        if key is None:
            return None
        found.append(exchanges.c.run == key)
    people = [
        sessions.c[name] == getattr(wanted, name)
        for name in ("agent", "principal", "target")
        if getattr(wanted, name) is not None
    ]
    if people:
        since, open_still, until = connection.execute(
            select(
                func.min(sessions.c.opened),
                func.count() - func.count(sessions.c.closed),
                func.max(sessions.c.closed),
            ).where(*people)
        ).one()
        if since is None:
            return None
        found += [*people, exchanges.c.id >= first_id(since)]
        if not open_still:
            found.append(exchanges.c.id < first_id(until + 1))
    if wanted.since is not None:
        found.append(exchanges.c.id >= first_id(wanted.since))
    if wanted.until is not None:
        found.append(exchanges.c.id < first_id(wanted.until))
    if wanted.kind is not None:
        found.append(exchanges.c.verb == wanted.kind)
    if wanted.status is not None:
        found.append(exchanges.c.status == wanted.status)
        if wanted.status != "ok":  # said again in the words of the partial index
            found.append(exchanges.c.status != "ok")
    if not wanted.asides and wanted.kind is None:
        found.append(exchanges.c.aside.is_(False))
    return found


def _query() -> Select[Any]:
    e, s = exchanges.c, sessions.c
    return (
        select(
            e.id,
            s.id.label("session"),
            runs.c.id.label("run"),
            s.agent,
            s.principal,
            s.target,
            e.number,
            e.verb,
            e.aside,
            statements.c.text,
            statements.c.truncated,
            func.coalesce(extras.c["values"], "").label("values"),
            e.duration,
            e.status,
            e.rows,
            e.bytes,
            e.code,
            func.coalesce(extras.c.error, "").label("error"),
            func.coalesce(extras.c.output, "").label("output"),
        )
        .join(sessions, s.key == e.session)
        .join(runs, runs.c.key == e.run)
        .join(statements, statements.c.id == e.statement)
        .outerjoin(extras, extras.c.id == e.id)
    )
