"""Peers that are slow or stop: the worker's memory stays bounded, and nobody else notices.

The bound is stated in docs/performance.md: a session may hold a read and a write buffer each way and what waits
for the journal, which is 8 MiB here with room to spare, whatever the size of the result or of the row.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.interop.raw import bystanders, until
from tests.stage import Gateway, Postgres, folder, shop

BOUND = 16 * 1024 * 1024
ROWS = int(os.environ.get("BODYCAM_BACK_PRESSURE_ROWS", "10000000"))


@pytest.fixture
def gateway(server: Postgres) -> Iterator[Gateway]:
    """One worker, so that all that is held is held there."""
    with folder() as place:
        made = Gateway(place / "g", {"shop": shop(server, tls={"sslmode": "disable"})}, workers=1)
        made.init()
        made.start()
        try:
            yield made
        finally:
            made.stop()


def held(pid: int) -> int:
    """Bytes of anonymous memory of a process: its heap, without the mapped journal."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no such line")


class Watch:
    """The most memory that the worker held while something went on."""

    def __init__(self, gateway: Gateway) -> None:
        (self._pid,) = gateway.children()["worker"]
        self.before = self.most = held(self._pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.most = max(self.most, held(self._pid))

    @property
    def growth(self) -> int:
        return self.most - self.before


def backends(server: Postgres) -> int:
    """Connections of the gateway at the server that work on something."""
    query = "select count(*) from pg_stat_activity where usename = 'app' and state = 'active'"
    with psycopg.connect(
        host="127.0.0.1", port=server.port, user="postgres", dbname="postgres", sslmode="disable"
    ) as connection:
        (count,) = connection.execute(query).fetchone() or (0,)
    return int(count)


def test_ten_million_rows_to_a_client_that_reads_slowly_and_then_not_at_all(
    gateway: Gateway, server: Postgres
) -> None:
    run = gateway.run()
    with bystanders(gateway.run().dsn(), 2), Watch(gateway) as watch:
        connection = psycopg.connect(run.dsn(), autocommit=True)
        cursor = connection.cursor()
        query = f"select i, repeat('x', 80) from generate_series(1, {ROWS}) i"
        rows = cursor.stream(query)
        for _ in range(2_000):
            next(rows)
            time.sleep(0.0005)
        time.sleep(2)  # not read at all
        assert backends(server) >= 1, "the result was over before the client stopped"
        with socket.socket(fileno=os.dup(connection.fileno())) as gone:
            gone.shutdown(socket.SHUT_RDWR)  # without a word
        with pytest.raises(psycopg.OperationalError):
            for _ in rows:
                pass
        connection.close()
        until(lambda: backends(server) == 0, "the statement ends at the target too")

    assert watch.growth < BOUND, f"{watch.growth / 2**20:.1f} MiB"


def test_a_row_of_200_mb_passes_in_pieces(gateway: Gateway) -> None:
    run = gateway.run()
    size = 200_000_000
    with (
        bystanders(gateway.run().dsn(), 2),
        Watch(gateway) as watch,
        psycopg.connect(run.dsn(), autocommit=True) as connection,
    ):
        (value,) = connection.execute(f"select repeat('x', {size})").fetchone() or ("",)
        assert len(value) == size
        assert connection.execute("select 1").fetchone() == (1,)

    assert watch.growth < BOUND, f"{watch.growth / 2**20:.1f} MiB"


def test_a_target_that_stops_reading_stops_the_client(gateway: Gateway, server: Postgres) -> None:
    run = gateway.run()
    server.sql("drop table if exists filled", "create table filled (line text)", "grant all on filled to app")
    line = b"y" * 1023 + b"\n"
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        (backend,) = connection.execute("select pg_backend_pid()").fetchone() or (0,)
        sent = 0
        with (
            bystanders(gateway.run().dsn(), 2),
            Watch(gateway) as watch,
            connection.cursor().copy("copy filled from stdin") as copy,
        ):
            copy.write(line)
            os.kill(backend, signal.SIGSTOP)
            goes_on = threading.Timer(2.0, os.kill, (backend, signal.SIGCONT))
            goes_on.start()
            try:
                for _ in range(100):
                    copy.write(line * 1024)
                    sent += 1024
            finally:
                goes_on.join()
        (count,) = connection.execute("select count(*) from filled").fetchone() or (0,)

    assert count == sent + 1
    assert watch.growth < BOUND, f"{watch.growth / 2**20:.1f} MiB"
