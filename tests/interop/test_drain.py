"""A credential that ends while sessions are open, where the settings let what they are at end first: `drain`."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from bodycam.protocols.postgres.reading import message, text
from tests import stage
from tests.interop.raw import Client, error_in, sessions, until

BOUND = 8.0


@pytest.fixture(scope="module")
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    identity = {"when_credential_ends": "drain", "drain_timeout": f"{BOUND:g}s"}
    with stage.gateway({"shop": stage.shop(server)}, workers=2, identity=identity) as one:
        yield one


def post(gateway: stage.Gateway, path: str, **body: Any) -> Any:
    answer = gateway.api("POST", path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


def revoke(gateway: stage.Gateway, run: stage.Credential) -> None:
    post(gateway, f"/v1/runs/{run.run}/revoke", reason="it leaked")


def gone(connection: psycopg.Connection[Any]) -> str:
    """The error that the gateway ends a session with, once the client looks."""
    with pytest.raises(psycopg.errors.AdminShutdown) as caught:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege):
                connection.execute("select 1")
            time.sleep(0.05)
    return str(caught.value)


def recorded(gateway: stage.Gateway, run: stage.Credential) -> tuple[str, str]:
    def closed() -> list[dict[str, Any]]:
        return [one for one in sessions(gateway, run.run) if one["outcome"] == "cut"]

    (one,) = until(closed, "the cut session on the record")
    return one["outcome"], one["reason"]


def in_background(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    found: list[object] = []

    def act() -> None:
        try:
            found.append(work())
        except psycopg.Error as error:
            found.append(error)

    thread = threading.Thread(target=act)
    thread.start()
    return thread, found


def test_an_idle_session_ends_at_once(gateway: stage.Gateway) -> None:
    run = gateway.run()
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        connection.execute("select 1")
        revoke(gateway, run)
        assert "the run was revoked: it leaked" in gone(connection)
    assert recorded(gateway, run) == ("cut", "the run was revoked: it leaked")
    with pytest.raises(psycopg.OperationalError, match=r"has ended, expired or been revoked"):
        psycopg.connect(run.dsn())


def test_rows_that_stream_while_the_lease_runs_out_come_to_their_end(gateway: stage.Gateway) -> None:
    run = gateway.run(ttl=10.0)
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        # each row takes a while and fills the server's buffer: they begin before the end of the lease and end
        # behind it; few, because each sleep lasts longer on a busy machine
        wanted = "select i, pg_sleep(0.5), repeat('x', 9000) from generate_series(1, 21) i"
        thread, found = in_background(lambda: len(connection.execute(wanted).fetchall()))
        thread.join(30)
        assert found == [21]
        assert "the run's lease has expired" in gone(connection)
    assert recorded(gateway, run) == ("cut", "the run's lease has expired")


def test_a_transaction_goes_on_to_its_end_and_no_further(
    gateway: stage.Gateway, server: stage.Postgres
) -> None:
    server.sql("create table drained (i int)")
    run = gateway.run()
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        connection.execute("begin")
        connection.execute("insert into drained values (1)")
        revoke(gateway, run)
        time.sleep(0.3)
        connection.execute("insert into drained values (2)")
        connection.execute("commit")
        assert "the run was revoked" in gone(connection)
    assert server.sql("select count(*) from drained") == "2"
    gateway.end(run)
    assert [one["status"] for one in gateway.exchanges(run.run) if "drained" in one["text"]] == ["ok", "ok"]


def test_a_transaction_that_does_not_end_is_cut_at_the_bound(
    gateway: stage.Gateway, server: stage.Postgres
) -> None:
    server.sql("create table at_the_bound (i int)")
    run = gateway.run()
    with psycopg.connect(run.dsn(), autocommit=True) as connection:
        connection.execute("begin")
        connection.execute("insert into at_the_bound values (1)")
        began = time.monotonic()
        revoke(gateway, run)
        assert "it was still at work 8 s later" in gone(connection)
        assert time.monotonic() - began >= BOUND * 0.9
    assert recorded(gateway, run)[1].startswith("the run was revoked: it leaked, and it was still at work")
    until(lambda: server.sql("select count(*) from at_the_bound") == "0", "the rollback")


def test_of_a_pipeline_what_was_asked_is_finished_and_what_comes_is_refused(
    gateway: stage.Gateway, server: stage.Postgres
) -> None:
    server.sql("create table piped (i int)")
    run = gateway.run()
    with Client(gateway) as client:
        client.startup(user="token", database="shop")
        assert client.message()[:1] == b"R"
        client.send(message(b"p", text(run.secret)))
        while client.message()[:1] != b"Z":
            pass
        slow = asked("select pg_sleep(1)") + asked("insert into piped values (1)") + message(b"S")
        client.send(slow)
        until(lambda: server.sql(AT_WORK.format(run.run)) == "1", "the statement at the target")
        revoke(gateway, run)
        time.sleep(0.2)
        client.send(asked("insert into piped values (2)") + message(b"S"))
        rest = client.rest()
    # the pipeline that was under way is answered to its end, the next one refused, then comes the end
    first, _, last = rest.partition(b"Z\0\0\0\x05I")
    assert b"INSERT 0 1" in first
    assert b"denied by rule credential-ended: the run was revoked: it leaked" in last
    assert error_in(last[last.rindex(b"E\0") :])["code"] == "57P01"
    assert server.sql("select sum(i) from piped") == "1"
    assert recorded(gateway, run)[1] == "the run was revoked: it leaked"
    gateway.end(run)
    refused = [one for one in gateway.exchanges(run.run, asides=True) if "(2)" in one["text"]]
    assert {one["status"] for one in refused} == {"denied", "skipped"}


AT_WORK = (
    "select count(*) from pg_stat_activity where application_name like 'bodycam/{}/%' and state = 'active'"
)


def asked(statement: str) -> bytes:
    """A statement in the extended protocol, without a Sync."""
    return (
        message(b"P", text(""), text(statement), b"\0\0")
        + message(b"B", text(""), text(""), b"\0\0\0\0\0\0")
        + message(b"E", text(""), b"\0\0\0\0")
    )


@pytest.mark.parametrize("how", ["end", "kill"])
def test_who_ends_a_run_or_kills_a_session_wants_it_gone_at_once(gateway: stage.Gateway, how: str) -> None:
    run = gateway.run()
    connection = psycopg.connect(run.dsn(), autocommit=True)
    connection.execute("begin")
    (listed,) = until(lambda: sessions(gateway, run.run), "the session")
    began = time.monotonic()
    if how == "end":
        post(gateway, f"/v1/runs/{run.run}/end", exit_code=0, wait=0)
    else:
        post(gateway, f"/v1/sessions/{listed['id']}/kill", reason="enough")
    assert "has ended" in gone(connection) if how == "end" else "enough" in gone(connection)
    assert time.monotonic() - began < BOUND * 0.9
    connection.close()
