"""The command lines of docs/operations.md work: each block is taken out of the page and run."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stage

pytestmark = pytest.mark.timeout(180)

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WITH_GATEWAY = re.compile(r"bodycam (accounts|runs)")


@pytest.fixture(scope="module")
def place(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway with one recorded run; agents may be started by the group that the page makes an account for."""
    with stage.folder() as folder:
        gateway = stage.Gateway(folder / "g", {"shop": stage.shop(server)})
        gateway.init()
        program = folder / "bin" / "bodycam"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bodycam "$@"\n')
        program.chmod(0o755)
        gateway.start()
        try:
            run = gateway.run()
            subprocess.run(
                [server.bin / "psql", "-X", "-c", "select 'kept' as word"],
                env=run.environment,
                check=True,
                capture_output=True,
                timeout=60,
            )
            gateway.end(run)
            yield gateway
        finally:
            gateway.stop()


def follow(gateway: stage.Gateway, block: str) -> str:
    environment = stage.clean_environment()
    environment["PATH"] = f"{gateway.folder.parent / 'bin'}:{environment['PATH']}"
    done = subprocess.run(
        ["sh", "-euc", block],
        cwd=gateway.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_the_lines_for_a_running_gateway_work(place: stage.Gateway) -> None:
    blocks = [block for block in BLOCKS if WITH_GATEWAY.search(block)]
    assert blocks
    said = "".join(follow(place, block) for block in blocks)
    assert "nightly" in said


def test_the_lines_for_a_stopped_gateway_work_in_order(place: stage.Gateway) -> None:
    assert place.stop() == 0
    said = [follow(place, block) for block in BLOCKS if not WITH_GATEWAY.search(block)]
    assert len(said) >= 4
    assert "self-consistent: 1 sessions" in said[0]
    assert "self-consistent: 1 sessions" in said[1], "the restored copy tells the same story"
    assert "1 sessions" in said[2]


def test_the_index_is_not_rebuilt_under_a_running_gateway(place: stage.Gateway) -> None:
    """The page says to stop it first."""
    place.start()
    done = place.bodycam("reindex")
    assert done.returncode == 1
    assert "gateway" in done.stderr
