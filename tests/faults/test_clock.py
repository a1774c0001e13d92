"""The wall clock jumps: recordings keep their order, and leases are off by the jump and by no more."""

import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests import stage
from tests.faults.balance import Books
from tests.faults.load import Bench
from tests.faults.recorded import events
from tests.interop.raw import until

HOUR = 3600.0
CLOCK = Path(__file__).with_name("jumping") / "sitecustomize.py"


class Clock:
    """The wall clock of every process of one gateway."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        shutil.copy(CLOCK, folder)
        self.jump(0.0)

    def jump(self, offset: float) -> None:
        """From now on it is `offset` seconds ahead of the real one."""
        file = self.folder / "offset"
        if not file.exists():
            file.write_bytes(bytes(8))
        with file.open("r+b") as stream:
            stream.write(struct.pack("d", offset))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock")


@pytest.fixture
def gateway(server: stage.Postgres, clock: Clock) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        made = stage.Gateway(folder / "g", {"shop": stage.shop(server)}, workers=2)
        made.init()
        made.start(PYTHONPATH=str(clock.folder))
        try:
            yield made
        finally:
            made.stop()


def served(run: stage.Credential) -> bool:
    """Whether a login goes through."""
    try:
        with psycopg.connect(run.dsn(), connect_timeout=10) as connection:
            return connection.execute("select 1").fetchone() == (1,)
    except psycopg.OperationalError:
        return False


@pytest.mark.timeout(180)
def test_a_clock_that_jumps_back_an_hour_and_forward_again(
    gateway: stage.Gateway, server: stage.Postgres, bench: Bench, clock: Clock
) -> None:
    run, brief = gateway.run(), gateway.run(ttl=10)
    began = time.monotonic()
    first = bench.start(run.environment, "simple", 4)
    bench.under_way(first, 50)
    assert served(brief)

    clock.jump(-HOUR)

    second = bench.start(run.environment, "simple", 1).finish()
    across = first.finish()
    assert not across.thrown_out, "a session that is open does not notice"
    assert not second.thrown_out, second.said
    time.sleep(max(0.0, began + 11 - time.monotonic()))
    assert served(brief), "a lease is in wall time, so it lasts longer by the jump"

    with psycopg.connect(brief.dsn(), autocommit=True) as connection:
        clock.jump(0.0)
        # and by no more: once the clock is right again, the lease is over, at once and everywhere
        until(lambda: not served(brief), "the lease that ran out is refused")
        until(lambda: _ended(connection), "its session is cut", seconds=5)
    third = bench.start(run.environment, "simple", 1).finish()
    assert not third.thrown_out, third.said

    clock.jump(HOUR + 1)

    until(lambda: not served(run), "an hour ahead, the lease of an hour is over")
    clock.jump(0.0)
    assert served(run), "nothing was ended for good by a clock that was wrong"

    gateway.end(run, wait=40)
    assert gateway.stop() == 0
    recorded = events(gateway)
    began_at = [told[0][3]["started"] for told in recorded.values()]
    assert max(began_at) - min(began_at) > (HOUR - 120) * 1e6, "the processes had the clock that jumped"
    for session, told in recorded.items():
        times = [at for _, at, _, _ in told]
        assert times == sorted(times), session
        assert times[0] == 0
        assert times[-1] < 120_000_000, "no event is an hour away"
    books = Books(gateway, server, bench)
    balance = books.balance(run, across.committed | second.committed | third.committed)
    assert not balance.missing
    assert books.unasked() == set()


def _ended(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    try:
        connection.execute("select 1")
    except psycopg.OperationalError:
        return True
    return False
