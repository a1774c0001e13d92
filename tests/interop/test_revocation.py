"""What ends a session from outside: revoked, ended, killed, expired, on every worker and in time."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from bodycam.protocols.postgres.frontend import cancel_request
from tests import stage
from tests.interop.raw import Client, on_both_workers, sessions, until, worker_of

IN_TIME = 2.0


@dataclass
class Sleeper:
    """A session in the middle of a long statement, and how it ended."""

    connection: psycopg.Connection[Any]
    backend: int
    sqlstate: str | None = None
    ended: float = 0.0

    def sleep(self) -> None:
        try:
            self.connection.execute("select pg_sleep(60)")
        except psycopg.Error as error:
            self.sqlstate = error.sqlstate
        self.ended = time.monotonic()


@contextlib.contextmanager
def sleepers(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> Iterator[list[Sleeper]]:
    """Sessions on both workers, each in the middle of pg_sleep."""
    connections = on_both_workers(gateway, run)
    asleep = []
    for connection in connections:
        row = connection.execute("select pg_backend_pid()").fetchone()
        assert row is not None
        asleep.append(Sleeper(connection, row[0]))
    threads = [threading.Thread(target=one.sleep) for one in asleep]
    for thread in threads:
        thread.start()
    until(lambda: running(server, asleep) == len(asleep), "all the statements at the target")
    try:
        yield asleep
    finally:
        for thread in threads:
            thread.join(10)
        for connection in connections:
            connection.close()


def running(server: stage.Postgres, asleep: list[Sleeper]) -> int:
    pids = ", ".join(str(one.backend) for one in asleep)
    return int(
        server.sql(
            f"select count(*) from pg_stat_activity where pid in ({pids}) and query like '%sleep(60)%'"
        )
    )


def all_cut(server: stage.Postgres, asleep: list[Sleeper], began: float) -> None:
    """Every session was told so in time, and its statement is stopped at the target as well."""
    until(lambda: all(one.ended for one in asleep), "the end of all sessions")
    assert {one.sqlstate for one in asleep} == {"57P01"}
    assert max(one.ended for one in asleep) - began < IN_TIME
    until(lambda: running(server, asleep) == 0, "the end of the statements at the target", IN_TIME)


def recorded_as_cut(gateway: stage.Gateway, run: stage.Credential, count: int) -> None:
    """On the record the sessions were cut, and what they ran is of unknown outcome."""

    def sealed() -> bool:
        listed = [one for one in sessions(gateway, run.run) if one["outcome"] == "cut"]
        return len(listed) == count and all(one["state"] == "sealed" for one in listed)

    until(sealed, f"{count} cut sessions on the record")
    slept = [one for one in gateway.exchanges(run.run) if "pg_sleep(60)" in one["text"]]
    assert [one["status"] for one in slept] == ["unknown"] * count


def post(gateway: stage.Gateway, path: str, **body: Any) -> dict[str, Any]:
    answer = gateway.api("POST", path, json=body)
    assert answer.status_code < 300, answer.text
    said: dict[str, Any] = answer.json()
    return said


STOPS: dict[str, Callable[[stage.Gateway, stage.Credential], object]] = {
    "revoke": lambda gateway, run: post(gateway, f"/v1/runs/{run.run}/revoke", reason="it leaked"),
    "end": lambda gateway, run: post(gateway, f"/v1/runs/{run.run}/end", exit_code=1, wait=0),
}


@pytest.mark.parametrize("how", STOPS)
def test_a_run_that_is_stopped_is_cut_on_every_worker(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential, how: str
) -> None:
    with sleepers(gateway, server, run) as asleep:
        began = time.monotonic()
        STOPS[how](gateway, run)
        all_cut(server, asleep, began)

    with pytest.raises(psycopg.OperationalError, match="has ended, expired or been revoked"):
        psycopg.connect(run.dsn())
    recorded_as_cut(gateway, run, len(asleep))


def test_killing_one_session_leaves_the_others(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    with psycopg.connect(run.dsn(), autocommit=True) as first:
        first.execute("select 1")
        (listed,) = until(lambda: sessions(gateway, run.run), "the first session")
        with psycopg.connect(run.dsn(), autocommit=True) as second:
            second.execute("select 2")
            began = time.monotonic()
            post(gateway, f"/v1/sessions/{listed['id']}/kill", reason="enough")
            with pytest.raises(psycopg.errors.AdminShutdown, match="enough"):
                while time.monotonic() - began < IN_TIME:
                    first.execute("select pg_sleep(0.05)")
            assert second.execute("select 3").fetchone() == (3,)
    gateway.end(run)

    assert sorted(one["outcome"] for one in sessions(gateway, run.run)) == ["cut", "ended"]
    (killed,) = [one for one in sessions(gateway, run.run) if one["outcome"] == "cut"]
    assert (killed["id"], "enough" in killed["reason"]) == (listed["id"], True)


def test_a_client_that_does_not_read_is_cut_all_the_same(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    with Client(gateway) as client:
        client.startup(user="token", database="shop")
        client.socket.recv(9)
        wide = "select repeat('y', 300), i from generate_series(1, 1000000) i"
        for tag, text in ((b"p", run.secret), (b"Q", wide)):
            client.send(tag + (5 + len(text)).to_bytes(4, "big") + text.encode() + b"\0")
        busy = f"select count(*) from pg_stat_activity where application_name like 'bodycam/{run.run}/%'"
        until(lambda: server.sql(busy) == "1", "the statement at the target")
        time.sleep(0.5)

        post(gateway, f"/v1/runs/{run.run}/revoke")
        until(lambda: server.sql(busy) == "0", "the end of the statement at the target", IN_TIME)
        until(lambda: [one["outcome"] for one in sessions(gateway, run.run)] == ["cut"], "the cut session")


def test_disabling_an_account_cuts_what_its_runs_have_open(
    gateway: stage.Gateway, server: stage.Postgres
) -> None:
    name = f"robot-{os.urandom(4).hex()}"
    post(gateway, "/v1/service-accounts", name=name, groups=["admins"])
    key = post(gateway, f"/v1/service-accounts/{name}/keys")["key"]
    body: dict[str, Any] = {"agent": "billing-bot", "labels": {}, "trace": None, "grade": "advisory"}
    started = gateway.api("POST", "/v1/runs", key=key, json=body).json()
    run = gateway.run()
    theirs = stage.Credential(started["run"]["id"], started["credential"]["secret"], run.environment)

    with sleepers(gateway, server, theirs) as asleep, psycopg.connect(run.dsn()) as mine:
        began = time.monotonic()
        post(gateway, f"/v1/service-accounts/{name}/disable")
        all_cut(server, asleep, began)
        assert mine.execute("select 1").fetchone() == (1,)

    assert gateway.api("POST", "/v1/runs", key=key, json=body).status_code == 401
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(theirs.dsn())
    recorded_as_cut(gateway, theirs, len(asleep))


def test_without_the_control_process_sessions_go_on_and_logins_wait(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    other = gateway.run()
    with sleepers(gateway, server, run) as asleep, psycopg.connect(other.dsn(), autocommit=True) as going_on:
        (control,) = gateway.children()["control"]
        os.kill(control, signal.SIGKILL)
        with pytest.raises(psycopg.OperationalError, match="can't take logins just now"):
            psycopg.connect(other.dsn())
        assert going_on.execute("select 'on'").fetchone() == ("on",)

        began = revoked_once_back(gateway, run)
        all_cut(server, asleep, began)
        assert going_on.execute("select 'still'").fetchone() == ("still",)

    gateway.wait_ready()
    with psycopg.connect(other.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def revoked_once_back(gateway: stage.Gateway, run: stage.Credential) -> float:
    """Revoke as soon as the control API answers again; returns when it did."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            began = time.monotonic()
            if gateway.api("POST", f"/v1/runs/{run.run}/revoke", json={}).status_code == 200:
                return began
        time.sleep(0.01)
    raise AssertionError("the control process did not come back")


