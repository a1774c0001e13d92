"""Filters over exchanges: what they mean for a bundle, and the shortest way through those that can fit."""

import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select

from bodycam.catalog import documents
from bodycam.catalog.ingest import first_id, started_at
from bodycam.catalog.tables import bundles, runs, sessions
from bodycam.catalog.unrolling import LAG, Place, Row, query, rows_of
from bodycam.catalog.visible import EVERYTHING, Visible, of_sessions

_LAST = 2**63 - 1
_VERY_MANY = 2**62
_END = 1 << 51  # microseconds; no start is counted as later
_MOST_SESSIONS = 5000  # that many of one agent are so many that walking back in time meets them
_SLACK = 1000  # microseconds by which a bundle's id may say more than the newest start in it
_MOST_COUNTED = 20_000
_MOST_RUNS = 200  # of one trace
FIRST_CHUNK, LAST_CHUNK = 64, 512


@dataclass(frozen=True, slots=True)
class ExchangeFilter:
    """What to find; None is anything. `since` and `until` bound the start, until excluded.

    `trace` is the id of one; an exchange is of the trace that it claims, and else of its run's.
    """

    session: str | None = None
    run: str | None = None
    agent: str | None = None
    principal: str | None = None
    target: str | None = None
    since: int | None = None
    until: int | None = None
    kind: str | None = None
    status: str | None = None
    trace: str | None = None
    asides: bool = False
    visible: Visible = EVERYTHING


@dataclass(frozen=True, slots=True)
class Scope:
    """A filter that was looked up.

    Attributes:
        conditions: what a bundle must fulfil, in words that make no database choose an index for them.
        since, until: bounds of an exchange's start.
        people: the sessions of an agent, a principal, a target, each with its time; None for any.
        among: that a bundle is of one of these sessions, for a database to see to.
        way: the shortest way through all that can fit, said so that the database takes its index; None is
            along the people's sessions.
        reach: how many exchanges there are on this way, at most.
        ceiling: an id at or above which nothing is wanted any more.
    """

    conditions: tuple[ColumnElement[bool], ...]
    since: int
    until: int
    people: dict[int, tuple[int, int]] | None
    among: tuple[ColumnElement[bool], ...]
    way: tuple[ColumnElement[bool], ...] | None
    reach: int
    ceiling: int = _LAST

    def narrowed(self, cursor: Place | None, *, newest: bool) -> "Scope":
        """The scope of the page behind a cursor."""
        if cursor is None:
            return self
        if not newest:
            return replace(self, since=max(self.since, cursor[0]))
        until = min(self.until, cursor[0] + 1)
        return replace(self, conditions=(*self.conditions, bundles.c.first < until), until=until)

    @property
    def above(self) -> int:
        """The lowest id that a bundle with such an exchange can have."""
        return first_id(self.since)

    @property
    def below(self) -> int:
        """All ids of bundles with such an exchange are below."""
        return min(self.ceiling, first_id(self.until + LAG) + 1)

    def fits(self, row: Row) -> bool:
        """Whether the bundle is of the people that are wanted."""
        return self.people is None or row.session in self.people

    def within(self, row: Row) -> list[int]:
        """The exchanges of the bundle that started in time."""
        starts = row.inside.starts
        if row.first >= self.since and started_at(row.id) < self.until:
            return list(range(len(starts)))
        return [at for at, started in enumerate(starts) if self.since <= started < self.until]


def scope_of(connection: Connection, wanted: ExchangeFilter) -> Scope | None:
    """The filter looked up; None if nothing can fit."""
    b, s = bundles.c, sessions.c
    found: list[ColumnElement[bool]] = []
    ways: list[tuple[int, tuple[ColumnElement[bool], ...] | None]] = [(_VERY_MANY, ())]
    people: dict[int, tuple[int, int]] | None = None
    among: tuple[ColumnElement[bool], ...] = ()
    since = max(0, wanted.since or 0)
    until = _END if wanted.until is None else max(0, wanted.until)
    if wanted.session is not None:
        own = connection.execute(select(s.key, s.exchanges).where(s.id == wanted.session)).first()
        if own is None:
            return None
        found.append(b.session + 0 == own.key)
        ways.append((own.exchanges, (b.session == own.key,)))
    if wanted.run is not None:
        run = connection.execute(select(runs.c.key).where(runs.c.id == wanted.run)).scalar()
        if run is None:
            return None
        total = select(func.coalesce(func.sum(s.exchanges), 0)).where(s.run == run)
        found.append(b.run + 0 == run)
        ways.append((int(connection.execute(total).scalar_one()), (b.run == run,)))
    named = [
        s[name] == getattr(wanted, name)
        for name in ("agent", "principal", "target")
        if getattr(wanted, name) is not None
    ]
    seen = of_sessions(connection, wanted.visible)
    if wanted.visible.provenances is None:
        named += seen
        seen = []
    who = [*named, *seen]
    if who:
        ends = func.coalesce(s.closed, _END)
        asked = select(s.key, s.opened, ends, s.exchanges).where(*who, s.opened < until, ends >= since)
        listed = connection.execute(asked.limit(_MOST_SESSIONS + 1)).all()
        if not listed:
            return None
        if len(listed) <= _MOST_SESSIONS:
            people = {key: (opened, ended) for key, opened, ended, _ in listed}
            among = (documents.one_of("bundles.session + 0", people, connection.dialect.name),)
            ways.append((sum(count for *_, count in listed), None))
        else:
            if named:
                times = select(func.min(s.opened), func.max(ends)).where(*named)
                opened, ended = connection.execute(times).one()
                since, until = max(since, opened), min(until, ended + 1)
            found.append(select(s.key).where(s.key == b.session, *who).exists())
    if wanted.status is not None:
        found.append(b.status == wanted.status)
    if wanted.status is not None and wanted.status != "ok":
        # said again in the words of the partial index
        ways.append(_counted(connection, b.status == wanted.status, b.status != "ok"))
    if wanted.trace is not None:
        named_so = list(connection.execute(_of_trace(wanted.trace)).scalars())
        claimed = func.coalesce(b.trace, "") == wanted.trace
        found.append(or_(claimed, b.trace.is_(None) & (b.run + 0).in_(named_so)) if named_so else claimed)
        # said again in the words of the partial index
        ways.append(_counted(connection, b.trace == wanted.trace, b.trace.is_not(None)))
        if named_so:
            ways[-1] = (_VERY_MANY - 1, (or_(b.run.in_(named_so), b.trace == wanted.trace),))
    if wanted.kind is not None:
        found.append(func.coalesce(b.verb, "") == wanted.kind)
        ways.append(_counted(connection, b.verb == wanted.kind))
    if not wanted.asides and wanted.kind is None:
        found.append(b.aside.is_(False))
    if until < _END:
        found.append(b.first < until)
    reach, way = min(ways, key=lambda one: one[0])
    return Scope(tuple(found), since, until, people, among, way, reach)


