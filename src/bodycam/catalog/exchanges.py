"""Exchanges: listing by filters, in order or newest first. `search` finds them by what they say."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from bodycam.catalog.ingest import first_id
from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.scope import ExchangeFilter, Scope, scope_of, walk
from bodycam.catalog.tables import bundles, runs, sessions, statements
from bodycam.catalog.unrolling import LAG, Place, Row, fetch, ordered, place_of, query, rows_of
from bodycam.model.provenance import Provenance
from bodycam.model.trace import TraceParent

__all__ = ["ExchangeFilter", "ExchangeRecord", "exchanges_of", "find_exchange", "list_exchanges", "records"]

_CHUNK = 400  # within the number of parameters that every build of SQLite takes


@dataclass(frozen=True, slots=True)
class ExchangeRecord:
    """One exchange as the index knows it; times and durations are microseconds.

    `trace` is what it claims itself; `details` is what its protocol has kept, and a verdict.
    """

    session: str
    run: str
    agent: str
    principal: str
    target: str
    protocol: str
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
    groups: tuple[str, ...] = ()
    """Of whoever started the run."""
    trace: TraceParent | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What names it, whichever index it stands in."""
        return f"{self.session}.{self.number}"

    @property
    def provenance(self) -> Provenance:
        """Where its session comes from."""
        return Provenance(self.principal, self.agent, self.target, self.protocol, self.groups)


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
    behind = place(cursor)
    scope = scope_of(connection, wanted)
    if scope is None:
        return Page((), None)
    scope = scope.narrowed(behind, newest=newest)
    rows = chain.from_iterable(walk(connection, scope, newest=newest))
    size = bounded(limit)
    found: list[tuple[Row, int]] = []
    for one in ordered(rows, lambda row: picked(scope, row, behind, newest=newest), newest=newest):
        found.append(one)
        if len(found) > size:
            break
    return page(records(connection, found[:size]), found, size)


def find_exchange(connection: Connection, session: int, number: int, started: int) -> ExchangeRecord | None:
    """One exchange by its session's key, its number and its start; None if it is not there."""
    b = bundles.c
    above, below = first_id(started), first_id(started + LAG)
    asked = query().where(b.session == session, b.id >= above, b.id <= below, b.low <= number)
    for row in rows_of(connection, asked):
        if number in row.inside.numbers:
            return next(iter(records(connection, [(row, row.inside.numbers.index(number))])), None)
    return None


def exchanges_of(connection: Connection, ids: Sequence[int]) -> list[ExchangeRecord]:
    """All exchanges of these bundles, in the order in which they ended; those that are gone are left out."""
    rows = fetch(connection, ids)
    found = records(connection, [(row, at) for row in rows for at in range(len(row.inside.starts))])
    return sorted(found, key=lambda one: (one.started + one.duration, one.session, one.number))


def place(cursor: str | None) -> Place | None:
    """Where the page before ended.

    Raises:
        BadCursor: the cursor is not one of exchanges.
    """
    if cursor is None:
        return None
    started, session, number = decode(cursor, 3)
    return started, session, number


def page(items: Sequence[Any], found: Sequence[tuple[Row, int]], size: int) -> Page[Any]:
    """A page of these items, made of what was found; one more than `size` means that there is another."""
    return Page(tuple(items), encode(*place_of(*found[size - 1])) if len(found) > size else None)


def picked(scope: Scope, row: Row, behind: Place | None, *, newest: bool) -> list[int]:
    """The exchanges of a bundle that are in time, and behind the page before."""
    found = scope.within(row)
    if behind is None:
        return found
    if newest:
        return [at for at in found if place_of(row, at) < behind]
    return [at for at in found if place_of(row, at) > behind]


def records(connection: Connection, found: Iterable[tuple[Row, int]]) -> list[ExchangeRecord]:
    """All that is known of these exchanges, in this order; those that are gone meanwhile are left out."""
    picks = list(found)
    s = sessions.c
    who = select(s.key, s.id, runs.c.id, s.agent, s.principal, s.target, s.protocol, runs.c.groups)
    who = who.join(runs, runs.c.key == s.run)
    whose = _keyed(connection, who, s.key, {row.session for row, _ in picks})
    what = select(statements.c.id, statements.c.text, statements.c.truncated)
    said = _keyed(connection, what, statements.c.id, {row.statement for row, _ in picks})
    return [
        _record(row, at, whose[row.session], said[row.statement])
        for row, at in picks
        if row.session in whose and row.statement in said
    ]


def _keyed(
    connection: Connection, asked: Select[Any], key: ColumnElement[int], wanted: set[int]
) -> dict[int, tuple[Any, ...]]:
    """The rows of these keys, by the key, which stands first in them."""
    keys, found = sorted(wanted), {}
    for at in range(0, len(keys), _CHUNK):
        for row in connection.execute(asked.where(key.in_(keys[at : at + _CHUNK]))):
            found[row[0]] = tuple(row[1:])
    return found


def _record(row: Row, at: int, whose: tuple[Any, ...], said: tuple[Any, ...]) -> ExchangeRecord:
    inside = row.inside
    session, run, agent, principal, target, protocol, groups = whose
    return ExchangeRecord(
        session=session,
        run=run,
        agent=agent,
        principal=principal,
        target=target,
        protocol=protocol,
        number=inside.numbers[at],
        verb=row.verb,
        aside=row.aside,
        text=inside.own[at] if inside.own else said[0],
        truncated=said[1],
        values=inside.values[at],
        started=inside.starts[at],
        duration=inside.durations[at],
        status=row.status,
        rows=inside.rows[at],
        bytes=inside.sizes[at],
        code=row.code,
        error=inside.errors[at],
        output=inside.outputs[at],
        groups=tuple(groups),
        trace=None if row.trace is None else TraceParent(row.trace, row.span or ""),
        details={} if row.details is None else json.loads(row.details),
    )
