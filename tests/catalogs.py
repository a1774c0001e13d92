"""Catalogs of this version's schema, for tests that are about what is in them.

The migrations make the first one; the others in SQLite are copies of its file, which cost a twentieth. That migrations
make what the tables say, from each older schema too, is `tests/contract/test_catalog_schema.py`'s.
"""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from sqlalchemy import Engine

from bodycam.catalog.engine import make_engine
from bodycam.catalog.schema import migrate


@functools.cache
def _first() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="bc-catalog-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = folder / "catalog.db"
    engine = make_engine(f"sqlite:///{file}")
    migrate(engine)
    engine.dispose()
    # all of it is in the one file
    assert [one.name for one in folder.iterdir()] == [file.name]
    return file


def migrated(engine: Engine) -> None:
    """Give an engine's catalog, which may not be there yet, this version's schema."""
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file and file != ":memory:" and not Path(file).exists():
        shutil.copyfile(_first(), file)
    migrate(engine)
