"""A server and a gateway that a fault test may hurt."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stage
from tests.faults.load import Bench

FSYNC = os.environ.get("BODYCAM_FAULT_FSYNC", "interval")


@pytest.fixture
def server() -> Iterator[stage.Postgres]:
    with stage.postgres() as running:
        yield running


@pytest.fixture
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        made = stage.Gateway(folder / "g", {"shop": stage.shop(server)}, workers=2, journal={"fsync": FSYNC})
        made.init()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def bench(server: stage.Postgres, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(server, tmp_path)
    made.prepare()
    try:
        yield made
    finally:
        made.close()
