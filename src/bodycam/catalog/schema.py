"""Brings a catalog to this version's schema, and refuses one that a newer version made."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from bodycam.catalog.engine import reading, writing

_ADVISORY_LOCK = 0x626F6479  # two processes that migrate one PostgreSQL catalog take turns


class SchemaError(Exception):
    """The catalog's schema does not fit this version of Bodycam; the message says what to do."""


def migrate(engine: Engine) -> None:
    """Makes or upgrades the schema, in one transaction; nothing to do is cheap.

    Raises:
        SchemaError: a newer version of Bodycam made the catalog.
    """
    script = ScriptDirectory.from_config(_config())
    with reading(engine) as connection:
        if _revision(connection, script) == script.get_current_head():
            return
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADVISORY_LOCK})")
        if _revision(connection, script) != script.get_current_head():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def check(engine: Engine) -> None:
    """For processes that don't migrate.

    Raises:
        SchemaError: the schema is older or newer than this version's.
    """
    script = ScriptDirectory.from_config(_config())
    with reading(engine) as connection:
        if _revision(connection, script) != script.get_current_head():
            raise SchemaError("the catalog's schema is older than this version; `bodycam serve` upgrades it")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection, script: ScriptDirectory) -> str | None:
    current = MigrationContext.configure(connection).get_current_revision()
    known = {revision.revision for revision in script.walk_revisions()}
    if current is not None and current not in known:
        raise SchemaError(
            f"a newer version of Bodycam made this catalog (schema {current}, this version knows up to "
            f"{script.get_current_head()}); install that version again, or point storage.catalog at a copy "
            "from before the upgrade"
        )
    return current
