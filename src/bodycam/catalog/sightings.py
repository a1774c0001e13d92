"""Where secrets turned up: one row for each secret, or kind of sensitive data, of each session and way.

Rows are written by the archivist from the notes of a session, and rebuilt from recordings. They hold keyed
fingerprints and never a value.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, func, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from bodycam.catalog.exchanges import ExchangeRecord, find_exchange
from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.tables import runs, sessions, sightings
from bodycam.catalog.visible import EVERYTHING, Visible, of_sessions

RECEIVED, SENT = "received", "sent"
FIRST_SESSIONS = 20
"""Sessions of a leak that are told at once; `leak_sessions` has them all."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one session has of a secret (`what`: its fingerprint), or of a kind without one (the detector).

    Times are microseconds of the Unix epoch. `exchange` and `started` are of the exchange that had it first;
    number 0 is what belongs to none. `met` is how many values there were; of a secret it is not known, and 0.
    """

    what: str
    way: str
    secret: bool
    detector: str
    first: int
    exchange: int
    started: int
    last: int
    exchanges: int
    met: int


@dataclass(frozen=True, slots=True)
class Place:
    """A sighting with the session that it is of."""

    session: str
    run: str
    agent: str
    principal: str
    target: str
    sighting: Sighting


@dataclass(frozen=True, slots=True)
class Leak:
    """A secret, or a kind of sensitive data, wherever it turned up.

    `asked` is the exchange of the first sighting, None while it is not indexed or belongs to none. `places`
    are the first ones, in the order of their first moments; `sessions`, `exchanges` and `met` are totals.
    """

    what: str
    secret: bool
    detector: str
    last: int
    sessions: int
    exchanges: int
    met: int
    asked: ExchangeRecord | None
    places: tuple[Place, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class LeakFilter:
    """What to list; None is anything.

    With a run: the secrets that turned up in it, with all their places, and of the kinds without a
    fingerprint the run's part. `principal` bounds everything to the sessions of who started them.
    """

    run: str | None = None
    principal: str | None = None
    visible: Visible = EVERYTHING


def write(connection: Connection, session: int, run: int, found: Iterable[Sighting]) -> None:
    """Write all that is known of these in a session, over what is there of them."""
    rows = [
        {"session": session, "run": run} | {name: getattr(one, name) for name in one.__slots__}
        for one in found
    ]
    if not rows:
        return
    own = ("session", "what", "way")
    changing = [name for name in rows[0] if name not in own]
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    added = insert(sightings)
    over = added.on_conflict_do_update(
        index_elements=list(own), set_={name: added.excluded[name] for name in changing}
    )
    connection.execute(over, rows)


def list_leaks(
    connection: Connection, wanted: LeakFilter, *, limit: int = 100, cursor: str | None = None
) -> Page[Leak]:
    """What turned up, the one that was first seen last first.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    s = sightings.c
    begun, key = func.min(s.first), func.min(s.key)
    totals = (func.max(s.last), func.count(s.session.distinct()), func.sum(s.exchanges), func.sum(s.met))
    query = (
        select(s.what, s.secret, begun, key, *totals)
        .join(sessions, sessions.c.key == s.session)
        .join(runs, runs.c.key == s.run)
        .where(*_conditions(connection, wanted))
        .group_by(s.what, s.secret)
        .order_by(begun.desc(), key.desc())
    )
    if cursor is not None:
        query = query.having(tuple_(begun, key) < tuple_(*decode(cursor, 2)))
    size = bounded(limit)
    rows = connection.execute(query.limit(size + 1)).all()
    found = tuple(_leak(connection, wanted, row) for row in rows[:size])
    return Page(found, encode(rows[size - 1][2], rows[size - 1][3]) if len(rows) > size else None)


def leak_sessions(
    connection: Connection, what: str, wanted: LeakFilter, *, limit: int = 100, cursor: str | None = None
) -> Page[Place]:
    """Every session in which it turned up, in the order of the first moments; one a way.

    Raises:
        BadCursor: `cursor` is not one of this listing.
    """
    s = sightings.c
    conditions = [*_conditions(connection, wanted), s.what == what]
    if cursor is not None:
        conditions.append(tuple_(s.first, s.key) > tuple_(*decode(cursor, 2)))
    size = bounded(limit)
    rows = _rows(connection, conditions, size + 1)
    found = tuple(_place(row) for row in rows[:size])
    return Page(found, encode(rows[size - 1].first, rows[size - 1].key) if len(rows) > size else None)


def _conditions(connection: Connection, wanted: LeakFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.principal is not None:
        found.append(sessions.c.principal == wanted.principal)
    seen = of_sessions(connection, wanted.visible)
    found += seen
    if wanted.run is not None:
        own = select(runs.c.key).where(runs.c.id == wanted.run).scalar_subquery()
        s, inner = sightings.c, sightings.alias()
        there = select(inner.c.what).where(inner.c.run == own, inner.c.secret.is_(True))
        if seen:
            # what was met in a session that they don't see must not bring up where else it was met
            inside = select(sessions.c.key).where(*seen).correlate(None)
            there = there.where(inner.c.session.in_(inside))
        found.append(
            or_(and_(s.secret.is_(True), s.what.in_(there)), and_(s.secret.is_(False), s.run == own))
        )
    return found


def _rows(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], limit: int
) -> Sequence[Row[Any]]:
    s = sightings.c
    who = (
        sessions.c.id.label("session_id"),
        runs.c.id.label("run_id"),
        sessions.c.agent,
        sessions.c.principal,
        sessions.c.target,
    )
    return connection.execute(
        select(sightings, *who)
        .join(sessions, sessions.c.key == s.session)
        .join(runs, runs.c.key == s.run)
        .where(*conditions)
        .order_by(s.first, s.key)
        .limit(limit)
    ).all()


def _leak(connection: Connection, wanted: LeakFilter, row: Row[Any]) -> Leak:
    what, secret, _, _, last, total, exchanges, met = tuple(row)
    s = sightings.c
    own = [*_conditions(connection, wanted), s.what == what, s.secret.is_(secret)]
    rows = _rows(connection, own, FIRST_SESSIONS + 1)
    first = rows[0]
    asked = find_exchange(connection, first.session, first.exchange, first.started)
    return Leak(
        what=what,
        secret=secret,
        detector=first.detector,
        last=last,
        sessions=total,
        exchanges=int(exchanges),
        met=int(met),
        asked=asked,
        places=tuple(_place(one) for one in rows[:FIRST_SESSIONS]),
        more=len(rows) > FIRST_SESSIONS,
    )


def _place(row: Row[Any]) -> Place:
    plain = row._mapping
    sighting = Sighting(**{name: plain[name] for name in Sighting.__slots__})
    return Place(row.session_id, row.run_id, row.agent, row.principal, row.target, sighting)
