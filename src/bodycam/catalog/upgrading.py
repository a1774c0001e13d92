"""The revisions of the catalog's schema, and Alembic that runs them; loaded where something is to be done."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection


def upgrade(connection: Connection) -> None:
    """Run every revision that the catalog has not, on this connection and within its transaction."""
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def known() -> frozenset[str]:
    """The revisions of this version."""
    return frozenset(one.revision for one in ScriptDirectory.from_config(_config()).walk_revisions())


def newest() -> str | None:
    """The last revision of this version."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
