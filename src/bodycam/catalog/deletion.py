"""Taking sessions out of the index, down to the bytes; and emptying it for a rebuild."""

from sqlalchemy import Connection, Engine, delete, func, select, update

from bodycam.catalog import documents
from bodycam.catalog.engine import writing
from bodycam.catalog.tables import arrivals, exchanges, extras, sessions, statements
from bodycam.catalog.words import words

_CHUNK = 400


def forget_session(engine: Engine, session: str) -> bool:
    """Deletes all index rows of a session in short transactions; False if there is no such session.

    Statements that no other exchange holds go too. Call `scrub` after a round of deletions.
    """
    while True:
        with writing(engine, durable=False) as connection:
            key = connection.execute(select(sessions.c.key).where(sessions.c.id == session)).scalar()
            if key is None:
                return False
            if not _forget_some(connection, key):
                connection.execute(delete(sessions).where(sessions.c.key == key))
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
        for table in (extras, exchanges, statements, sessions, arrivals):
            connection.execute(delete(table))


def _forget_some(connection: Connection, session: int) -> int:
    """Deletes up to a chunk of the session's exchanges, and says how many."""
    own = select(exchanges.c.id, exchanges.c.statement).where(exchanges.c.session == session).limit(_CHUNK)
    rows = connection.execute(own).all()
    keys = [row.id for row in rows]
    texts = connection.execute(select(extras).where(extras.c.id.in_(keys))).all()
    gone = [(row.id, words(row._mapping["values"], row.error, row.output)) for row in texts]
    documents.remove(connection, documents.EXTRAS, gone)
    connection.execute(delete(extras).where(extras.c.id.in_(keys)))
    connection.execute(delete(exchanges).where(exchanges.c.id.in_(keys)))
    uses: dict[int, int] = {}
    for row in rows:
        uses[row.statement] = uses.get(row.statement, 0) + 1
    for statement, count in sorted(uses.items()):
        less = update(statements).where(statements.c.id == statement)
        connection.execute(less.values(uses=statements.c.uses - count))
    unused = statements.c.id.in_(list(uses)) & (statements.c.uses <= 0)
    orphans = connection.execute(select(statements.c.id, statements.c.text).where(unused)).all()
    documents.remove(connection, documents.STATEMENTS, [(row.id, words(row.text)) for row in orphans])
    connection.execute(delete(statements).where(statements.c.id.in_([row.id for row in orphans])))
    return len(rows)


def counts(connection: Connection) -> dict[str, int]:
    """How many rows each index table has."""
    tables = (sessions, exchanges, statements, extras)
    return {
        table.name: int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table in tables
    }
