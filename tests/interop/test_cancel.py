"""What a client knows of its session and may do about it: its process at the target, and cancel requests."""

import threading
import time
from typing import Any

import psycopg

from tests import stage
from tests.interop.raw import on_both_workers


def backend(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute("select pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


def test_a_cancel_request_that_was_answered_hits_no_later_statement(
    gateway: stage.Gateway, run: stage.Credential
) -> None:
    # PQcancel returns once the server has closed its connection, so that this can't be hit: libpq counts on it
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        for _ in range(60):
            connection.cancel()
            connection.execute("select pg_sleep(0.005)")


def test_a_cancel_request_ends_the_statement_that_runs_whichever_worker_gets_it(
    gateway: stage.Gateway, run: stage.Credential
) -> None:
    for connection in on_both_workers(gateway, run):
        for _ in range(3):
            began = time.monotonic()
            timer = threading.Timer(0.2, connection.cancel)
            timer.start()
            try:
                connection.execute("select pg_sleep(30)")
            except psycopg.errors.QueryCanceled:
                assert time.monotonic() - began < 20
            else:
                raise AssertionError("the statement was not cancelled")
            finally:
                timer.join()
        connection.close()


def test_the_process_that_a_client_is_told_is_the_targets_own(
    gateway: stage.Gateway, run: stage.Credential, server: stage.Postgres
) -> None:
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        assert connection.info.backend_pid == backend(connection)
        connection.execute("listen words")
        connection.execute("notify words, 'own'")
        server.sql("notify words, 'other'")
        own, other = connection.notifies(timeout=10, stop_after=2)
        assert (own.payload, own.pid) == ("own", connection.info.backend_pid)
        assert (other.payload, other.pid != own.pid) == ("other", True)
