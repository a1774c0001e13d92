"""One catalog in each database, made afresh for every test."""

import itertools
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url

from bodycam.catalog.engine import make_engine
from tests.catalogs import migrated

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgresql_uri() -> Iterator[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs names a missing XDG_RUNTIME_DIR
        import pgserver

    # A socket's path is bounded, so the folder is a short one.
    with tempfile.TemporaryDirectory(prefix="bcpg", ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(Path(folder))
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
def postgresql_url(postgresql_uri: str) -> str:
    """A fresh database's URL."""
    name = f"catalog{next(_numbers)}"
    admin = make_engine(postgresql_uri)
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return make_url(postgresql_uri).set(database=name).render_as_string(hide_password=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'catalog.db'}"
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def catalog(catalog_url: str) -> Iterator[Engine]:
    engine = make_engine(catalog_url)
    migrated(engine)
    yield engine
    engine.dispose()
