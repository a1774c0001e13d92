"""A connection that is logged in, and a real server, whose own output says how a value has to look."""

import warnings
from collections.abc import Iterator

import pytest

from bodycam.protocols.postgres.machine import PostgresMachine
from tests.playbook.conftest import log_in
from tests.playbook.play import Play


@pytest.fixture
def ready() -> Play:
    """A connection that is logged in."""
    return log_in(Play(PostgresMachine))


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A connection string of an empty server in UTC."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs names a missing XDG_RUNTIME_DIR
        import pgserver

        running = pgserver.get_server(tmp_path_factory.mktemp("pg") / "data", cleanup_mode="stop")
    try:
        yield running.get_uri() + "&options=-c%20timezone%3DUTC%20-c%20lc_monetary%3DC"
    finally:
        running.cleanup()
