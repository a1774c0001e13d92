"""Writes what the archivist read about exchanges, a batch a transaction; a batch twice is once."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from zlib import crc32

from sqlalchemy import Connection, and_, bindparam, or_, select, update

from bodycam.catalog import documents
from bodycam.catalog.free_ids import FreeIds
from bodycam.catalog.tables import exchanges, extras, sessions, statements
from bodycam.catalog.words import words

T = TypeVar("T")
ID_BITS = 12
_MASK = (1 << ID_BITS) - 1
_LATEST = (1 << 51) - 1  # microseconds; the year 2041
_CHUNK = 400  # within the number of parameters that every build of SQLite takes


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's text as it is kept, and the digest of the whole of it."""

    digest: bytes
    text: str
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class ExchangeRow:
    """One finished exchange. `session` and `run` are keys; times and durations are microseconds.

    `session_id` is the same in every catalog that is built from the recordings, which a key is not.
    """

    session: int
    session_id: str
    run: int
    number: int
    started: int
    verb: str
    aside: bool
    status: str
    duration: int
    rows: int
    bytes: int
    code: str | None
    statement: Statement
    values: str = ""
    error: str = ""
    output: str = ""


def first_id(started: int) -> int:
    """The lowest id of an exchange that started at `started`."""
    return max(0, min(started, _LATEST)) << ID_BITS


def started_at(exchange: int) -> int:
    """When the exchange of that id started."""
    return exchange >> ID_BITS


def statement_of(text: str, kept: int) -> Statement:
    """The statement of that text, of which `kept` characters are kept."""
    clean = storable(text)
    digest = hashlib.blake2b(clean.encode(), digest_size=16).digest()
    return Statement(digest, clean[:kept], len(clean) > kept)


def storable(text: str) -> str:
    """The text without what PostgreSQL (NUL) or UTF-8 (lone surrogates) can't hold."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def write(connection: Connection, rows: Sequence[ExchangeRow]) -> list[int]:
    """Adds the exchanges that are not there yet, and gives their ids."""
    fresh = _unknown(connection, rows)
    if not fresh:
        return []
    keyed = _with_ids(connection, fresh)
    known = _statements(connection, fresh)
    documents.insert_rows(
        connection,
        exchanges,
        [
            {
                "id": key,
                "session": row.session,
                "number": row.number,
                "run": row.run,
                "statement": known[row.statement.digest],
                "verb": row.verb,
                "aside": row.aside,
                "status": row.status,
                "duration": row.duration,
                "rows": row.rows,
                "bytes": row.bytes,
                "code": row.code,
            }
            for key, row in keyed
        ],
    )
    wordy = [(key, row) for key, row in keyed if row.values or row.error or row.output]
    documents.insert_rows(
        connection,
        extras,
        [{"id": key, "values": r.values, "error": r.error, "output": r.output} for key, r in wordy],
        [words(row.values, row.error, row.output) for _, row in wordy],
    )
    _count(connection, fresh)
    return [key for key, _ in keyed]


def _unknown(connection: Connection, rows: Sequence[ExchangeRow]) -> list[ExchangeRow]:
    """Those whose session and number are not indexed, each once: the archivist reads again after a crash."""
    spans: dict[int, tuple[int, int]] = {}
    unique: dict[tuple[int, int], ExchangeRow] = {}
    for row in rows:
        low, high = spans.get(row.session, (row.number, row.number))
        spans[row.session] = (min(low, row.number), max(high, row.number))
        unique.setdefault((row.session, row.number), row)
    seen: set[tuple[int, int]] = set()
    for chunk in _chunks(list(spans.items()), _CHUNK // 3):
        held = or_(
            *(
                and_(exchanges.c.session == session, exchanges.c.number.between(low, high))
                for session, (low, high) in chunk
            )
        )
        found = connection.execute(select(exchanges.c.session, exchanges.c.number).where(held))
        seen.update((session, number) for session, number in found)
    return [row for key, row in unique.items() if key not in seen]


def _with_ids(connection: Connection, rows: Sequence[ExchangeRow]) -> list[tuple[int, ExchangeRow]]:
    """Each row with its id: its start, then a discriminator that moves on where another exchange holds it."""
    wanted = [first_id(r.started) | (crc32(r.session_id.encode()) + r.number) & _MASK for r in rows]
    taken: set[int] = set()
    for chunk in _chunks(wanted, _CHUNK):
        taken.update(connection.execute(select(exchanges.c.id).where(exchanges.c.id.in_(chunk))).scalars())
    ids = FreeIds(connection, taken)
    return [(ids.take(key), row) for key, row in zip(wanted, rows, strict=True)]


def _statements(connection: Connection, rows: Sequence[ExchangeRow]) -> dict[bytes, int]:
    """The id of each distinct statement, made where it is new, its uses counted."""
    uses = Counter(row.statement.digest for row in rows)
    texts = {row.statement.digest: row.statement for row in rows}
    known = _known(connection, uses)
    missing = [texts[digest] for digest in sorted(uses.keys() - known.keys())]
    if missing:
        _add(connection, missing)
        known |= _known(connection, [one.digest for one in missing])
    if connection.dialect.name == "sqlite":
        more = [(count, known[digest]) for digest, count in uses.items()]
        connection.exec_driver_sql("UPDATE statements SET uses = uses + ? WHERE id = ?", more)
    else:
        for digest, count in sorted(uses.items()):
            own = statements.c.id == known[digest]
            connection.execute(update(statements).where(own).values(uses=statements.c.uses + count))
    return known


def _known(connection: Connection, digests: Iterable[bytes]) -> dict[bytes, int]:
    known: dict[bytes, int] = {}
    for chunk in _chunks(list(digests), _CHUNK):
        query = select(statements.c.digest, statements.c.id).where(statements.c.digest.in_(chunk))
        known.update({bytes(digest): key for digest, key in connection.execute(query)})
    return known


def _add(connection: Connection, missing: Sequence[Statement]) -> None:
    rows = [{"digest": s.digest, "uses": 0, "truncated": s.truncated, "text": s.text} for s in missing]
    found = [words(one.text) for one in missing]
    if connection.dialect.name == "sqlite":
        # Only ids that are known beforehand let rows and words go in as two bulk statements; the writer's
        # lock is held, and AUTOINCREMENT never gives a deleted statement's id again.
        top = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'statements'").scalar()
        keyed = [{"id": key, **row} for key, row in enumerate(rows, (top or 0) + 1)]
        documents.insert_rows(connection, statements, keyed, found)
    else:
        documents.insert_rows(connection, statements, rows, found)


def _count(connection: Connection, rows: Sequence[ExchangeRow]) -> None:
    totals: dict[int, list[int]] = {}
    for row in rows:
        total = totals.setdefault(row.session, [0, 0, 0, 0])
        total[0] += 1
        total[1] += not row.aside and row.status != "ok"
        total[2] += row.rows
        total[3] += row.bytes
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
