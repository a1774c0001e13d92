"""Full-text search over exchanges, newest first, over what a statement says and what its exchange said.

A term fits an exchange when its statement holds it, or its values, error or output do; all terms must fit.
Candidates are bundles, in falling order of id: where the filters leave few, all that they leave; else those
whose documents hold all terms, merged with those to whose documents a long statement adds its own. Every
exchange is then held against all terms and filters, so that the choice of source never changes an answer.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby, islice

from sqlalchemy import ColumnElement, Connection, func, select

from bodycam.catalog import documents
from bodycam.catalog.exchanges import ExchangeRecord, page, picked, place, records
from bodycam.catalog.matching import Matcher
from bodycam.catalog.paging import Page, bounded
from bodycam.catalog.scope import FIRST_CHUNK, LAST_CHUNK, ExchangeFilter, Scope, merged, scope_of, walk
from bodycam.catalog.snippet import Snippet, cut
from bodycam.catalog.tables import bundles, statements
from bodycam.catalog.unrolling import Row, fetch, ordered, query, rows_of
from bodycam.catalog.words import Term, parse

_FEW = 20_000  # exchanges; so many are looked at one by one rather than all that hold the terms
_MANY = 2000  # documents that hold the terms; fewer are looked at one by one rather than what filters leave
_MOST_STATEMENTS = 100_000  # long ones that hold all terms; where there are more, all bundles are looked at
_ENOUGH, _THIN = 64, 64  # bundles to see whether it is worth going on: if one of so many fits
_FIRST_USES = 8

_Use = tuple[int, int, int]
"""A statement: the highest id of a bundle that uses it, its own id, and by how many exchanges it is used."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An exchange, and the field (`statement`, `values`, `error` or `output`) and place that matched."""

    exchange: ExchangeRecord
    snippet: Snippet


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
    behind = place(cursor)
    scope = scope_of(connection, wanted)
    if not terms or scope is None:
        return Page((), None)
    scope = scope.narrowed(behind, newest=True)
    matcher = Matcher(connection, terms)

    def picks(row: Row) -> Sequence[int]:
        return matcher.fitting(row, picked(scope, row, behind, newest=True))

    chunks = _sparing(connection, terms, scope, matcher)
    candidates = chain.from_iterable(map(matcher.likely, chunks))
    size = bounded(limit)
    found: list[tuple[Row, int]] = []
    for one in ordered(candidates, picks, newest=True):
        found.append(one)
        if len(found) > size:
            break
    hits = [Hit(record, cut(record, terms)) for record in records(connection, found[:size])]
    return page(hits, found, size)


def _sparing(
    connection: Connection, terms: Sequence[Term], scope: Scope, matcher: Matcher
) -> Iterator[list[Row]]:
    """Candidates for terms of which some are prefixes.

    A database gathers all words that begin so before it gives the first bundle. So what holds the other terms
    is looked at first, and the prefixes are asked for only if that has too little of them.
    """
    whole = [term for term in terms if not term.prefix]
    if len(whole) < len(terms):
        seen = 0
        others = _candidates(connection, whole, scope) if whole else walk(connection, scope, newest=True)
        for rows in others:
            yield rows
            seen += len(rows)
            if rows and seen >= _ENOUGH and matcher.fitted * _THIN < seen:
                scope = replace(scope, ceiling=rows[-1].id)
                break
        else:
            return
    yield from _candidates(connection, terms, scope)


def _candidates(connection: Connection, terms: Sequence[Term], scope: Scope) -> Iterator[list[Row]]:
    """Bundles that may hold all terms, falling; all those that do are among them."""
    uses = _uses(connection, terms)
    if uses is None or (scope.reach <= _FEW and _many(connection, terms)):
        return walk(connection, scope, newest=True)
    if not uses and not _mixed(connection, terms):
        return _documents(connection, terms, scope)
    streams = [_documents(connection, terms, scope), _long(connection, uses, scope)]
    if len(terms) > 1:
        # a long statement may hold some terms, and what its exchange said the others
        own = select(statements.c.id).where(statements.c.id == bundles.c.statement, statements.c.long)
        streams += [_documents(connection, [term], scope, own.exists()) for term in terms]
    falling = heapq.merge(*map(chain.from_iterable, streams), key=lambda row: -row.id)
    return _chunked(next(same) for _, same in groupby(falling, key=lambda row: row.id))


