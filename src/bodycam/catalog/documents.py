"""The full-text tables: what differs between SQLite and PostgreSQL, and nothing else.

Both are given words that `words` made, so that they hold the same words at the same positions. SQLite:
contentless FTS5 tables whose rowid is the statement's or the exchange's id. PostgreSQL: a tsvector column.
"""

from typing import Final

from sqlalchemy import Connection

STATEMENTS: Final = "statements"
EXTRAS: Final = "extras"
CORPORA: Final = (STATEMENTS, EXTRAS)

_SQLITE_CREATE = (
    "CREATE VIRTUAL TABLE {0}_words USING fts5(words, content='', columnsize=0, tokenize='ascii')"
)
_POSTGRESQL_CREATE = (
    "ALTER TABLE {0} ADD COLUMN words tsvector",
    "CREATE INDEX ix_{0}_words ON {0} USING gin (words)",
)


def create(connection: Connection) -> None:
    """Makes the full-text tables beside the ordinary ones."""
    for corpus in CORPORA:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(_SQLITE_CREATE.format(corpus))
        else:
            for command in _POSTGRESQL_CREATE:
                connection.exec_driver_sql(command.format(corpus))
