"""Taking sessions out of the index, down to the bytes; and emptying it for a rebuild."""

from sqlalchemy import Connection, Engine, delete, func, select, update

from bodycam.catalog import documents
from bodycam.catalog.bundles import unpack
from bodycam.catalog.engine import writing
from bodycam.catalog.provenances import drop_unused
from bodycam.catalog.tables import arrivals, bundles, provenances, sessions, sightings, statements

_CHUNK = 200


def forget_session(engine: Engine, session: str) -> bool:
    """Deletes all index rows of a session in short transactions; False if there is no such session.

    Statements that no other exchange holds go too. Call `scrub` after a round of deletions.
    """
    while True:
        with writing(engine, durable=False) as connection:
            own = select(sessions.c.key, sessions.c.provenance).where(sessions.c.id == session)
            found = connection.execute(own).first()
            if found is None:
                return False
            key = found.key
            if not _forget_some(connection, key):
                connection.execute(delete(sightings).where(sightings.c.session == key))
                connection.execute(delete(sessions).where(sessions.c.key == key))
                drop_unused(connection, found.provenance)
                return True


def scrub(engine: Engine) -> None:
    """Overwrites what deleted texts left behind in SQLite's files: full-text segments, then the WAL.

    PostgreSQL frees deleted rows by its own vacuum.
    """
    if engine.dialect.name != "sqlite":
        return
    with writing(engine, durable=False) as connection:
        documents.begin_merge(connection)
    more = True
    while more:
        with writing(engine, durable=False) as connection:
            more = documents.merge(connection)
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        if driver is not None:
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()


def clear_index(engine: Engine) -> None:
    """Empties everything that recordings rebuild; accounts, runs, credentials and the audit trail stay."""
    with writing(engine) as connection:
        documents.clear(connection)
        for table in (bundles, statements, sightings, sessions, provenances, arrivals):
            connection.execute(delete(table))


def _forget_some(connection: Connection, session: int) -> int:
    """Deletes up to a chunk of the session's bundles, and says how many."""
    b, s = bundles.c, statements.c
    own = select(b.id, b.statement, b.exchanges, b.packed, b.low, b.first).where(b.session == session)
    rows = connection.execute(own.limit(_CHUNK)).all()
    if not rows:
        return 0
    held = {row.statement for row in rows}
    said = {key: text for key, text in connection.execute(select(s.id, s.text).where(s.id.in_(held)))}  # noqa: C416
    dialect = connection.dialect.name
    gone = [
        (
            row.id,
            documents.of_bundle(said[row.statement], unpack(row.packed, row.low, row.first), dialect),
        )
        for row in rows
    ]
    documents.remove(connection, documents.BUNDLES, gone)
    connection.execute(delete(bundles).where(b.id.in_([row.id for row in rows])))
    uses: dict[int, int] = {}
    for row in rows:
        uses[row.statement] = uses.get(row.statement, 0) + row.exchanges
    newest = select(func.coalesce(func.max(b.id), 0)).where(b.statement == s.id).scalar_subquery()
    for statement, count in sorted(uses.items()):
        less = update(statements).where(s.id == statement)
        connection.execute(less.values(uses=s.uses - count, newest=newest))
    unused = s.id.in_(held) & (s.uses <= 0)
    orphans = connection.execute(select(s.id, s.text).where(unused)).all()
    words_of = [(row.id, documents.of_statement(row.text, dialect)) for row in orphans]
    documents.remove(connection, documents.STATEMENTS, words_of)
    connection.execute(delete(statements).where(s.id.in_([row.id for row in orphans])))
    return len(rows)


def counts(connection: Connection) -> dict[str, int]:
    """How many sessions, bundles, exchanges and statements the index has."""
    found = {
        table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table in (sessions, bundles, statements)
    }
    total = select(func.coalesce(func.sum(bundles.c.exchanges), 0))
    return found | {"exchanges": int(connection.execute(total).scalar_one())}
