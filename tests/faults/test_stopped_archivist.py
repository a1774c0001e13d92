"""An archivist that does nothing for a while (SIGSTOP): the journal takes it all, and it catches up.

BODYCAM_FAULT_PAUSE sets for how many seconds it is stopped under load (10).
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests import stage
from tests.faults import metrics, victims
from tests.faults.balance import Books
from tests.faults.load import Bench
from tests.interop.raw import until

PAUSE = int(os.environ.get("BODYCAM_FAULT_PAUSE", "10"))


@contextlib.contextmanager
def stopped(gateway: stage.Gateway) -> Iterator[None]:
    """The archivist stands still."""
    (pid,) = gateway.children()["archivist"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.timeout(120 + 3 * PAUSE)
def test_it_catches_up_and_says_how_far_it_was_behind(
    gateway: stage.Gateway, server: stage.Postgres, bench: Bench
) -> None:
    children = gateway.children()
    run = gateway.run()
    load = bench.start(run.environment, "simple", PAUSE + 2)
    bench.under_way(load, 50)

    with stopped(gateway):
        began = time.monotonic()
        ledger = metrics.samples(gateway, "bodycam_ledger_size")
        assert ledger == [], "what does not answer tells nothing"
        assert metrics.total(gateway, "bodycam_archivist_up") == 0
        assert gateway.api("GET", "/readyz", key=False).status_code == 503
        time.sleep(max(0.0, began + PAUSE - time.monotonic()))
    behind = until(
        lambda: max(metrics.samples(gateway, "bodycam_archivist_lag_seconds"), default=0), "the lag is told"
    )
    assert behind > PAUSE * 0.8
    done = load.finish()
    assert not done.thrown_out, done.said
    until(
        lambda: max(metrics.samples(gateway, "bodycam_archivist_lag_seconds"), default=PAUSE) < 1,
        "it catches up",
    )

    assert gateway.children() == children
    gateway.end(run, wait=40)
    assert gateway.stop() == 0
    balance = Books(gateway, server, bench).balance(run, done.committed)
    assert not balance.missing
    assert balance.sessions["ended"] == balance.sessions.total()


@pytest.fixture
def small(server: stage.Postgres) -> Iterator[stage.Gateway]:
    """A gateway with one journal, as small as it may be."""
    with stage.folder() as folder:
        size = {"segment_size": "1MiB", "max_size": "4MiB"}
        made = stage.Gateway(folder / "g", {"shop": stage.shop(server)}, workers=1, journal=size)
        made.init()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.mark.timeout(240)
def test_a_journal_that_fills_slows_refuses_and_ends_and_then_all_goes_on(
    small: stage.Gateway, server: stage.Postgres, bench: Bench
) -> None:
    gateway, run = small, small.run()
    load = bench.start(run.environment, "simple", 120)
    bench.under_way(load, 50)

    seen: set[int] = set()
    with stopped(gateway):
        while load.process.poll() is None:
            seen |= {int(one) for one in metrics.samples(gateway, "bodycam_journal_pressure")}
            time.sleep(0.1)
        done = load.finish()
        assert done.said.count("the gateway's journal is full") == 6, done.said
        with pytest.raises(psycopg.OperationalError, match="journal is nearly full"):
            psycopg.connect(run.dsn())
        assert metrics.total(gateway, "bodycam_journal_failed") == 0
    # each step may be too short to be seen, but not the way up as a whole
    assert seen & {1, 2}
    assert seen & {2, 3}

    victims.until_served(gateway, run.dsn())
    until(lambda: max(metrics.samples(gateway, "bodycam_journal_pressure")) == 0, "there is room again")
    after = bench.start(run.environment, "simple", 1).finish()
    assert not after.thrown_out, after.said
    gateway.end(run, wait=40)
    assert gateway.stop() == 0
    books = Books(gateway, server, bench)
    balance = books.balance(run, done.committed | after.committed)
    assert not balance.missing
    assert balance.sessions["cut"] == 6
    assert books.unasked() == set()
