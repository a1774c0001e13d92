"""What was indexed last, for those who watch live: a short window that moves on, never a history."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, func, insert, select

from bodycam.catalog.tables import arrivals

KEPT = 2000


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
    plain = [[kind.value, name] for kind, name in items]
    added = connection.execute(insert(arrivals).values(items=plain).returning(arrivals.c.id)).scalar_one()
    connection.execute(delete(arrivals).where(arrivals.c.id <= added - KEPT))


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
