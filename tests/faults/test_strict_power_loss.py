"""Power loss with `journal.fsync: strict`: of what was released nothing is lost.

The data folder is an ext4 of its own in a file. In the middle of a load every process is stopped where it is,
and the file is copied: the copy has what had reached the disk, and nothing of what only the page cache held.
A gateway over the copy has to have a recording of everything that pgbench saw committed, and of every statement
that reached the database.
"""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stage
from tests.faults import metrics
from tests.faults.balance import Books
from tests.faults.disk import MIB, ext4, mounts
from tests.faults.load import Bench
from tests.interop.raw import until

ROUNDS = 2


@pytest.fixture
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        made = stage.Gateway(
            folder / "g", {"shop": stage.shop(server)}, workers=2, journal={"fsync": "strict"}
        )
        made.init()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def disk(gateway: stage.Gateway) -> Path:
    """An ext4 with the data folder in it."""
    file = ext4(gateway.folder / "disk.img", 384 * MIB)
    kept = gateway.data.with_name("data.kept")
    gateway.data.rename(kept)
    gateway.data.mkdir(mode=0o700)
    with mounted(gateway, file):
        shutil.copytree(kept, gateway.data, dirs_exist_ok=True)
    return file


@contextlib.contextmanager
def mounted(gateway: stage.Gateway, file: Path) -> Iterator[None]:
    mounts("mount", "-o", "loop", file, gateway.data)
    try:
        yield
    finally:
        gateway.stop()
        away = ["umount", str(gateway.data)]
        until(lambda: not subprocess.run(away, timeout=30, check=False).returncode, "nobody uses the disk")


def cut(gateway: stage.Gateway, disk: Path) -> Path:
    """What the disk has at one moment; everything that runs on it is gone afterwards."""
    pids = [gateway.pid, *(pid for pids in gateway.children().values() for pid in pids)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    left = disk.with_name(f"after-{time.monotonic_ns()}.img")
    subprocess.run(["cp", "--sparse=always", disk, left], timeout=60, check=True)
    for pid in reversed(pids):
        os.kill(pid, signal.SIGKILL)
    gateway.stop()
    until(lambda: not any(map(runs, pids)), "all processes are gone")
    return left


def runs(pid: int) -> bool:
    """Whether a process has its files open still."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.timeout(60 + 60 * ROUNDS)
def test_of_what_was_released_nothing_is_lost(
    gateway: stage.Gateway, server: stage.Postgres, bench: Bench, disk: Path
) -> None:
    rounds = []
    for number in range(ROUNDS):
        with mounted(gateway, disk):
            gateway.start()
            run = gateway.run()
            load = bench.start(run.environment, ("simple", "prepared")[number % 2], 20)
            bench.under_way(load)
            time.sleep(random.uniform(0.2, 1.5))
            disk = cut(gateway, disk)
        done = load.finish()
        assert done.committed
        assert done.thrown_out == 6, done.said
        rounds.append((run, done))

    with mounted(gateway, disk):
        gateway.start()
        for run, _ in rounds:
            gateway.end(run, wait=30)
        assert metrics.total(gateway, "bodycam_journal_damages_total") == 0
        assert gateway.stop() == 0
        books = Books(gateway, server, bench)
        assert books.unasked() == set()
        for run, done in rounds:
            balance = books.balance(run, done.committed)
            assert not balance.missing, balance
            # and the one in which pgbench looks at its tables first
            assert balance.sessions == {"interrupted": 6, "ended": 1}
