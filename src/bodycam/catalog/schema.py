"""Brings a catalog to this version's schema, and refuses one that a newer version made."""

from sqlalchemy import Connection, Engine, inspect, text

from bodycam.catalog.engine import reading, writing

NEWEST = "0012"
"""The last of `catalog.migrations`, written down so that where a catalog has it no Alembic is loaded."""
_ADVISORY_LOCK = 0x626F6479  # two processes that migrate one PostgreSQL catalog take turns


class SchemaError(Exception):
    """The catalog's schema does not fit this version of Bodycam; the message says what to do."""


def migrate(engine: Engine) -> None:
    """Makes or upgrades the schema, in one transaction; nothing to do is cheap.

    Raises:
        SchemaError: a newer version of Bodycam made the catalog.
    """
    with reading(engine) as connection:
        if _current(connection) == NEWEST:
            return
    from bodycam.catalog.upgrading import upgrade

    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        _refuse_newer(connection)
        if _current(connection) != NEWEST:
            upgrade(connection)


def check(engine: Engine) -> None:
    """For processes that don't migrate.

    Raises:
        SchemaError: the schema is older or newer than this version's.
    """
    with reading(engine) as connection:
        if _current(connection) == NEWEST:
            return
        _refuse_newer(connection)
    raise SchemaError("the catalog's schema is older than this version; `bodycam serve` upgrades it")


def _current(connection: Connection) -> str | None:
    """The revision that the catalog has; None where it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return None if found is None else str(found)


def _refuse_newer(connection: Connection) -> None:
    from bodycam.catalog.upgrading import known

    current = _current(connection)
    if current is not None and current not in known():
        raise SchemaError(
            f"a newer version of Bodycam made this catalog (schema {current}, this version knows up to "
            f"{NEWEST}); install that version again, or point storage.catalog at a copy "
            "from before the upgrade"
        )
