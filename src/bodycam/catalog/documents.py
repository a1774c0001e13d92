"""The full-text tables: what differs between SQLite and PostgreSQL, and nothing else.

A bundle's document has the words of its exchanges' texts and, where that is short, of its statement. What it
finds is held against the texts themselves, so it may find too much, and does in PostgreSQL, where it knows no
places. A long statement has a document of its own, with each word at its place. SQLite: contentless FTS5
tables whose rowid is the id, so that a document is removed by handing it in again. PostgreSQL: a tsvector
column beside the row.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    bindparam,
    column,
    table,
    text,
    type_coerce,
)

from bodycam.catalog.bundles import Columns
from bodycam.catalog.statement import is_long
from bodycam.catalog.tables import bundles, statements
from bodycam.catalog.words import FILLER, Term, distinct, document, words

STATEMENTS: Final = statements.name
BUNDLES: Final = bundles.name
CORPORA: Final = (STATEMENTS, BUNDLES)

_BUNDLE_WORDS = table(f"{BUNDLES}_words", column("rowid"))

_SQLITE_CREATE = (
    "CREATE VIRTUAL TABLE {0}_words USING fts5(words, content='', columnsize=0, tokenize='ascii')"
)
_POSTGRESQL_CREATE = (
    "ALTER TABLE {0} ADD COLUMN words tsvector",
    "CREATE INDEX ix_{0}_words ON {0} USING gin (words)",
)
_AUTOMERGE = 8  # segments of a level that become one; the default of 4 writes every word more often
_MERGE_PAGES = 2000


def create(connection: Connection, corpora: Sequence[str]) -> None:
    """Makes the full-text tables beside the ordinary ones."""
    for corpus in corpora:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(_SQLITE_CREATE.format(corpus))
            setting = f"INSERT INTO {corpus}_words({corpus}_words, rank) VALUES ('automerge', {_AUTOMERGE})"  # noqa: S608
            connection.exec_driver_sql(setting)
        else:
            for command in _POSTGRESQL_CREATE:
                connection.exec_driver_sql(command.format(corpus))


def drop(connection: Connection, corpora: Sequence[str]) -> None:
    """Drops full-text tables; in PostgreSQL they go with the ordinary ones."""
    if connection.dialect.name == "sqlite":
        for corpus in corpora:
            connection.exec_driver_sql(f"DROP TABLE {corpus}_words")


def of_statement(text: str, dialect: str) -> str | None:
    """A statement's document; none where those of its bundles have its words."""
    if not is_long(text):
        return None
    held = words(text)
    return " ".join(held) if dialect == "sqlite" else _vector(held)


def of_bundle(statement: str, inside: Columns, dialect: str) -> str | None:
    """A bundle's document; none where there is nothing to be found."""
    texts = inside.texts()
    said = texts if inside.own or is_long(statement) else [statement, *texts]
    if not said:
        return None
    if dialect == "sqlite":
        return document(said)
    return " ".join(f"'{word}'" for word in sorted(distinct(said)))


