"""Which relations a real server touched in one statement: what its locks say, in a transaction that is undone."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import pq

# https://www.postgresql.org/docs/current/explicit-locking.html: what only looks takes one of these two
READING = {"AccessShareLock", "RowShareLock"}

LOCKS = """
select c.oid::text, l.mode from pg_locks l join pg_class c on c.oid = l.relation
where l.pid = pg_backend_pid() and l.granted and l.database = (select oid from pg_database where datname = current_database())
"""
GONE = "select l.relation::text, l.mode from pg_locks l where l.pid = pg_backend_pid() and l.locktype = 'relation' and l.granted"
NAMES = """
select c.oid::text, regexp_replace(n.nspname, '^pg_temp_[0-9]+$', 'public') || '.' || c.relname
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname !~ '^(pg_catalog|pg_toast.*|information_schema)$' and c.relkind not in ('i', 'I', 'c')
"""


@dataclass(frozen=True, slots=True)
class Touched:
    """Relations by their full names."""

    reads: frozenset[str]
    writes: frozenset[str]


class Witness:
    """One connection to a server, and what its locks say of a statement."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._connection = psycopg.connect(
            host=environment["PGHOST"],
            port=int(environment["PGPORT"]),
            user="postgres",
            dbname=environment["PGDATABASE"],
            autocommit=True,
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a text as one simple query, COPY included, and return the last rows; raises what the server says."""
        wire = self._connection.pgconn
        wire.send_query(sql.encode())
        rows: list[tuple[Any, ...]] = []
        failed: str | None = None
        while (result := wire.get_result()) is not None:
            match result.status:
                case pq.ExecStatus.COPY_OUT:
                    while wire.get_copy_data(0)[0] > 0:
                        pass
                case pq.ExecStatus.COPY_IN:
                    wire.put_copy_end()
                case pq.ExecStatus.FATAL_ERROR:
                    failed = result.error_message.decode()
                case pq.ExecStatus.TUPLES_OK:
                    rows = [
                        tuple(
                            (result.get_value(row, column) or b"").decode()
                            for column in range(result.nfields)
                        )
                        for row in range(result.ntuples)
                    ]
        if failed is not None:
            raise RuntimeError(f"{sql}: {failed}")
        return rows

    def touched(self, sql: str, before: str = "") -> Touched:
        """What a statement touches, `before` having been run; all is rolled back."""
        names = dict(self.run(NAMES))
        self.run("begin")
        try:
            if before:
                self.run(f"{before}; commit; begin")
            names.update(self.run(NAMES) if before else [])
            self.run(sql)
            locks = self.run(GONE)
            names = {**dict(self.run(NAMES)), **names}
        finally:
            self.run("rollback")
            self.run("discard temp")
        reads = {names[oid] for oid, mode in locks if oid in names and mode in READING}
        writes = {names[oid] for oid, mode in locks if oid in names and mode not in READING}
        return Touched(frozenset(reads - writes), frozenset(writes))
