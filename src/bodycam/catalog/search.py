"""Full-text search over exchanges, newest first, over what a statement says and what its exchange said.

A term fits an exchange when its statement holds it, or its values, error or output do; all terms must fit.
Candidates come in falling order of id from the cheapest source (a rare term's documents, a run's or a
session's index, or time), and every one is then held against all terms and filters, so that the choice of
source never changes an answer. Common terms fill a page within a few chunks; rare ones are few.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from bodycam.catalog import documents
from bodycam.catalog.exchanges import LAST, ExchangeFilter, ExchangeRecord, records, scope_of
from bodycam.catalog.paging import Page, bounded, decode, encode
from bodycam.catalog.snippet import Snippet, cut
from bodycam.catalog.tables import exchanges, runs, sessions, statements
from bodycam.catalog.words import Term, parse

_MOST_STATEMENTS = 2000  # a term that more distinct statements hold is common: walking back in time meets it
_MOST_EXTRAS = 5000
_FIRST_CHUNK, _LAST_CHUNK = 128, 1024


@dataclass(frozen=True, slots=True)
class Hit:
    """An exchange, and the field (`statement`, `values`, `error` or `output`) and place that matched."""

    exchange: ExchangeRecord
    snippet: Snippet


@dataclass(frozen=True, slots=True)
class _Source:
    """Where candidates can come from: about how many, and the statements whose exchanges they are."""

    cost: int
    term: Term
    statements: tuple[int, ...]


def search(
    connection: Connection,
    question: str,
    wanted: ExchangeFilter,
    *,
    limit: int = 50,
    cursor: str | None = None,
) -> Page[Hit]:
    """Exchanges that hold every word and "quoted phrase" of the question (`word*` is a prefix).

    A question without any word finds nothing.

    Raises:
        BadCursor: `cursor` is not one of this search.
    """
    terms = parse(question)
    scope = scope_of(connection, wanted)
    below = LAST if cursor is None else decode(cursor, 1)[0]
    if not terms or scope is None:
        return Page((), None)
    size = bounded(limit)
    judge = _Judge(connection, terms, scope)
    found: list[int] = []
    for chunk in _candidates(connection, terms, wanted, scope, below):
        found += judge.fitting(chunk)
        if len(found) > size:
            break
    hits = tuple(Hit(record, cut(record, terms)) for record in records(connection, found[:size]))
    return Page(hits, encode(found[size - 1]) if len(found) > size else None)


class _Judge:
    """Holds candidates against all terms and filters; what a statement holds is asked once."""

    def __init__(
        self, connection: Connection, terms: Sequence[Term], scope: Sequence[ColumnElement[bool]]
    ) -> None:
        self._connection = connection
        self._terms = terms
        self._scope = scope
        self._asked: set[int] = set()
        self._holding: dict[Term, set[int]] = {term: set() for term in terms}

    def fitting(self, candidates: Sequence[int]) -> list[int]:
        query = (
            select(exchanges.c.id, exchanges.c.statement)
            .join(sessions, sessions.c.key == exchanges.c.session)
            .where(exchanges.c.id.in_(candidates), *self._scope)
        )
        left = {key: statement for key, statement in self._connection.execute(query)}  # noqa: C416
        fresh = set(left.values()) - self._asked
        self._asked |= fresh
        for term in self._terms:
            holding = self._holding[term]
            holding |= documents.matching(self._connection, documents.STATEMENTS, term, fresh)
            rest = [key for key, statement in left.items() if statement not in holding]
            apart = documents.matching(self._connection, documents.EXTRAS, term, rest)
            left = {key: one for key, one in left.items() if one in holding or key in apart}
        return [key for key in candidates if key in left]


def _candidates(
    connection: Connection,
    terms: Sequence[Term],
    wanted: ExchangeFilter,
    scope: Sequence[ColumnElement[bool]],
    below: int,
) -> Iterator[list[int]]:
    sources = [source for term in terms if (source := _source(connection, term)) is not None]
    walk = _size_of(connection, wanted)
    best = min(sources, key=lambda source: source.cost, default=None)
    if best is None or (walk is not None and walk < best.cost):
        yield from _walk(connection, scope, below)
        return
    ids = (key for key, _ in groupby(_merged(connection, best, below)))
    size = _FIRST_CHUNK
    while chunk := list(islice(ids, size)):
        yield chunk
        size = min(size * 2, _LAST_CHUNK)


def _walk(connection: Connection, scope: Sequence[ColumnElement[bool]], below: int) -> Iterator[list[int]]:
    query = (
        select(exchanges.c.id)
        .join(sessions, sessions.c.key == exchanges.c.session)
        .where(*scope)
        .order_by(exchanges.c.id.desc())
    )
    size = _FIRST_CHUNK
    while True:
        chunk = list(connection.execute(query.where(exchanges.c.id < below).limit(size)).scalars())
        if not chunk:
            return
        yield chunk
        below, size = chunk[-1], min(size * 2, _LAST_CHUNK)


def _source(connection: Connection, term: Term) -> _Source | None:
    """The term as a source; None if it is too common to be one."""
    found = documents.newest(connection, documents.STATEMENTS, term, LAST, _MOST_STATEMENTS + 1)
    if len(found) > _MOST_STATEMENTS:
        return None
    apart = len(documents.newest(connection, documents.EXTRAS, term, LAST, _MOST_EXTRAS))
    uses = 0
    for part in _parts(found):
        total = select(func.coalesce(func.sum(statements.c.uses), 0)).where(statements.c.id.in_(part))
        uses += int(connection.execute(total).scalar_one())
    return _Source(uses + apart, term, tuple(found))


def _size_of(connection: Connection, wanted: ExchangeFilter) -> int | None:
    """How many exchanges a walk along the filter's own index meets; None for all there are."""
    total = select(func.coalesce(func.sum(sessions.c.exchanges), 0))
    if wanted.session is not None:
        return int(connection.execute(total.where(sessions.c.id == wanted.session)).scalar_one())
    if wanted.run is not None:
        own = select(runs.c.key).where(runs.c.id == wanted.run).scalar_subquery()
        return int(connection.execute(total.where(sessions.c.run == own)).scalar_one())
    return None


def _merged(connection: Connection, source: _Source, below: int) -> Iterator[int]:
    streams: list[Iterator[int]] = [_extras(connection, source.term, below)]
    for part in _parts(source.statements):
        newest = (
            select(func.max(exchanges.c.id))
            .where(exchanges.c.statement == statements.c.id, exchanges.c.id < below)
            .scalar_subquery()
        )
        heads: Any = connection.execute(select(statements.c.id, newest).where(statements.c.id.in_(part)))
        streams += [_uses(connection, key, head) for key, head in heads if head is not None]
    return heapq.merge(*streams, reverse=True)


def _uses(connection: Connection, statement: int, head: int) -> Iterator[int]:
    """A statement's exchanges from `head` down, fetched only as they are asked for."""
    yield head
    size = _FIRST_CHUNK
    while True:
        query = select(exchanges.c.id).where(exchanges.c.statement == statement, exchanges.c.id < head)
        chunk = list(connection.execute(query.order_by(exchanges.c.id.desc()).limit(size)).scalars())
        if not chunk:
            return
        yield from chunk
        head, size = chunk[-1], _LAST_CHUNK


def _extras(connection: Connection, term: Term, below: int) -> Iterator[int]:
    size = _FIRST_CHUNK
    while chunk := documents.newest(connection, documents.EXTRAS, term, below, size):
        yield from chunk
        below, size = chunk[-1], _LAST_CHUNK


def _parts(items: Sequence[int], size: int = 400) -> list[Sequence[int]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
