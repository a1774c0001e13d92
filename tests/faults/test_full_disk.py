"""A full disk under load: clients get a clear error before anything is lost, and it goes on by itself."""

from collections.abc import Iterator

import psycopg
import pytest

from tests import stage
from tests.faults import metrics, victims
from tests.faults.balance import Books
from tests.faults.disk import MIB, RESERVE, Disk, small_disk
from tests.faults.load import Bench
from tests.interop.raw import until

SIZE = RESERVE + 96 * MIB
CUT = "FATAL:  the gateway ended this session: the gateway's journal is full"
REFUSED = "the gateway's journal is nearly full"


@pytest.fixture
def stopped(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway with small segments, not started."""
    with stage.folder() as folder:
        made = stage.Gateway(
            folder / "g", {"shop": stage.shop(server)}, workers=2, journal={"segment_size": "1MiB"}
        )
        made.init()
        yield made


@pytest.fixture
def disk(stopped: stage.Gateway) -> Iterator[Disk]:
    with small_disk(stopped, SIZE) as mounted:
        yield mounted


@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    "left", [pytest.param(RESERVE - 2 * MIB, id="but the reserve"), pytest.param(0, id="to the last byte")]
)
def test_sessions_end_with_an_error_before_anything_is_lost(
    stopped: stage.Gateway, disk: Disk, server: stage.Postgres, bench: Bench, left: int
) -> None:
    gateway = stopped
    gateway.start()
    children = gateway.children()
    run = gateway.run()
    # on a busy machine it takes minutes until what was laid aside is full
    load = bench.start(run.environment, "simple", 240)
    bench.under_way(load, 50)

    disk.fill(left)

    refused = until(lambda: refusal(run.dsn()), "a new session that is refused")
    assert REFUSED in refused
    assert load.process.poll() is None, "new sessions are refused before running ones end"
    until(lambda: gateway.api("GET", "/readyz", key=False).status_code == 503, "a probe that fails")
    done = load.finish(within=240)
    assert done.thrown_out == 6
    assert done.said.count(CUT) == 6, done.said

    disk.empty()

    victims.until_served(gateway, run.dsn())
    # both workers have to have seen the space, and there is one login for each of these
    until(lambda: not any(refusal(run.dsn()) for _ in range(8)), "all workers take sessions again")
    after = bench.start(run.environment, "simple", 1).finish()
    assert not after.thrown_out, after.said
    assert after.committed
    assert gateway.children() == children, "no process had to be replaced"

    gateway.end(run, wait=30)
    assert gateway.stop() == 0
    books = Books(gateway, server, bench)
    balance = books.balance(run, done.committed | after.committed)
    assert not balance.missing
    assert balance.sessions["cut"] == 6
    assert books.unasked() == set()


@pytest.mark.timeout(240)
def test_a_disk_that_is_nearly_full_slows_sessions_down_and_stops_none(
    stopped: stage.Gateway, disk: Disk, server: stage.Postgres, bench: Bench
) -> None:
    gateway = stopped
    gateway.start()
    run = gateway.run()
    load = bench.start(run.environment, "simple", 8, clients=2)
    bench.under_way(load, 50)

    # above the reserve there is room for less than the sixteen segments that mean plenty
    disk.fill(RESERVE + 14 * MIB)
    until(lambda: gateway_slows(gateway), "the pressure rises")
    began = len(bench.in_table())
    until(lambda: len(bench.in_table()) > began, "sessions that stand still, and nobody says why, to go on")

    done = load.finish()
    assert not done.thrown_out, done.said
    disk.empty()
    gateway.end(run, wait=30)
    assert gateway.stop() == 0
    balance = Books(gateway, server, bench).balance(run, done.committed)
    assert not balance.missing


def refusal(dsn: str) -> str | None:
    """What a new session is told; None when it is served."""
    try:
        with psycopg.connect(dsn, connect_timeout=10) as connection:
            connection.execute("select 1")
    except psycopg.OperationalError as error:
        return str(error)
    return None


def gateway_slows(gateway: stage.Gateway) -> bool:
    """Whether a worker slows its sessions down."""
    return max(metrics.samples(gateway, "bodycam_journal_pressure"), default=0) == 1