def _of_trace(trace: str) -> Select[tuple[int]]:
    """The newest runs of a trace, by the parent that they claim."""
    claimed = runs.c.trace
    # no range: in what order signs stand differs by database
    asked = select(runs.c.key).where(claimed.is_not(None), func.substr(claimed, 4, 32) == trace)
    return asked.order_by(runs.c.key.desc()).limit(_MOST_RUNS)


def _counted(
    connection: Connection, *index: ColumnElement[bool]
) -> tuple[int, tuple[ColumnElement[bool], ...]]:
    """How many bundles there are along an index, counted up to a bound; more are many, but fewer than all."""
    some = select(bundles.c.id).where(*index).limit(_MOST_COUNTED).subquery()
    count = int(connection.execute(select(func.count()).select_from(some)).scalar_one())
    return (count if count < _MOST_COUNTED else _VERY_MANY - 1), index


def walk(connection: Connection, scope: Scope, *, newest: bool) -> Iterator[list[Row]]:
    """All bundles that can fit, in the order of their ids, along the shortest way; chunk by chunk."""
    if scope.way is None and scope.people is not None:
        return _sessions(connection, scope, scope.people, newest=newest)
    return _along(connection, scope, scope.way or (), newest=newest)


def merged(
    bounds: Sequence[tuple[int, int]], opened: Callable[[int], Iterator[tuple[int, Any]]], *, newest: bool
) -> Iterator[tuple[int, Any]]:
    """What many streams give, in the order of their ids, each opened only when it can have the next one.

    `bounds` has a bound of each one's ids, and its key; `opened(key)` gives `(id, what it is)`.
    """
    sign = -1 if newest else 1
    heap: list[tuple[int, int, Any, Iterator[tuple[int, Any]] | None]] = [
        (sign * bound, key, None, None) for bound, key in bounds
    ]
    heapq.heapify(heap)
    while heap:
        at, key, what, stream = heap[0]
        if stream is None:
            stream = opened(key)
        else:
            yield sign * at, what
        following = next(stream, None)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (sign * following[0], key, following[1], stream))


def _along(
    connection: Connection, scope: Scope, index: tuple[ColumnElement[bool], ...], *, newest: bool
) -> Iterator[list[Row]]:
    own = bundles.c.id
    asked = query().where(*index, *scope.conditions).order_by(own.desc() if newest else own)
    above, below, size = scope.above, scope.below, FIRST_CHUNK
    while True:
        rows = rows_of(connection, asked.where(own >= above, own < below).limit(size))
        yield [row for row in rows if scope.fits(row)]
        if len(rows) < size:
            return
        above, below = (above, rows[-1].id) if newest else (rows[-1].id + 1, below)
        size = min(size * 2, LAST_CHUNK)


def _sessions(
    connection: Connection, scope: Scope, people: dict[int, tuple[int, int]], *, newest: bool
) -> Iterator[list[Row]]:
    """Through the bundles of some sessions."""

    def opened(session: int) -> Iterator[tuple[int, Row]]:
        for rows in _along(connection, scope, (bundles.c.session == session,), newest=newest):
            for row in rows:
                yield row.id, row

    bounds = [
        (first_id(ended + _SLACK) if newest else first_id(begun), key)
        for key, (begun, ended) in people.items()
    ]
    rows = (row for _, row in merged(bounds, opened, newest=newest))
    size = FIRST_CHUNK
    while chunk := list(islice(rows, size)):
        yield chunk
        size = min(size * 2, LAST_CHUNK)
