"""kill -9 of the archivist at any moment: no committed event is lost, none is recorded twice."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bodycam.archive.archivist import Archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Ledger
from bodycam.archive.sealing import Sealer
from bodycam.archive.staging import StagingFile
from bodycam.archive.store.local import LocalStore
from bodycam.journal.follower import Follower
from bodycam.model import ids
from tests.unit.archive.house import House, NoIndex, Worker, without_times

ROUNDS = 12
ROOT = Path(__file__).parents[2]


def spawn(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.archivist_process", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", "the archivist did not start"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait(timeout=10)
    assert process.stdout is not None
    process.stdout.close()


def test_killed_again_and_again_while_a_worker_goes_on(tmp_path: Path) -> None:
    chance = random.Random(4)
    house = House(tmp_path)
    worker = Worker(house.writer())
    long = worker.open()
    exchange = 0
    for _ in range(ROUNDS):
        process = spawn(tmp_path)
        until = time.monotonic() + chance.uniform(0.02, 0.5)
        while time.monotonic() < until:
            exchange += 1
            worker.query(long, exchange, chance.randrange(2000))
            short = worker.open()
            worker.query(short, 1)
            worker.close(short)
            time.sleep(0.002)
        end(process)
    worker.close(long)

    house.start()
    house.until_sealed(*worker.committed)

    recordings = house.recordings()
    assert set(recordings) == set(worker.committed)
    for session, committed in worker.committed.items():
        assert without_times(recordings[session]) == committed, session
    assert house.verified() == "self-consistent"
    assert not list((tmp_path / "staging").glob("*.part"))
    assert len(list(worker.writer.folder.glob("*.seg"))) <= 3
    worker.die()
    house.stop()


class Killed(BaseException):
    """What stands for kill -9 inside this process: nothing catches it."""


STEPS: list[tuple[type, str]] = [
    (KeyStore, "put"),
    (LocalStore, "put"),
    (Sealer, "seal"),
    (Ledger, "commit"),
    (NoIndex, "sealing"),
    (NoIndex, "sealed"),
    (StagingFile, "create"),
    (StagingFile, "append"),
    (StagingFile, "remove"),
    (Sealer, "forget"),
    (Archivist, "_sealed"),
    (Follower, "retire"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", STEPS, ids=[f"{owner.__name__}.{name}" for owner, name in STEPS])
def test_killed_between_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[type, str], after: bool
) -> None:
    house = House(tmp_path)
    worker = Worker(house.writer())
    long, short = worker.open(), worker.open()
    owner, name = place
    killed = 0

    def dies(work: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] > 0:
                return work(*arguments, **options)
            if after:
                work(*arguments, **options)
            raise Killed

        return call

    for times in (1, 2, 3):
        house.start()
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, dies(getattr(owner, name), [times]))
            try:
                for exchange in range(1, 80):
                    worker.query(long, exchange + times * 100, 1500)
                    worker.query(short, exchange, 10)
                    worker.close(short)
                    short = worker.open()
                    if exchange % 40 == 0:
                        worker.close(long)
                        long = worker.open()
                    house.archivist.step()
                    time.sleep(0.003)
            except Killed:
                killed += 1
        house.crash()
    assert killed > 0
    for session in list(worker.numbers):
        if worker.committed[session][-1][0] != 7:
            worker.close(session)

    house.start()
    house.until_sealed(*worker.committed)

    recordings = house.recordings()
    assert set(recordings) == set(worker.committed)
    for session, committed in worker.committed.items():
        assert without_times(recordings[session]) == committed, ids.raw(session).hex()
    assert house.verified() == "self-consistent"
    worker.die()
    house.stop()