@pytest.mark.parametrize("version", ["3.0", "3.2"])
def test_a_cancel_finds_its_session_on_whichever_worker(
    gateway: stage.Gateway, run: stage.Credential, version: str
) -> None:
    before = unknown_cancels(gateway)
    connections = on_both_workers(gateway, run, each=1, max_protocol_version=version)

    def cancelled(connection: psycopg.Connection[Any]) -> float:
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("select pg_sleep(20)")
        return time.monotonic() - began

    # a cancel's connection is accepted by either worker: eight in a row meet both, but for one time in 128
    with ThreadPoolExecutor(1) as pool:
        for connection in (connections[0], connections[-1]) * 4:
            assert worker_of(gateway, connection)
            assert connection.pgconn.full_protocol_version == {"3.0": 30000, "3.2": 30002}[version]
            waiting = pool.submit(cancelled, connection)
            time.sleep(0.15)
            connection.cancel_safe(timeout=5)
            assert waiting.result(10) < 3
            assert connection.execute("select 1").fetchone() == (1,)
    for connection in connections:
        connection.close()
    assert unknown_cancels(gateway) == before


def unknown_cancels(gateway: stage.Gateway) -> int:
    """How many cancel requests had a key that no worker knew, as the metrics say."""
    for line in gateway.api("GET", "/metrics", key=False).text.splitlines():
        if line.startswith("bodycam_unknown_cancels_total "):
            return int(float(line.split()[1]))
    raise AssertionError("there is no such metric")


@pytest.mark.parametrize("size", [8, 36, 260])
def test_a_cancel_with_a_wrong_key_does_nothing_and_is_counted(
    gateway: stage.Gateway, run: stage.Credential, size: int
) -> None:
    before = unknown_cancels(gateway)
    with psycopg.connect(run.dsn()) as connection:
        with Client(gateway) as client:
            client.send(cancel_request(b"\x01" * size))
            assert client.rest() == b""
        assert connection.execute("select pg_sleep(0.3), 1").fetchone() == ("", 1)
    until(lambda: unknown_cancels(gateway) == before + 1, "the count of unknown keys")


def test_a_renewed_lease_holds_and_one_that_is_not_renewed_is_cut(gateway: stage.Gateway) -> None:
    kept, left = gateway.run(ttl=10.0), gateway.run(ttl=10.0)
    with (
        psycopg.connect(kept.dsn(), autocommit=True) as going,
        psycopg.connect(left.dsn(), autocommit=True) as ending,
    ):
        began = time.monotonic()
        post(gateway, f"/v1/runs/{kept.run}/renew", ttl=60.0)
        with pytest.raises(psycopg.errors.AdminShutdown, match="lease has expired"):
            ending.execute("select pg_sleep(20)")
        assert 9 < time.monotonic() - began < 10 + IN_TIME
        time.sleep(1)
        assert going.execute("select 1").fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="has ended, expired or been revoked"):
        psycopg.connect(left.dsn())
    until(lambda: len(sessions(gateway, left.run)) == 2, "both sessions on the record")
    assert sorted(one["outcome"] for one in sessions(gateway, left.run)) == ["cut", "failed"]