def insert_rows(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    found: Sequence[str | None] | None = None,
) -> None:
    """Inserts many rows at once, with each one's document where the table is a corpus.

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
        pairs = zip(rows, found or (), strict=False)
        if said := [(row["id"], words) for row, words in pairs if words is not None]:
            command = f"INSERT INTO {table.name}_words(rowid, words) VALUES (?, ?)"  # noqa: S608
            connection.exec_driver_sql(command, said)
        return
    names = list(rows[0])
    if found is not None:
        rows = [{**row, "words": words} for row, words in zip(rows, found, strict=True)]
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


def among(connection: Connection, table: str, columns: str, key: str, wanted: Sequence[Any]) -> list[Any]:
    """These columns of the rows whose `key` is one of `wanted`, of which there may be a few hundred.

    By the driver itself: binding each value of a list costs more than the search for it.
    """
    if not wanted:
        return []
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    command = f"SELECT {columns} FROM {table} WHERE {key} IN ({', '.join([mark] * len(wanted))})"  # noqa: S608
    return list(connection.exec_driver_sql(command, tuple(wanted)).all())


def one_of(expression: str, keys: Iterable[int], dialect: str) -> ColumnElement[bool]:
    """That an expression is one of some thousand numbers."""
    if dialect == "sqlite":
        held = "SELECT value FROM json_each(:keys)"
    else:
        held = "SELECT CAST(json_array_elements_text(CAST(:keys AS json)) AS bigint)"
    said = text(f"{expression} IN ({held})")
    said = said.bindparams(bindparam("keys", json.dumps(list(keys)), unique=True))
    return type_coerce(said, Boolean)


def remove(connection: Connection, corpus: str, gone: Iterable[tuple[int, str | None]]) -> None:
    """Takes documents, as they were put in, out of the full-text table; PostgreSQL has them in the rows."""
    if connection.dialect.name != "sqlite":
        return
    said = [(key, words) for key, words in gone if words is not None]
    if said:
        command = f"INSERT INTO {corpus}_words({corpus}_words, rowid, words) VALUES ('delete', ?, ?)"  # noqa: S608
        connection.exec_driver_sql(command, said)


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


def statements_holding(connection: Connection, terms: Sequence[Term], limit: int) -> list[int]:
    """The long statements that hold all terms, `limit` at most."""
    if connection.dialect.name == "sqlite":
        command = (
            f"SELECT rowid FROM {STATEMENTS}_words WHERE {STATEMENTS}_words MATCH :terms "  # noqa: S608
            "ORDER BY rowid DESC LIMIT :limit"
        )
        return list(
            connection.execute(text(command), {"terms": _fts5(terms), "limit": limit}).scalars().all()
        )
    command = f"SELECT id FROM {STATEMENTS} WHERE words @@ CAST(:terms AS tsquery) LIMIT :limit"  # noqa: S608
    values = {"terms": _tsquery(terms, STATEMENTS), "limit": limit}
    return list(connection.execute(text(command), values).scalars().all())


def bundles_holding(
    query: Select[Any], terms: Sequence[Term], dialect: str
) -> tuple[Select[Any], ColumnElement[int]]:
    """A query of bundles, narrowed to those whose documents hold all terms; and their id, to order by it."""
    if dialect == "sqlite":
        # the sum keeps SQLite from looking up one id after another in the full-text table
        own = bundles.c.id == _BUNDLE_WORDS.c.rowid + 0
        narrowed = query.select_from(_BUNDLE_WORDS).join(bundles, own)
        return narrowed.where(text(f"{BUNDLES}_words MATCH :terms").bindparams(terms=_fts5(terms))), (
            _BUNDLE_WORDS.c.rowid
        )
    held = text("words @@ CAST(:terms AS tsquery)").bindparams(terms=_tsquery(terms, BUNDLES))
    return query.where(held), bundles.c.id


def _vector(held: Sequence[str]) -> str:
    """The words as a tsvector literal; words hold letters, digits and marks only, never a quote."""
    places: dict[str, list[str]] = {}
    for at, word in enumerate(held, 1):
        if word != FILLER:
            places.setdefault(word, []).append(str(at))
    return " ".join(f"'{word}':{','.join(positions)}" for word, positions in places.items())


def _fts5(terms: Sequence[Term]) -> str:
    return " AND ".join(f'"{" ".join(term.words)}"' + (" *" if term.prefix else "") for term in terms)


def _tsquery(terms: Sequence[Term], corpus: str) -> str:
    """A bundle's document knows no places, so of a phrase there only the words can be asked for."""
    beside = " <-> " if corpus == STATEMENTS else " & "
    return " & ".join(
        f"({beside.join(map(_quoted, term.words))}{':*' if term.prefix else ''})" for term in terms
    )


def _quoted(word: str) -> str:
    return f"'{word}'"
