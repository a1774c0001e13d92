"""What ledger and recordings each say of every session, side by side, in a database that spills to disk."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bodycam.archive.leaf import Leaf

_SCHEMA = """
CREATE TABLE ledger (
  session BLOB PRIMARY KEY, worker BLOB, opening INTEGER, root BLOB,
  opened INTEGER, sealed INTEGER, deleted INTEGER
) WITHOUT ROWID;
CREATE INDEX openings ON ledger (worker, opening);
CREATE TABLE held (
  worker BLOB, opening INTEGER, session BLOB, PRIMARY KEY (worker, opening, session)
) WITHOUT ROWID;
CREATE TABLE marked (marker TEXT, session BLOB, PRIMARY KEY (marker, session)) WITHOUT ROWID;
CREATE TABLE chain (session BLOB, blocks INTEGER, head BLOB, PRIMARY KEY (session, blocks)) WITHOUT ROWID;
CREATE TABLE seen (
  session BLOB PRIMARY KEY, name TEXT, root BLOB, worker BLOB, opening INTEGER
) WITHOUT ROWID;
CREATE TABLE copies (
  session BLOB, name TEXT, root BLOB, other TEXT, PRIMARY KEY (session, name)
) WITHOUT ROWID;
CREATE TABLE redacted (
  session BLOB, old BLOB, new BLOB, hash BLOB, told INTEGER, odd INTEGER, PRIMARY KEY (session, old)
) WITHOUT ROWID;
CREATE TABLE tombstones (session BLOB PRIMARY KEY, hash BLOB, rule TEXT, odd INTEGER) WITHOUT ROWID;
CREATE TABLE objects (name TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID;
"""
_ROW = "INSERT INTO ledger (session) VALUES (?) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Seen:
    """A session as a container has it; `root` is None when it is damaged."""

    session: bytes
    name: str
    root: bytes | None = None
    worker: bytes = b""
    opening: int = 0
    markers: tuple[str, ...] = ()


class Story:
    """The sessions of one verification. Used by one thread."""

    def __init__(self) -> None:
        # a nameless database: SQLite keeps it in memory up to its cache and in an unlinked file beyond
        self._database = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-65536"):
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        self._database.executescript(_SCHEMA)
        self._database.execute("BEGIN")

    def leaf(self, leaf: list[Any], index: int) -> str | None:
        """Take a leaf; returns what is wrong with it beside those before it."""
        run = self._database.execute
        match leaf:
            case [Leaf.OPENED, _, session, worker, opening]:
                run(_ROW, (session,))
                update = "UPDATE ledger SET worker = ?, opening = ?, opened = ?"
                update += " WHERE session = ? AND worker IS NULL"
                if not run(update, (worker, opening, index, session)).rowcount:
                    return "is opened twice"
            case [Leaf.HEAD, _, session, blocks, head]:
                found = run("SELECT head FROM chain WHERE session = ? AND blocks = ?", (session, blocks))
                row = found.fetchone()
                if row is not None and row[0] != head:
                    return f"has two heads over its first {blocks} blocks"
                run("INSERT OR IGNORE INTO chain VALUES (?, ?, ?)", (session, blocks, head))
            case [Leaf.SEALED, _, session, root]:
                run(_ROW, (session,))
                update = "UPDATE ledger SET root = ?, sealed = ? WHERE session = ? AND root IS NULL"
                if not run(update, (root, index, session)).rowcount:
                    return "is sealed twice"
            case [Leaf.DELETED, _, session, digest]:
                run(_ROW, (session,))
                run("UPDATE ledger SET deleted = ? WHERE session = ?", (index, session))
                row = (session, digest)
                if not run("INSERT OR IGNORE INTO tombstones (session, hash) VALUES (?, ?)", row).rowcount:
                    return "is deleted twice"
            case [Leaf.REDACTED, _, session, old, new, digest]:
                update = "UPDATE ledger SET root = ? WHERE session = ? AND root = ? AND deleted IS NULL"
                if not run(update, (new, session, old)).rowcount:
                    return "is redacted, and the old root is not that of its recording"
                run("INSERT OR IGNORE INTO redacted VALUES (?, ?, ?, ?, 0, 0)", (session, old, new, digest))
            case _:
                pass
        return None

    def explain_redaction(self, session: bytes, digest: bytes) -> None:
        """Take what is told of a redaction: it counts where a leaf has this hash."""
        run = self._database.execute
        if not run("UPDATE redacted SET told = 1 WHERE session = ? AND hash = ?", (session, digest)).rowcount:
            run("UPDATE redacted SET odd = 1 WHERE session = ? AND told = 0", (session,))

    def redactions(self) -> tuple[int, int]:
        """How many redactions there are, and of how many of them nothing is told any more."""
        found = "SELECT count(*), coalesce(sum(told = 0), 0) FROM redacted"
        count, unknown = self._database.execute(found).fetchone()
        return int(count), int(unknown)

    def odd_redactions(self) -> Iterator[bytes]:
        """Sessions with a redaction of which only something else is told than its leaf holds the hash of."""
        yield from self._sessions("SELECT session FROM redacted WHERE told = 0 AND odd = 1")

    def is_redacted(self, session: bytes, root: bytes) -> bool:
        """Whether this is the root of a recording that took another's place."""
        query = "SELECT 1 FROM redacted WHERE session = ? AND new = ?"
        return self._database.execute(query, (session, root)).fetchone() is not None

    def twice(self) -> Iterator[tuple[bytes, str, str]]:
        """Sessions that two containers hold, but for those whose recording was replaced: and both names."""
        yield from self._database.execute(
            "SELECT session, name, other FROM copies WHERE NOT EXISTS (SELECT 1 FROM redacted"
            " WHERE redacted.session = copies.session AND redacted.old = copies.root)"
        )

    def explain(self, session: bytes, digest: bytes, rule: str) -> None:
        """Take what is told of a deletion: the rule counts where the tombstone has this hash."""
        run = self._database.execute
        fits = "UPDATE tombstones SET rule = ? WHERE session = ? AND hash = ?"
        if not run(fits, (rule, session, digest)).rowcount:
            run("UPDATE tombstones SET odd = 1 WHERE session = ?", (session,))

    def deletions(self) -> dict[str | None, int]:
        """How many tombstones there are by rule; None for those of which nothing tells it."""
        return dict(
            self._database.execute("SELECT rule, count(*) FROM tombstones GROUP BY rule ORDER BY rule")
        )

    def unexplained(self) -> Iterator[bytes]:
        """Sessions with a tombstone of which only something else is told than it holds the hash of."""
        yield from self._sessions("SELECT session FROM tombstones WHERE rule IS NULL AND odd = 1")

    def chain(self, session: bytes) -> dict[int, bytes]:
        """The heads of a session's chain that the ledger holds, by number of blocks."""
        return dict(
            self._database.execute("SELECT blocks, head FROM chain WHERE session = ?", (session,)).fetchall()
        )

    def object(self, name: str, size: int) -> None:
        """Note an object of the store."""
        self._database.execute("INSERT OR REPLACE INTO objects VALUES (?, ?)", (name, size))

    def objects(self) -> Iterator[tuple[str, int]]:
        """The objects, by name."""
        # in pieces, because the same connection writes while they are walked through
        last = ""
        while rows := self._database.execute(
            "SELECT name, size FROM objects WHERE name > ? ORDER BY name LIMIT 500", (last,)
        ).fetchall():
            yield from rows
            last = rows[-1][0]

    def objects_total(self) -> int:
        """The bytes of all objects."""
        return int(self._database.execute("SELECT coalesce(sum(size), 0) FROM objects").fetchone()[0])

    def see(self, seen: Seen) -> None:
        """Take a session that a container holds.

        Where two do, the one that the ledger has the root of is the one that counts.
        """
        run = self._database.execute
        before = run("SELECT name, root FROM seen WHERE session = ?", (seen.session,)).fetchone()
        if before is not None:
            known = run("SELECT root FROM ledger WHERE session = ?", (seen.session,)).fetchone()
            if known is None or seen.root is None or known[0] != seen.root or before[1] == known[0]:
                run(
                    "INSERT OR IGNORE INTO copies VALUES (?, ?, ?, ?)",
                    (seen.session, seen.name, seen.root, before[0]),
                )
                return
            run(
                "INSERT OR IGNORE INTO copies VALUES (?, ?, ?, ?)",
                (seen.session, before[0], before[1], seen.name),
            )
            run("DELETE FROM seen WHERE session = ?", (seen.session,))
        row = (seen.session, seen.name, seen.root, seen.worker, seen.opening)
        run("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)", row)
        marked = [(marker, seen.session) for marker in seen.markers]
        self._database.executemany("INSERT OR IGNORE INTO marked VALUES (?, ?)", marked)

    def missing(self, before: int) -> Iterator[bytes]:
        """Sessions sealed by a leaf before that index, not deleted, that no container holds."""
        yield from self._sessions(
            "SELECT session FROM ledger WHERE sealed < ? AND deleted IS NULL"
            " AND session NOT IN (SELECT session FROM seen)",
            (before,),
        )

    def never_opened(self) -> Iterator[bytes]:
        """Sessions that the ledger has sealed or deleted, and not opened."""
        yield from self._sessions("SELECT session FROM ledger WHERE worker IS NULL")

    def foreign(self) -> Iterator[tuple[bytes, str]]:
        """Sessions that a container holds and that the ledger has never heard of, with the container."""
        yield from self._database.execute(
            "SELECT session, name FROM seen WHERE session NOT IN (SELECT session FROM ledger)"
        )

    def different(self) -> Iterator[tuple[bytes, str, str]]:
        """Whole sessions of which container and ledger say different things: with the container, and what."""
        yield from self._database.execute(
            "SELECT session, name, CASE WHEN seen.root <> ledger.root"
            " THEN 'has another root than the one in the ledger'"
            " ELSE 'names another worker or opening number than the ledger' END"
            " FROM seen JOIN ledger USING (session) WHERE seen.root IS NOT NULL AND (seen.root <> ledger.root"
            " OR seen.worker <> ledger.worker OR seen.opening <> ledger.opening)"
        )

    def unsealed(self, before: int) -> Iterator[tuple[bytes, bytes, int, str | None]]:
        """Sessions opened by a leaf before that index, neither sealed nor deleted.

        Gives the session, its worker, its opening number, and the container that holds it if any does.
        """
        yield from self._database.execute(
            "SELECT session, ledger.worker, ledger.opening, seen.name"
            " FROM ledger LEFT JOIN seen USING (session)"
            " WHERE ledger.root IS NULL AND deleted IS NULL AND opened < ?",
            (before,),
        )

    def hold(self, worker: bytes, opening: int, session: bytes) -> None:
        """Take a session that a journal or a staging file holds."""
        row = (worker, opening, session)
        self._database.execute("INSERT OR IGNORE INTO held VALUES (?, ?, ?)", row)

    def holds(self, worker: bytes, opening: int, session: bytes | None = None) -> bool:
        """Whether `hold` was told of that session; of any under that number when none is named."""
        found = self._database.execute(
            "SELECT 1 FROM held WHERE worker = ? AND opening = ? AND session = coalesce(?, session)",
            (worker, opening, session),
        )
        return found.fetchone() is not None

    def opened_as(self, worker: bytes, opening: int) -> bytes | None:
        """The session that the ledger has under a worker's opening number; None when it has none."""
        found = self._database.execute(
            "SELECT session FROM ledger WHERE worker = ? AND opening = ?", (worker, opening)
        ).fetchone()
        return None if found is None else bytes(found[0])

    def marked(self, marker: str, most: int) -> tuple[int, list[bytes]]:
        """How many sealed sessions have a marker, and which, `most` of them at most."""
        count = self._database.execute("SELECT count(*) FROM marked WHERE marker = ?", (marker,))
        rows = self._database.execute(
            "SELECT session FROM marked WHERE marker = ? ORDER BY session LIMIT ?", (marker, most)
        )
        return int(count.fetchone()[0]), [row[0] for row in rows]

    def gaps(self) -> Iterator[tuple[bytes, int, int]]:
        """Workers whose opening numbers are not 1, 2, 3...: how many there are, and the highest."""
        yield from self._database.execute(
            "SELECT worker, count(*), max(opening) FROM ledger WHERE worker IS NOT NULL GROUP BY worker"
            " HAVING count(*) <> max(opening) OR count(DISTINCT opening) <> count(*) OR min(opening) <> 1"
        )

    def holes(self) -> Iterator[tuple[bytes, int, int, int]]:
        """Workers of whose opening numbers some between two that were taken are missing, or are there twice.

        Gives the worker, how many numbers were taken, the lowest and the highest.
        """
        yield from self._database.execute(
            "SELECT worker, count(*), min(opening), max(opening) FROM ledger WHERE worker IS NOT NULL"
            " GROUP BY worker HAVING count(*) <> max(opening) - min(opening) + 1"
            " OR count(DISTINCT opening) <> count(*)"
        )

    def openings(self, worker: bytes) -> Iterator[int]:
        """A worker's opening numbers, in order."""
        rows = self._database.execute(
            "SELECT opening FROM ledger WHERE worker = ? ORDER BY opening", (worker,)
        )
        yield from (row[0] for row in rows)

    def count(self, what: str) -> int:
        """How many sessions are `sealed`, `deleted` or `opening` in the ledger."""
        return int(self._database.execute(f"SELECT count({what}) FROM ledger").fetchone()[0])  # noqa: S608

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def _sessions(self, query: str, values: tuple[int, ...] = ()) -> Iterator[bytes]:
        yield from (row[0] for row in self._database.execute(query, values))
