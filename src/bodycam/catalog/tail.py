"""What was indexed last, for those who watch live: a short window that moves on.

It is kept longer only where it is handed on (`spans`), as far as that has not got to.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select

from bodycam.catalog.tables import arrivals, meta

KEPT = 2000
_IN_ORDER = 0x61727269  # two writers of one PostgreSQL catalog take turns
HANDED_ON = "handed-on"
"""The row of `meta` that says how far arrivals have been handed on; there only where they are."""


class Arrival(StrEnum):
    """What arrived; exchanges are named by the id of their bundle, a session by its own."""

    OPENED = "opened"
    EXCHANGES = "exchanges"
    CLOSED = "closed"
    SEALED = "sealed"


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Some arrivals in order, and the position to go on from. `missed`: the window had moved past it."""

    items: tuple[tuple[Arrival, str], ...]
    position: int
    missed: bool


def announce(connection: Connection, items: Sequence[tuple[Arrival, str]]) -> None:
    """Adds a batch and drops what left the window."""
    if not items:
        return
    if connection.dialect.name == "postgresql":
        # in the order of their ids is in the order in which they are seen
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_IN_ORDER})")
    plain = [[kind.value, name] for kind, name in items]
    added = connection.execute(insert(arrivals).values(items=plain).returning(arrivals.c.id)).scalar_one()
    needless = added - KEPT
    place = connection.execute(select(meta.c.value).where(meta.c.name == HANDED_ON)).scalar()
    if place is not None:
        needless = min(needless, int(json.loads(place)["batch"]))
    connection.execute(delete(arrivals).where(arrivals.c.id <= needless))


def position(connection: Connection) -> int:
    """The position of what arrives next."""
    return int(connection.execute(select(func.coalesce(func.max(arrivals.c.id), 0))).scalar_one())


def after(connection: Connection, position: int, *, batches: int = 2) -> Arrivals:
    """What arrived after `position`, oldest first, at most so many batches."""
    query = select(arrivals).where(arrivals.c.id > position).order_by(arrivals.c.id).limit(batches)
    rows = connection.execute(query).all()
    if not rows:
        return Arrivals((), position, missed=False)
    items = tuple((Arrival(kind), name) for row in rows for kind, name in row._mapping["items"])
    return Arrivals(items, rows[-1].id, missed=rows[0].id > position + 1)
