"""Bundles as they are read, and their exchanges in one order.

Exchanges are ordered by their start, then by session, then by number: no two have the same place, and a
cursor is a place.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, select

from bodycam.catalog.bundles import SPAN, Columns, owned, unpack
from bodycam.catalog.ingest import started_at
from bodycam.catalog.tables import bundles

Place = tuple[int, int, int]
"""An exchange's start, the key of its session, and its number."""

LAG = SPAN + 1000
"""Microseconds by which an exchange may have started before its bundle's id says, at most."""

_B = bundles.c
_COLUMNS = (
    *(_B.id, _B.session, _B.run, _B.statement, _B.verb, _B.aside, _B.status, _B.code),
    *(_B.wordy, _B.low, _B.first, _B.packed, _B.trace, _B.span, _B.details),
)


@dataclass(slots=True, eq=False)
class Row:
    """A bundle as the table has it."""

    id: int
    session: int
    run: int
    statement: int
    verb: str
    aside: bool
    status: str
    code: str | None
    wordy: bool
    low: int
    first: int
    packed: bytes
    trace: str | None
    span: str | None
    details: str | None
    _inside: Columns | None = field(default=None, init=False)

    @property
    def owned(self) -> bool:
        """Whether what its exchanges asked is in their own texts, and not in its statement's."""
        return owned(self.packed)

    @property
    def inside(self) -> Columns:
        """What its exchanges differ in."""
        if self._inside is None:
            self._inside = unpack(self.packed, self.low, self.first)
        return self._inside


def query() -> Select[Any]:
    """All that a `Row` needs."""
    return select(*_COLUMNS)


def rows_of(connection: Connection, asked: Select[Any]) -> list[Row]:
    """The bundles that a query of these columns gives."""
    return [Row(*row) for row in connection.execute(asked).all()]


def fetch(connection: Connection, ids: Sequence[int], *conditions: ColumnElement[bool]) -> list[Row]:
    """The bundles of these ids that fit, in this order."""
    found = rows_of(connection, query().where(bundles.c.id.in_(ids), *conditions))
    by_id = {row.id: row for row in found}
    return [by_id[key] for key in ids if key in by_id]


def ordered(
    rows: Iterable[Row], picks: Callable[[Row], Sequence[int]], *, newest: bool
) -> Iterator[tuple[Row, int]]:
    """The exchanges that `picks` takes of each bundle, all in order, oldest or newest first.

    `rows` come in the order of their ids, and are taken only as far as is needed.
    """
    sign = -1 if newest else 1
    late = 0 if newest else LAG
    heap: list[tuple[int, int, int, int, Row, Iterator[int]]] = []
    for row in rows:
        # what comes from here on lies behind this start
        bound = sign * (started_at(row.id) - late)
        while heap and heap[0][0] < bound:
            yield _first(heap, sign)
        _push(heap, row, iter(_sorted(row, picks(row), newest=newest)), sign)
    while heap:
        yield _first(heap, sign)


def place_of(row: Row, at: int) -> Place:
    """The place of one exchange."""
    return row.inside.starts[at], row.session, row.inside.numbers[at]


def _first(heap: list[tuple[int, int, int, int, Row, Iterator[int]]], sign: int) -> tuple[Row, int]:
    _, _, _, at, row, rest = heapq.heappop(heap)
    _push(heap, row, rest, sign)
    return row, at


def _push(
    heap: list[tuple[int, int, int, int, Row, Iterator[int]]], row: Row, rest: Iterator[int], sign: int
) -> None:
    at = next(rest, None)
    if at is not None:
        started, session, number = place_of(row, at)
        heapq.heappush(heap, (sign * started, sign * session, sign * number, at, row, rest))


def _sorted(row: Row, picked: Sequence[int], *, newest: bool) -> Sequence[int]:
    """The picked exchanges in order; nearly always they were bundled in it."""
    if len(picked) > 1:
        starts, numbers = row.inside.starts, row.inside.numbers
        if starts != sorted(starts) or numbers != sorted(numbers):
            return sorted(picked, key=lambda at: (starts[at], numbers[at]), reverse=newest)
        if newest:
            return picked[::-1]
    return picked
