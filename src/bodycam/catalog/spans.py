"""What has been indexed or has ended since a place, for those who hand it on; nothing is passed over.

Exchanges follow the `arrivals`, which are kept behind the place (`tail.announce`); runs follow their ends.
The place is a row of the catalog, so that it and what it keeps are lost or restored together.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, case, delete, func, insert, select, tuple_, update

from bodycam.catalog.exchanges import ExchangeRecord, exchanges_of
from bodycam.catalog.runs import RunRecord, get_run
from bodycam.catalog.tables import arrivals, meta, runs, sessions
from bodycam.catalog.tail import HANDED_ON, Arrival, position

_CHUNK: Final = 50  # bundles that are read at once, each of up to 256 exchanges


@dataclass(frozen=True, slots=True)
class Place:
    """How far it has got: so many batches of arrivals and `within` items of the next; runs by end and key."""

    batch: int
    within: int
    run_end: int
    run: int


@dataclass(frozen=True, slots=True)
class Found:
    """An exchange, the database of its session, and its run's claim of a trace and time of start."""

    exchange: ExchangeRecord
    database: str
    run_trace: str | None


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that is over since `end`, in microseconds."""

    run: RunRecord
    end: int


def place(connection: Connection) -> Place | None:
    """Where it had got; None where nothing is handed on."""
    said = connection.execute(select(meta.c.value).where(meta.c.name == HANDED_ON)).scalar()
    if said is None:
        return None
    plain = json.loads(said)
    return Place(plain["batch"], plain["within"], plain["run_end"], plain["run"])


def begin(connection: Connection, now: int) -> Place:
    """Begin with what comes from now on, unless it has begun; `now` in microseconds."""
    known = place(connection)
    if known is not None:
        return known
    fresh = Place(position(connection), 0, now, 0)
    connection.execute(insert(meta).values(name=HANDED_ON, value=_written(fresh)))
    return fresh


def moved(connection: Connection, to: Place) -> None:
    """All up to there is handed on."""
    connection.execute(update(meta).where(meta.c.name == HANDED_ON).values(value=_written(to)))


def stop(connection: Connection) -> None:
    """Nothing is handed on any more, and nothing kept for it."""
    connection.execute(delete(meta).where(meta.c.name == HANDED_ON))


def behind(connection: Connection, after: Place) -> int:
    """How many batches of arrivals wait."""
    return max(0, position(connection) - after.batch)


def exchanges_after(connection: Connection, after: Place, most: int) -> tuple[list[Found], Place]:
    """About `most` exchanges that were indexed next, and the place behind them; the same place: no more."""
    asked = select(arrivals).where(arrivals.c.id > after.batch).order_by(arrivals.c.id).limit(1)
    row = connection.execute(asked).first()
    if row is None:
        return [], after
    items: list[list[str]] = row._mapping["items"]
    found: list[ExchangeRecord] = []
    at = after.within
    while at < len(items) and len(found) < most:
        part = items[at : at + _CHUNK]
        found += exchanges_of(connection, [int(key) for kind, key in part if kind == Arrival.EXCHANGES])
        at += len(part)
    batch, within = (row.id, 0) if at >= len(items) else (after.batch, at)
    return _with_runs(connection, found), Place(batch, within, after.run_end, after.run)


def runs_after(connection: Connection, after: Place, before: int, most: int) -> tuple[list[EndedRun], Place]:
    """Runs that ended next, but not later than `before` (microseconds), and the place behind them."""
    r, end = runs.c, _end()
    asked = (
        select(r.id, r.key, end.label("end"))
        # nothing ends later than it expires: the index leaves what is over long since
        .where(r.expires >= after.run_end, tuple_(end, r.key) > (after.run_end, after.run), end < before)
        .order_by(end, r.key)
        .limit(most)
    )
    rows = connection.execute(asked).all()
    if not rows:
        return [], after
    known = [(get_run(connection, row.id), row.end) for row in rows]
    ended = [EndedRun(run, end) for run, end in known if run is not None]
    return ended, Place(after.batch, after.within, rows[-1].end, rows[-1].key)


def _end() -> ColumnElement[int]:
    r = runs.c
    stopped = func.coalesce(r.ended, r.revoked, r.expires)
    return case((stopped < r.expires, stopped), else_=r.expires)


def _with_runs(connection: Connection, found: list[ExchangeRecord]) -> list[Found]:
    s = sessions.c
    names = sorted({one.session for one in found})
    asked = select(s.id, s.database, runs.c.trace).join(runs, runs.c.key == s.run)
    known: Mapping[str, tuple[Any, ...]] = {
        row[0]: tuple(row[1:]) for row in connection.execute(asked.where(s.id.in_(names)))
    }
    return [Found(one, *known[one.session]) for one in found if one.session in known]


def _written(to: Place) -> str:
    return json.dumps({"batch": to.batch, "within": to.within, "run_end": to.run_end, "run": to.run})