def _many(connection: Connection, terms: Sequence[Term]) -> bool:
    """Whether there are more documents with the terms than one would look at one by one."""
    asked, _ = documents.bundles_holding(select(bundles.c.id), terms, connection.dialect.name)
    return len(connection.execute(asked.limit(_MANY)).all()) >= _MANY


def _mixed(connection: Connection, terms: Sequence[Term]) -> bool:
    """Whether a long statement holds any of several terms."""
    if len(terms) == 1:
        return False
    return any(documents.statements_holding(connection, [term], 1) for term in terms)


def _documents(
    connection: Connection, terms: Sequence[Term], scope: Scope, *more: ColumnElement[bool]
) -> Iterator[list[Row]]:
    """The bundles in scope whose documents hold the terms."""
    asked, own = documents.bundles_holding(query(), terms, connection.dialect.name)
    asked = asked.where(*scope.conditions, *scope.among, *more, own >= scope.above).order_by(own.desc())
    below, size = scope.below, FIRST_CHUNK
    while True:
        rows = rows_of(connection, asked.where(own < below).limit(size))
        yield rows
        if len(rows) < size:
            return
        below, size = rows[-1].id, min(size * 2, LAST_CHUNK)


def _uses(connection: Connection, terms: Sequence[Term]) -> list[_Use] | None:
    """The long statements that hold all terms; None if there are too many to look up."""
    found = documents.statements_holding(connection, terms, _MOST_STATEMENTS + 1)
    if len(found) > _MOST_STATEMENTS:
        return None
    uses: list[_Use] = []
    for part in _parts(found):
        uses += documents.among(connection, "statements", "newest, id, uses", "id", part)
    return uses


def _long(connection: Connection, uses: Sequence[_Use], scope: Scope) -> Iterator[list[Row]]:
    """The bundles in scope that use one of these statements."""
    below = scope.below
    heads = {statement: newest for newest, statement, _ in uses if newest < below}
    later = [statement for newest, statement, count in uses if newest >= below and count > 1]
    for part in _parts(later):
        heads.update(_heads(connection, part, below))
    once = {statement for _, statement, count in uses if count == 1}

    def opened(statement: int) -> Iterator[tuple[int, None]]:
        under, size = heads[statement], _FIRST_USES
        yield under, None
        while statement not in once:
            b = bundles.c
            asked = select(b.id).where(b.statement == statement, b.id < under)
            chunk = list(connection.execute(asked.order_by(b.id.desc()).limit(size)).scalars())
            for key in chunk:
                yield key, None
            if len(chunk) < size:
                return
            under, size = chunk[-1], min(size * 4, LAST_CHUNK)

    bounds = [(head, statement) for statement, head in heads.items()]
    ids = (key for key, _ in merged(bounds, opened, newest=True))
    size = FIRST_CHUNK
    while chunk := list(islice(ids, size)):
        inside = [key for key in chunk if key >= scope.above]
        rows = fetch(connection, inside, *scope.conditions)
        yield [row for row in rows if scope.fits(row)]
        if len(inside) < len(chunk):
            return
        size = min(size * 2, LAST_CHUNK)


def _heads(connection: Connection, some: Sequence[int], below: int) -> dict[int, int]:
    """The highest bundle below `below` that uses each of these statements; those without one are left out."""
    b, s = bundles.c, statements.c
    newest = select(func.max(b.id)).where(b.statement == s.id, b.id < below).scalar_subquery()
    found = connection.execute(select(s.id, newest).where(s.id.in_(some)))
    return {statement: head for statement, head in found if head is not None}


def _chunked(rows: Iterator[Row]) -> Iterator[list[Row]]:
    size = FIRST_CHUNK
    while chunk := list(islice(rows, size)):
        yield chunk
        size = min(size * 2, LAST_CHUNK)


def _parts(items: Sequence[int], size: int = 400) -> list[Sequence[int]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
