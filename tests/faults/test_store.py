"""A store that can't be written, or that hangs: no query is hurt, nothing is lost, and sealing catches up."""

import contextlib
import subprocess
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests import stage
from tests.faults import metrics
from tests.faults.balance import Books
from tests.faults.disk import MIB, ext4, mounts
from tests.faults.load import Bench, Done
from tests.interop.raw import until

AWAY = "recordings can't be stored; the log says why"


@pytest.fixture
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway that was not started, so that its recordings can get a disk of their own."""
    with stage.folder() as folder:
        made = stage.Gateway(folder / "g", {"shop": stage.shop(server)}, workers=2)
        made.init()
        (made.data / "recordings").mkdir(mode=0o700)
        try:
            yield made
        finally:
            made.stop()


@contextlib.contextmanager
def mounted(gateway: stage.Gateway, *arguments: str) -> Iterator[str]:
    """Mount something where the recordings go."""
    place = str(gateway.data / "recordings")
    mounts("mount", *arguments, place)
    try:
        yield place
    finally:
        gateway.stop()
        subprocess.run(["umount", "-l", place], timeout=30, check=False)


def loads(bench: Bench, run: stage.Credential, times: int) -> Done:
    """Short loads one after another, so that there are sessions to be sealed."""
    done = [bench.start(run.environment, "simple", 1).finish() for _ in range(times)]
    for one in done:
        assert not one.thrown_out, one.said
        assert one.committed
    return Done(frozenset(token for one in done for token in one.committed), 0, "")


def assert_caught_up(
    gateway: stage.Gateway, server: stage.Postgres, bench: Bench, run: stage.Credential, done: list[Done]
) -> None:
    """All is sealed, and nothing is missing."""
    gateway.end(run, wait=40)
    for name in ("bodycam_oldest_unsealed_seconds", "bodycam_archivist_waiting_sessions"):
        until(lambda name=name: metrics.total(gateway, name) == 0, f"{name} is 0")
    assert gateway.stop() == 0
    books = Books(gateway, server, bench)
    balance = books.balance(run, {token for one in done for token in one.committed})
    assert not balance.missing
    assert balance.sessions["ended"] == balance.sessions.total()
    assert books.unasked() == set()


@pytest.mark.timeout(180)
def test_a_read_only_store_is_said_and_made_good(
    gateway: stage.Gateway, server: stage.Postgres, bench: Bench
) -> None:
    with mounted(gateway, "-t", "tmpfs", "-o", f"size={64 * MIB},mode=0700", "tmpfs") as place:
        gateway.start()
        run = gateway.run()
        first = loads(bench, run, 1)
        until(lambda: metrics.total(gateway, "bodycam_sealed_total") >= 6, "sessions are sealed")

        mounts("mount", "-o", "remount,ro", place)
        sealed = metrics.total(gateway, "bodycam_sealed_total")
        second = loads(bench, run, 3)
        assert metrics.total(gateway, "bodycam_sealed_total") == sealed
        until(lambda: metrics.total(gateway, "bodycam_archivist_waiting_sessions") >= 18, "18 sessions wait")
        assert metrics.total(gateway, "bodycam_oldest_unsealed_seconds") > 1
        ready = gateway.api("GET", "/readyz", key=False)
        assert ready.status_code == 503
        assert AWAY in ready.text

        mounts("mount", "-o", "remount,rw", place)
        third = loads(bench, run, 1)
        assert_caught_up(gateway, server, bench, run, [first, second, third])


@pytest.fixture
def image(gateway: stage.Gateway) -> str:
    """A file system of its own in a file, which can be frozen: then every write to it waits."""
    return str(ext4(gateway.folder / "recordings.img", 64 * MIB))


@contextlib.contextmanager
def frozen(place: str) -> Iterator[None]:
    """Let every write to a mounted file system wait. A process in such a write can't even be killed."""
    mounts("fsfreeze", "--freeze", place)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", place], timeout=30, check=False)


@pytest.mark.timeout(180)
def test_a_store_that_hangs_holds_up_nobody(
    gateway: stage.Gateway, server: stage.Postgres, bench: Bench, image: str
) -> None:
    with mounted(gateway, "-o", "loop", image) as place:
        gateway.start()
        run = gateway.run()
        first = loads(bench, run, 1)
        with frozen(place):
            time.sleep(1)
            opened = metrics.total(gateway, "bodycam_ledger_size")
            second = loads(bench, run, 3)
            # openings enter the ledger all the same, and the waiting shows
            until(lambda: metrics.total(gateway, "bodycam_ledger_size") >= opened + 18, "18 openings")
            until(
                lambda: metrics.total(gateway, "bodycam_archivist_waiting_sessions") >= 18, "18 sessions wait"
            )
            assert metrics.total(gateway, "bodycam_oldest_unsealed_seconds") > 1
            until(
                lambda: metrics.total(gateway, "bodycam_archivist_lag_seconds") < 1, "the journals are read"
            )
            with psycopg.connect(run.dsn()) as connection:
                assert connection.execute("select 42").fetchone() == (42,)
        third = loads(bench, run, 1)
        assert_caught_up(gateway, server, bench, run, [first, second, third])
