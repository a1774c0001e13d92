"""PostgreSQL's own test of pipelining in libpq: the same messages go both ways, through the gateway or not."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import stage
from tests.thirdparty import debian_source
from tests.thirdparty.cache import Unavailable

# how much of the pipeline is sent before the first answer is read is a race in these
RACING = {"pipelined_insert", "uniqviol"}


@dataclass(frozen=True, slots=True)
class End:
    """How one of its tests ended, and every message that libpq sent and got."""

    code: int
    said: str
    trace: list[str]


@pytest.fixture(scope="module")
def program() -> Path:
    try:
        return debian_source.program(debian_source.suites(), "libpq_pipeline")
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def server() -> Iterator[stage.Postgres]:
    with stage.postgres() as running:
        running.restart(log_statement="none")
        running.sql("create database pipeline")
        yield running


@pytest.fixture(scope="module")
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        made = stage.Gateway(folder / "g", {"pipeline": stage.shop(server, database="pipeline")})
        made.init()
        made.start()
        try:
            yield made
        finally:
            made.stop()


def test_every_test_of_it_passes_and_sees_the_same_messages(
    program: Path, server: stage.Postgres, gateway: stage.Gateway, tmp_path: Path
) -> None:
    run = gateway.run()
    names = subprocess.run([program, "tests"], capture_output=True, text=True, timeout=20, check=True)
    assert len(names.stdout.split()) >= 10
    for name in names.stdout.split():
        direct = end(program, name, server.direct("pipeline"), tmp_path)
        server.sql("drop schema public cascade", "create schema public", database="pipeline")
        through = end(program, name, run.environment | {"PGDATABASE": "pipeline"}, tmp_path)
        server.sql("drop schema public cascade", "create schema public", database="pipeline")
        assert direct.code == 0, (name, direct.said)
        assert through.code == 0, (name, through.said)
        if name not in RACING:
            assert through.trace == direct.trace, name
    gateway.end(run, wait=60)


def end(program: Path, name: str, environment: Mapping[str, str], folder: Path) -> End:
    """Run one test."""
    trace = folder / "trace"
    trace.write_text("")
    tracing = [] if name in RACING else ["-t", str(trace)]
    done = subprocess.run(
        [program, "-r", "700", *tracing, name, "connect_timeout=10"],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return End(done.returncode, done.stderr[-500:], trace.read_text().splitlines())
