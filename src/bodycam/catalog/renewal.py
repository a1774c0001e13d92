"""The index can ask to be built anew: a migration empties it, and the archivist fills it from recordings."""

from sqlalchemy import Connection, delete, insert, select, text

from bodycam.catalog.tables import meta

_NAME = "reindex"


def demand(connection: Connection) -> None:
    """Ask for every recording to be indexed again, and let no session claim exchanges that are not there.

    Sessions stay, because transcripts are found through them.
    """
    # in words of SQL: a migration runs this over tables that may lack what later ones add
    if connection.execute(text("SELECT count(*) FROM sessions")).scalar_one():
        connection.execute(text("UPDATE sessions SET exchanges = 0, failures = 0, rows = 0, bytes = 0"))
        connection.execute(insert(meta).values(name=_NAME, value="all"))


def read_again(connection: Connection) -> None:
    """Ask for every recording to be read again, for what the index did not keep before; what it has stays."""
    if connection.execute(text("SELECT count(*) FROM sessions")).scalar_one() and not demanded(connection):
        connection.execute(insert(meta).values(name=_NAME, value="all"))


def demanded(connection: Connection) -> bool:
    """Whether every recording is to be indexed again."""
    return connection.execute(select(meta.c.value).where(meta.c.name == _NAME)).first() is not None


def settled(connection: Connection) -> None:
    """All recordings are indexed, or known to be waiting for it."""
    connection.execute(delete(meta).where(meta.c.name == _NAME))
