"""The full-text tables: what differs between SQLite and PostgreSQL, and nothing else.

Both are given words that `words` made, so that they hold the same words at the same positions. SQLite:
contentless FTS5 tables whose rowid is the statement's or the exchange's id, so that a document is removed by
handing in its words again. PostgreSQL: a tsvector column beside the text.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, LargeBinary, Table, select, text

from bodycam.catalog.tables import extras, statements
from bodycam.catalog.words import FILLER, Term, words

STATEMENTS: Final = statements.name
EXTRAS: Final = extras.name
CORPORA: Final = (STATEMENTS, EXTRAS)

_SQLITE_CREATE = (
    "CREATE VIRTUAL TABLE {0}_words USING fts5(words, content='', columnsize=0, tokenize='ascii')"
)
_POSTGRESQL_CREATE = (
    "ALTER TABLE {0} ADD COLUMN words tsvector",
    "CREATE INDEX ix_{0}_words ON {0} USING gin (words)",
)
_MERGE_PAGES = 2000


def create(connection: Connection) -> None:
    """Makes the full-text tables beside the ordinary ones."""
    for corpus in CORPORA:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(_SQLITE_CREATE.format(corpus))
        else:
            for command in _POSTGRESQL_CREATE:
                connection.exec_driver_sql(command.format(corpus))


def insert_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    found: Sequence[list[str]] | None = None,
) -> None:
    """Inserts many rows at once, with each one's words where the table is a corpus.

    PostgreSQL gets them as one JSON parameter: its driver sends each row of an executemany by itself.
    """
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        # By the driver itself: compiling an insert binds each row's parameters again, at 5 us a row.
        columns = ", ".join(f'"{name}"' for name in rows[0])
        places = ", ".join("?" for _ in rows[0])
        command = f"INSERT INTO {table.name} ({columns}) VALUES ({places})"  # noqa: S608
        connection.exec_driver_sql(command, [tuple(row.values()) for row in rows])
        if found is not None:
            documents = [(row["id"], " ".join(held)) for row, held in zip(rows, found, strict=True)]
            command = f"INSERT INTO {table.name}_words(rowid, words) VALUES (?, ?)"  # noqa: S608
            connection.exec_driver_sql(command, documents)
        return
    names = list(rows[0])
    if found is not None:
        rows = [{**row, "words": vector(held)} for row, held in zip(rows, found, strict=True)]
    types = {name: table.c[name].type.compile(connection.dialect) for name in names}
    binary = {name for name in names if isinstance(table.c[name].type, LargeBinary)}
    values = [f"decode(x.\"{name}\", 'hex')" if name in binary else f'x."{name}"' for name in names]
    shape = [f'"{name}" {"text" if name in binary else kind}' for name, kind in types.items()]
    if found is not None:
        names, values, shape = [*names, "words"], [*values, "x.words"], [*shape, "words tsvector"]
    quoted = ", ".join(f'"{name}"' for name in names)
    command = (
        f"INSERT INTO {table.name} ({quoted}) SELECT {', '.join(values)} "  # noqa: S608
        f"FROM json_to_recordset(CAST(:rows AS json)) AS x({', '.join(shape)})"
    )
    connection.execute(text(command), {"rows": json.dumps(rows, default=bytes.hex)})


def remove(connection: Connection, corpus: str, documents: Iterable[tuple[int, list[str]]]) -> None:
    """Takes documents out of the full-text table; in PostgreSQL they go with their rows."""
    if connection.dialect.name != "sqlite":
        return
    gone = [(key, " ".join(held)) for key, held in documents]
    if gone:
        command = f"INSERT INTO {corpus}_words({corpus}_words, rowid, words) VALUES ('delete', ?, ?)"  # noqa: S608
        connection.exec_driver_sql(command, gone)


def clear(connection: Connection) -> None:
    """Empties the full-text tables; in PostgreSQL they go with their rows."""
    if connection.dialect.name == "sqlite":
        for corpus in CORPORA:
            connection.exec_driver_sql(f"INSERT INTO {corpus}_words({corpus}_words) VALUES ('delete-all')")  # noqa: S608


def merge(connection: Connection) -> bool:
    """One bounded step of merging away what removed documents left behind; False when nothing is left.

    FTS5 drops a removed word from its files only when the segments that hold it and its removal are merged;
    its own `secure-delete` does so at once, but is not in SQLite before 3.42, which Debian 12 has.
    """
    if connection.dialect.name != "sqlite":
        return False
    more = False
    for corpus in CORPORA:
        before = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
        command = f"INSERT INTO {corpus}_words({corpus}_words, rank) VALUES ('merge', ?)"  # noqa: S608
        connection.exec_driver_sql(command, (_MERGE_PAGES,))
        after = connection.exec_driver_sql("SELECT total_changes()").scalar_one()
        more = more or after - before >= 2  # https://sqlite.org/fts5.html#the_merge_command
    return more


def begin_merge(connection: Connection) -> None:
    """Marks every segment for merging, so that `merge` goes on until one is left."""
    if connection.dialect.name == "sqlite":
        for corpus in CORPORA:
            command = f"INSERT INTO {corpus}_words({corpus}_words, rank) VALUES ('merge', ?)"  # noqa: S608
            connection.exec_driver_sql(command, (-_MERGE_PAGES,))


def matching(connection: Connection, corpus: str, term: Term, ids: Iterable[int]) -> set[int]:
    """Those of `ids` whose document holds the term."""
    wanted = list(ids)
    if not wanted:
        return set()
    if connection.dialect.name == "sqlite" and term.prefix:
        return _read(connection, corpus, term, wanted)
    if connection.dialect.name == "sqlite":
        command = (
            f"SELECT rowid FROM {corpus}_words WHERE {corpus}_words MATCH ? "  # noqa: S608
            "AND rowid IN (SELECT value FROM json_each(?))"
        )
        return set(connection.exec_driver_sql(command, (_fts5(term), json.dumps(wanted))).scalars())
    command = (
        f"SELECT id FROM {corpus} WHERE words @@ CAST(:term AS tsquery) "  # noqa: S608
        "AND id IN (SELECT CAST(json_array_elements_text(CAST(:ids AS json)) AS bigint))"
    )
    return set(
        connection.execute(text(command), {"term": _tsquery(term), "ids": json.dumps(wanted)}).scalars()
    )


def newest(
    connection: Connection, corpus: str, term: Term, below: int, limit: int, above: int = 0
) -> list[int]:
    """The highest ids below `below`, and not below `above`, whose document holds the term; highest first."""
    values = {"below": below, "above": above, "limit": limit}
    if connection.dialect.name == "sqlite":
        command = (
            f"SELECT rowid FROM {corpus}_words WHERE {corpus}_words MATCH :term "  # noqa: S608
            "AND rowid < :below AND rowid >= :above ORDER BY rowid DESC LIMIT :limit"
        )
        return list(connection.execute(text(command), {**values, "term": _fts5(term)}).scalars())
    command = (
        f"SELECT id FROM {corpus} WHERE words @@ CAST(:term AS tsquery) "  # noqa: S608
        "AND id < :below AND id >= :above ORDER BY id DESC LIMIT :limit"
    )
    return list(connection.execute(text(command), {**values, "term": _tsquery(term)}).scalars())


def _read(connection: Connection, corpus: str, term: Term, ids: list[int]) -> set[int]:
    """`matching` by reading the texts: FTS5 would gather all words of the prefix again for every id."""
    if corpus == STATEMENTS:
        query = select(statements.c.id, statements.c.text).where(statements.c.id.in_(ids))
    else:
        own = extras.c
        query = select(own.id, own["values"], own.error, own.output).where(own.id.in_(ids))
    return {row[0] for row in connection.execute(query) if term.found(words(*row[1:])) is not None}


def vector(held: list[str]) -> str:
    """The words as a tsvector literal; words hold letters, digits and marks only, never a quote."""
    places: dict[str, list[str]] = {}
    for at, word in enumerate(held, 1):
        if word != FILLER:
            places.setdefault(word, []).append(str(at))
    return " ".join(f"'{word}':{','.join(positions)}" for word, positions in places.items())


def _fts5(term: Term) -> str:
    return f'"{" ".join(term.words)}"' + (" *" if term.prefix else "")


def _tsquery(term: Term) -> str:
    return " <-> ".join(f"'{word}'" for word in term.words) + (":*" if term.prefix else "")
