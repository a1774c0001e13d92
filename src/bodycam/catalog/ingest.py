"""Writes what the archivist read about exchanges, a batch a transaction; a batch twice is once."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple, TypeVar
from zlib import crc32

from sqlalchemy import Connection, bindparam, case, select, update

from bodycam.catalog import documents
from bodycam.catalog.bundles import SPAN, Bundle, Columns, numbers
from bodycam.catalog.free_ids import FreeIds
from bodycam.catalog.statement import Statement
from bodycam.catalog.tables import bundles, sessions, statements

T = TypeVar("T")
ID_BITS = 12
_MASK = (1 << ID_BITS) - 1
_LATEST = (1 << 51) - 1  # microseconds; the year 2041
_SLACK = 1000  # microseconds by which an id may say more than the newest start
_CHUNK = 400  # within the number of parameters that every build of SQLite takes


class _Fresh(NamedTuple):
    """A bundle of exchanges that are not there yet."""

    bundle: Bundle
    inside: Columns


def first_id(started: int) -> int:
    """The lowest id of a bundle whose newest exchange started at `started`."""
    return max(0, min(started, _LATEST)) << ID_BITS


def started_at(bundle: int) -> int:
    """When the newest exchange of the bundle of that id started."""
    return bundle >> ID_BITS


def write(
    connection: Connection, found: Sequence[Bundle], *, again: Collection[int] | None = None
) -> list[int]:
    """Adds the exchanges that are not there yet, and gives the ids of the bundles in which they are.

    `again` has the keys of the sessions of which something may be there; None is all of them.
    """
    added: list[int] = []
    for part in _chunks(_unknown(connection, found, again), _CHUNK):
        added += _write(connection, [_Fresh(one, one.columns()) for one in part])
    return added


def _write(connection: Connection, fresh: Sequence[_Fresh]) -> list[int]:
    if not fresh:
        return []
    for one in fresh:
        _bound(one.inside)
    keyed = _with_ids(connection, fresh)
    known = _statements(connection, keyed)
    dialect = connection.dialect.name
    rows = [
        {
            "id": key,
            "session": one.bundle.session,
            "run": one.bundle.run,
            "statement": known[one.bundle.statement.digest],
            "verb": one.bundle.verb,
            "aside": one.bundle.aside,
            "status": one.bundle.status,
            "code": one.bundle.code,
            "exchanges": len(one.bundle.items),
            "wordy": one.inside.wordy,
            "low": min(one.inside.numbers),
            "first": min(one.inside.starts),
            "packed": one.inside.pack(),
            "trace": one.bundle.trace,
            "span": one.bundle.span,
            "details": one.bundle.details,
        }
        for key, one in keyed
    ]
    found = [documents.of_bundle(one.bundle.statement.text, one.inside, dialect) for _, one in keyed]
    documents.insert_rows(connection, bundles, rows, found)
    _count(connection, fresh)
    return [key for key, _ in keyed]


def _unknown(connection: Connection, found: Sequence[Bundle], again: Collection[int] | None) -> list[Bundle]:
    """The bundles without the exchanges that are there: the archivist reads again after a crash."""
    starts: dict[int, tuple[int, int]] = {}
    for one in found:
        if again is None or one.session in again:
            low, high = starts.get(one.session, (_LATEST, 0))
            times = [started for _, started, *_ in one.items]
            starts[one.session] = min(low, *times), max(high, *times)
    if not starts:
        return list(found)
    b = bundles.c
    held: dict[int, set[int]] = {}
    for session, (low, high) in starts.items():
        within = b.id.between(first_id(low), first_id(high + SPAN + _SLACK))
        query = select(b.packed, b.low).where(b.session == session, within)
        held[session] = {number for row in connection.execute(query) for number in numbers(*row)}
    left = (one.without(held[one.session]) if held.get(one.session) else one for one in found)
    return [one for one in left if one.items]


def _bound(inside: Columns) -> None:
    """Starts within what an id can say; clocks that say otherwise are wrong."""
    if min(inside.starts) < 0 or max(inside.starts) > _LATEST:
        inside.starts = [max(0, min(started, _LATEST)) for started in inside.starts]


def _with_ids(connection: Connection, fresh: Sequence[_Fresh]) -> list[tuple[int, _Fresh]]:
    """Each with its id: its newest start, then a discriminator that moves on where another one holds it."""
    wanted = [
        first_id(max(one.inside.starts))
        | (crc32(one.bundle.session_id.encode()) + one.inside.numbers[-1]) & _MASK
        for one in fresh
    ]
    taken = {key for (key,) in documents.among(connection, "bundles", "id", "id", wanted)}
    ids = FreeIds(connection, taken)
    return [(ids.take(key), one) for key, one in zip(wanted, fresh, strict=True)]


def _statements(connection: Connection, keyed: Sequence[tuple[int, _Fresh]]) -> dict[bytes, int]:
    """The id of each distinct statement, made where it is new, its uses counted."""
    uses: Counter[bytes] = Counter()
    newest: dict[bytes, int] = {}
    texts: dict[bytes, Statement] = {}
    for key, one in keyed:
        digest = one.bundle.statement.digest
        uses[digest] += len(one.bundle.items)
        newest[digest] = max(newest.get(digest, 0), key)
        texts[digest] = one.bundle.statement
    known = _known(connection, uses)
    missing = [texts[digest] for digest in sorted(uses.keys() - known.keys())]
    if missing:
        _add(connection, missing)
        known |= _known(connection, [one.digest for one in missing])
    changed = [
        {"own": known[digest], "more": count, "at": newest[digest]} for digest, count in sorted(uses.items())
    ]
    if connection.dialect.name == "sqlite":
        command = "UPDATE statements SET uses = uses + ?, newest = max(newest, ?) WHERE id = ?"
        connection.exec_driver_sql(command, [(one["more"], one["at"], one["own"]) for one in changed])
    else:
        s = statements.c
        later = case((s.newest < bindparam("at"), bindparam("at")), else_=s.newest)
        change = update(statements).where(s.id == bindparam("own"))
        connection.execute(change.values(uses=s.uses + bindparam("more"), newest=later), changed)
    return known


def _known(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    found = documents.among(connection, "statements", "digest, id", "digest", list(digests))
    return {bytes(digest): key for digest, key in found}


def _add(connection: Connection, missing: Sequence[Statement]) -> None:
    dialect = connection.dialect.name
    rows = [
        {
            "digest": one.digest,
            "uses": 0,
            "newest": 0,
            "long": one.long,
            "truncated": one.truncated,
            "text": one.text,
        }
        for one in missing
    ]
    found = [documents.of_statement(one.text, dialect) for one in missing]
    if dialect == "sqlite":
        # Only ids that are known beforehand let rows and words go in as two bulk statements; the writer's
        # lock is held, and AUTOINCREMENT never gives a deleted statement's id again.
        top = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'statements'").scalar()
        keyed = [{"id": key, **row} for key, row in enumerate(rows, (top or 0) + 1)]
        documents.insert_rows(connection, statements, keyed, found)
    else:
        documents.insert_rows(connection, statements, rows, found)


def _count(connection: Connection, fresh: Sequence[_Fresh]) -> None:
    totals: dict[int, list[int]] = {}
    for one in fresh:
        bundle = one.bundle
        total = totals.setdefault(bundle.session, [0, 0, 0, 0])
        exchanges = len(bundle.items)
        total[0] += exchanges
        total[1] += exchanges if not bundle.aside and bundle.status != "ok" else 0
        total[2] += sum(one.inside.rows)
        total[3] += sum(one.inside.sizes)
    names = ("exchanges", "failures", "rows", "bytes")
    change = (
        update(sessions)
        .where(sessions.c.key == bindparam("own"))
        .values({name: sessions.c[name] + bindparam(f"more_{name}") for name in names})
    )
    values = [
        {"own": key} | {f"more_{name}": n for name, n in zip(names, total, strict=True)}
        for key, total in totals.items()
    ]
    connection.execute(change, values)


def _chunks(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[at : at + size] for at in range(0, len(items), size)]
