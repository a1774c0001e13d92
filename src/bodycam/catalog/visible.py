"""Which sessions somebody may see, as conditions that a query takes to its indexes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from bodycam.catalog import documents
from bodycam.catalog.tables import runs, sessions

_FEW = 2000
"""So many sessions are named one by one; of more, each that comes along is looked at."""


@dataclass(frozen=True, slots=True)
class Visible:
    """What somebody may see. Without anything: nothing.

    Attributes:
        principal: sessions of runs that this principal started.
        provenances: sessions with one of these keys, those of `principal` included; None for no others than
            those of `principal`.
        everything: all there is, whatever the others say.
    """

    principal: str | None = None
    provenances: tuple[int, ...] | None = None
    everything: bool = False


EVERYTHING: Final = Visible(everything=True)
NOTHING: Final = Visible(provenances=())
_NO_SESSION, _NO_RUN = sessions.c.key < 0, runs.c.key < 0


def of_sessions(
    connection: Connection, visible: Visible, *, ordered: bool = False
) -> list[ColumnElement[bool]]:
    """That a row of `sessions` may be seen.

    Few are named, so that they are found by their keys. Among many, a query that is `ordered` meets its page
    soon in that order, and is kept from gathering them all first.
    """
    if visible.everything:
        return []
    if visible.provenances is None:
        return [_NO_SESSION if visible.principal is None else sessions.c.principal == visible.principal]
    few = _few(connection, visible, sessions.c.key)
    if few is not None:
        return [documents.one_of("sessions.key", {row[0] for row in few}, connection.dialect.name)]
    return [among(connection, visible.provenances, indexed=not ordered)]


def of_runs(connection: Connection, visible: Visible) -> list[ColumnElement[bool]]:
    """That a row of `runs` may be seen: somebody's own, or one with a session that may be."""
    if visible.everything:
        return []
    found: list[ColumnElement[bool]] = []
    if visible.principal is not None:
        found.append(runs.c.principal == visible.principal)
    if visible.provenances:
        few = _few(connection, visible, sessions.c.run)
        if few is not None:
            found.append(documents.one_of("runs.key", {row[0] for row in few}, connection.dialect.name))
        else:
            inside = select(sessions.c.key).where(
                sessions.c.run == runs.c.key, among(connection, visible.provenances)
            )
            found.append(inside.correlate(runs).exists())
    return [or_(*found)] if found else [_NO_RUN]


def among(
    connection: Connection, provenances: Sequence[int], *, indexed: bool = False
) -> ColumnElement[bool]:
    """That a session has one of these provenances; without `indexed`, no database takes its index for it."""
    own = "sessions.provenance" if indexed else "sessions.provenance + 0"
    return documents.one_of(own, provenances, connection.dialect.name)


def _few(connection: Connection, visible: Visible, column: ColumnElement[int]) -> Sequence[Row[Any]] | None:
    """The column of all sessions that may be seen; None if they are many."""
    own = among(connection, visible.provenances or (), indexed=True)
    rows = connection.execute(select(column).where(own).limit(_FEW + 1)).all()
    return rows if len(rows) <= _FEW else None
