"""Bytes that no client should send, and logins that can't be let in: each is answered, none disturbs others."""

import contextlib
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bodycam.protocols.postgres.frontend import (
    GSSENC_REQUEST,
    SSL_REQUEST,
    sasl_initial_message,
    startup_message,
)
from bodycam.protocols.postgres.reading import message, text
from tests import stage
from tests.interop.raw import Client, bystanders, sessions, until


@pytest.fixture(autouse=True, scope="module")
def somebody_else(gateway: stage.Gateway) -> Iterator[None]:
    """Sessions that are open all the while and must go on answering."""
    with bystanders(gateway.run().dsn()):
        yield


def refused(gateway: stage.Gateway, run: stage.Credential, database: str, **changed: str) -> psycopg.Error:
    """What libpq makes of a login that is refused."""
    values = {"user": run.run, "password": run.secret, "dbname": database, **changed}
    values |= {"host": "127.0.0.1", "port": str(gateway.port), "sslmode": "disable"}
    with pytest.raises(psycopg.OperationalError) as caught:
        psycopg.connect(**values)  # type: ignore[arg-type]
    return caught.value


def failed_login(
    gateway: stage.Gateway, run: stage.Credential, database: str, **parameters: str
) -> dict[str, str]:
    """The error's own fields, for a login by password on loopback."""
    with Client(gateway) as client:
        client.startup(user="token", database=database, **parameters)
        assert client.socket.recv(9) == b"R\0\0\0\x08\0\0\0\x03"
        secret = run.secret.encode() + b"\0"
        client.send(b"p" + (4 + len(secret)).to_bytes(4, "big") + secret)
        return client.error()


def one_failed_session(gateway: stage.Gateway, run: stage.Credential) -> dict[str, Any]:
    """The run's only session, once it is indexed: it failed."""

    def closed() -> list[dict[str, Any]]:
        return [one for one in sessions(gateway, run.run) if one["outcome"] is not None]

    until(closed, "the failed session on the record")
    (listed,) = sessions(gateway, run.run)
    assert listed["outcome"] == "failed"
    return listed


# -- bytes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(random.Random(7).randbytes(2000), "08P01", id="random bytes"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "08P01", id="an HTTP request"),
        pytest.param(b"\x7f\xff\xff\xff\0\3\0\0", "08P01", id="a length of 2 GB"),
        pytest.param(b"\xff\xff\xff\xff\0\3\0\0", "08P01", id="a negative length"),
        pytest.param(b"\0\0\0\4\0\3\0\0", "08P01", id="a length too small"),
        pytest.param(b"\0\0\0\x08\0\1\0\0", "0A000", id="protocol 1.0"),
        pytest.param(b"\0\0\0\x08\0\3\0\0", "08P01", id="no parameters at all"),
        pytest.param(b"\0\0\0\x09\0\3\0\0\0", "28000", id="no user"),
        pytest.param(startup_message({"user": "x"}) + b"Q\0\0\0\x05;", "08P01", id="a query behind it"),
        pytest.param(SSL_REQUEST + b"\0\0\0\x09", "08P01", id="bytes behind SSLRequest"),
        pytest.param(b"\0\0\0\x08\0\2\0\0", "0A000", id="protocol 2.0"),
        pytest.param(b"\0\0\0\x08\0\4\0\0", "0A000", id="protocol 4.0"),
        pytest.param(startup_message({"user": "x", "a": "b" * 11_000}), "08P01", id="a huge startup packet"),
    ],
)
def test_nonsense_is_answered_with_an_error_of_the_protocol(
    gateway: stage.Gateway, data: bytes, code: str
) -> None:
    with Client(gateway) as client:
        client.send(data)
        began = time.monotonic()
        said = client.error()

    assert said["code"] == code
    assert said["hint"]
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("asked", [SSL_REQUEST, GSSENC_REQUEST], ids=["SSLRequest", "GSSENCRequest"])
def test_encryption_can_be_asked_for_once(gateway: stage.Gateway, asked: bytes) -> None:
    with Client(gateway) as client:
        client.send(asked)
        answer = client.socket.recv(1)
        client.send(asked)
        if asked == SSL_REQUEST:
            # the handshake was promised: what is not one ends in an alert or a plain close
            assert (answer, client.rest()[:1] in (b"", b"\x15")) == (b"S", True)
        else:
            assert (answer, client.error()["code"]) == (b"N", "08P01")


@pytest.mark.parametrize("size", [7, 20])
def test_half_a_startup_packet_is_waited_for_until_the_deadline(gateway: stage.Gateway, size: int) -> None:
    with Client(gateway) as client:
        client.send(startup_message({"user": "run_nobody", "database": "shop"})[:size])
        began = time.monotonic()
        said = client.error()

    assert 2 < time.monotonic() - began < 6
    assert "no login within 3 s" in said["message"]
    assert said["hint"]


@pytest.mark.parametrize("size", [1, 3, 7, 8, 20])
def test_half_a_startup_packet_and_a_close_cost_nothing(gateway: stage.Gateway, size: int) -> None:
    before = {pid: cpu_seconds(pid) for pid in gateway.children()["worker"]}
    with Client(gateway) as client:
        client.send(startup_message({"user": "run_nobody", "database": "shop"})[:size])
        client.socket.shutdown(socket.SHUT_WR)
        began = time.monotonic()
        client.rest()
        assert time.monotonic() - began < 1
    time.sleep(0.5)

    assert all(cpu_seconds(pid) - used < 0.7 for pid, used in before.items())


def half_closed(client: Client, run: stage.Credential, at: str) -> None:
    """Go as far as `at` in a login by password, and then send nothing more, ever."""
    client.startup(user=run.run if at == "scram" else "token", database="shop")
    assert client.message()[:1] == b"R"
    if at == "scram":
        client.send(sasl_initial_message("SCRAM-SHA-256", b"n,,n=,r=rOprNGfwEbeRWgbNEkqO"))
        assert client.message()[:1] == b"R"
    elif at == "half a proof":
        client.send(b"p\0\0\0\x40bcr_run")
    elif at in ("proof", "a statement"):
        client.send(message(b"p", text(run.secret)))
    if at == "a statement":
        while client.message()[:1] != b"Z":
            continue
        client.send(message(b"Q", text("select pg_sleep(60)")))
    # of the connection itself: what comes back is read on
    socket.socket.shutdown(client.socket, socket.SHUT_WR)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("at", ["challenge", "scram", "half a proof", "proof", "a statement"])
def test_a_client_that_half_closes_in_its_login_is_let_go_and_leaves_nothing(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential, at: str, tls: bool
) -> None:
    with Client(gateway) as client:
        if tls:
            client.begin_tls(gateway)
        half_closed(client, run, at)
        began = time.monotonic()
        client.rest()
        assert time.monotonic() - began < 2.5  # the login's own deadline is 3 s

    mine = f"select count(*) from pg_stat_activity where application_name like 'bodycam/{run.run}/%'"
    until(lambda: server.sql(mine) == "0", "the end of the connection at the target", 30)
    if at in ("proof", "a statement"):
        # whether the end is seen before the login is over or right after it is a matter of moments
        ends = [["failed"], ["ended"]] if at == "proof" else [["ended"]]
        until(lambda: [one["outcome"] for one in sessions(gateway, run.run)] in ends, "the session's end")
    else:
        assert sessions(gateway, run.run) == []
    with psycopg.connect(run.dsn()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_startup_packet_byte_by_byte_is_a_startup_packet(gateway: stage.Gateway) -> None:
    with Client(gateway) as client:
        for byte in startup_message({"user": "run_nobody", "database": "shop"}):
            client.send(bytes((byte,)))
        assert client.socket.recv(1) == b"R"


def test_clients_that_never_log_in_keep_nobody_out(gateway: stage.Gateway, run: stage.Credential) -> None:
    clients = [Client(gateway) for _ in range(50)]
    try:
        for number, client in enumerate(clients):
            if number % 2:
                client.startup(user="run_nobody", database="shop")
        began = time.monotonic()
        with psycopg.connect(run.dsn()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert time.monotonic() - began < 1
        for client in clients:
            message = client.error()["message"]
            assert "no login within 3 s" in message
        assert time.monotonic() - began < 8
    finally:
        for client in clients:
            client.socket.close()


def test_nonsense_inside_tls_is_answered_too(gateway: stage.Gateway) -> None:
    import ssl

    context = ssl.create_default_context(cafile=str(gateway.folder / "keys" / "public" / "listener-ca.pem"))
    with Client(gateway) as client:
        client.send(SSL_REQUEST)
        assert client.socket.recv(1) == b"S"
        with context.wrap_socket(client.socket, server_hostname="127.0.0.1") as inner:
            inner.sendall(b"\x7f\xff\xff\xff\0\3\0\0")
            client.socket = inner
            assert client.error()["code"] == "08P01"


# -- logins ------------------------------------------------------------------------------------------


def test_an_unknown_target_is_a_failed_session(gateway: stage.Gateway, run: stage.Credential) -> None:
    said = failed_login(gateway, run, "nowhere")

    assert said["code"] == "3D000"
    assert '"nowhere"' in said["message"]
    assert "by-clear, by-md5" in said["hint"]
    assert one_failed_session(gateway, run)["target"] == "nowhere"


def test_an_agent_without_access_is_a_failed_session(gateway: stage.Gateway) -> None:
    run = gateway.run("idle-bot")

    said = failed_login(gateway, run, "shop")

    assert said["code"] == "42501"
    assert "idle-bot" in said["message"]
    assert one_failed_session(gateway, run)["target"] == "shop"


def test_a_target_that_is_down_is_a_failed_session(gateway: stage.Gateway, run: stage.Credential) -> None:
    said = failed_login(gateway, run, "down")

    assert said["code"] == "08001"
    assert "can't be reached" in said["message"]
    assert said["hint"]
    assert "can't be reached" in one_failed_session(gateway, run)["reason"]


@pytest.mark.parametrize(
    ("target", "message"),
    [("wrong-password", "password authentication failed"), ("no-password", "asks for a password")],
)
def test_a_target_that_refuses_the_gateway_is_a_failed_session(
    gateway: stage.Gateway, run: stage.Credential, target: str, message: str
) -> None:
    said = failed_login(gateway, run, target)

    assert said["code"] == "28P01"
    assert message in said["message"]
    assert said["hint"]
    assert message in one_failed_session(gateway, run)["reason"]


def test_a_database_that_the_target_lacks_is_a_failed_session(
    gateway: stage.Gateway, run: stage.Credential
) -> None:
    said = failed_login(gateway, run, "shop/not_there")

    assert (said["code"], "not_there" in said["message"]) == ("3D000", True)
    assert one_failed_session(gateway, run)["database"] == "not_there"


@pytest.mark.parametrize("kind", ["true", "database"])
def test_a_replication_connection_is_a_failed_session(
    gateway: stage.Gateway, run: stage.Credential, kind: str
) -> None:
    said = failed_login(gateway, run, "shop", replication=kind)

    assert (said["code"], "replication" in said["message"]) == ("0A000", True)
    assert "replication" in one_failed_session(gateway, run)["reason"]
    with pytest.raises(psycopg.OperationalError, match="Replicate from the database directly"):
        psycopg.connect(run.dsn(), replication=kind)


def test_replication_by_nobody_known_is_no_session(gateway: stage.Gateway) -> None:
    with Client(gateway) as client:
        client.startup(user="token", database="shop", replication="true")
        assert client.message() == b"R\0\0\0\x08\0\0\0\x03"
        client.send(message(b"p", text("bcr_wrong")))
        assert client.error()["code"] == "28P01"


@pytest.mark.parametrize("how", ["end", "revoke"])
def test_a_run_that_is_over_is_a_failed_session(
    gateway: stage.Gateway, run: stage.Credential, how: str
) -> None:
    if how == "end":
        gateway.end(run)
    else:
        assert gateway.api("POST", f"/v1/runs/{run.run}/revoke", json={}).status_code == 200

    said = failed_login(gateway, run, "shop")
    by_scram = refused(gateway, run, "shop")

    assert said["code"] == "28000"
    assert f"run {run.run} has ended" in said["message"]
    assert "bodycam run" in said["hint"]
    assert f"run {run.run} has ended" in str(by_scram)
    until(lambda: len(sessions(gateway, run.run)) == 2, "both failed sessions on the record")
    assert {one["outcome"] for one in sessions(gateway, run.run)} <= {"failed", None}


def test_who_is_not_known_is_counted_in_the_audit_and_has_no_session(
    gateway: stage.Gateway, run: stage.Credential
) -> None:
    before = len(gateway.api("GET", "/v1/sessions?limit=1000").json()["sessions"])
    nobody = f"run_{os.urandom(8).hex()}"

    for _ in range(3):
        assert "not valid" in str(refused(gateway, run, "shop", user=nobody))
    assert "not valid" in str(refused(gateway, run, "shop", password="bcr_wrong"))
    assert "not valid" in str(refused(gateway, run, "shop", user="token", password="bcr_wrong"))
    assert "not valid" in str(refused(gateway, run, "shop", user="postgres"))

    def entered() -> dict[str, int] | None:
        events = gateway.api("GET", "/v1/audit?action=login-failed&limit=1000").json()["events"]
        counted = dict.fromkeys((nobody, run.run, "token", "postgres"), 0)
        for event in events:
            if event["object"] in counted:
                counted[event["object"]] += event["detail"]["count"]
        return counted if all(counted.values()) else None

    counted = until(entered, "the failed logins in the audit", 30)
    assert (counted[nobody], counted[run.run]) == (3, 1)
    assert sessions(gateway, run.run) == []
    after = gateway.api("GET", "/v1/sessions?limit=1000").json()["sessions"]
    assert len([one for one in after if one["run"] == nobody]) == 0
    assert len(after) >= before


# -- clients that misbehave after their login ---------------------------------------------------------


def test_a_client_that_disappears_stops_its_statement_at_the_target(
    gateway: stage.Gateway, server: stage.Postgres, run: stage.Credential
) -> None:
    connection = psycopg.connect(run.dsn())
    backend = connection.execute("select pg_backend_pid()").fetchone()
    assert backend is not None
    thread = threading.Thread(target=ignore, args=(connection, "select pg_sleep(60)"))
    thread.start()
    running = f"select count(*) from pg_stat_activity where pid = {backend[0]} and query like '%sleep(60)%'"
    until(lambda: server.sql(running) == "1", "the statement at the target")

    with socket.socket(fileno=os.dup(connection.fileno())) as sock:
        sock.shutdown(socket.SHUT_RDWR)

    gone = f"select count(*) from pg_stat_activity where pid = {backend[0]}"
    until(lambda: server.sql(gone) == "0", "the end of the statement at the target", 30)
    thread.join(5)
    connection.close()
    gateway.end(run)
    left = [one for one in gateway.exchanges(run.run) if "sleep(60)" in one["text"]]
    assert [one["status"] for one in left] == ["unknown"]


def test_a_client_that_stops_reading_costs_no_memory(gateway: stage.Gateway, run: stage.Credential) -> None:
    workers = gateway.children()["worker"]
    before = {pid: resident(pid) for pid in workers}
    wide = "select repeat('x', 300), i from generate_series(1, 1000000) i"
    with Client(gateway) as client:
        client.startup(user="token", database="shop")
        client.socket.recv(9)
        for tag, text in ((b"p", run.secret), (b"Q", wide)):
            body = text.encode() + b"\0"
            client.send(tag + (4 + len(body)).to_bytes(4, "big") + body)
        grown = 0
        for _ in range(30):
            time.sleep(0.1)
            grown = max(grown, *(resident(pid) - before[pid] for pid in workers))
        began = time.monotonic()
        with psycopg.connect(run.dsn()) as connection:
            assert connection.execute("select 1").fetchone() == (1,)
        assert time.monotonic() - began < 2

    assert grown < 100 * 1024 * 1024


def ignore(connection: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.Error):
        connection.execute(statement)


def resident(pid: int) -> int:
    """A process's resident memory in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no memory of process {pid}")


def cpu_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_storm_of_logins_is_turned_away_and_leaves_nothing_behind(
    gateway: stage.Gateway, run: stage.Credential
) -> None:
    def turned_away() -> bool:
        """Whether, behind 450 that say nothing, one more is; a slow machine lets the first go meanwhile."""
        with contextlib.ExitStack() as storm:
            for _ in range(450):
                storm.enter_context(Client(gateway))
            client = storm.enter_context(Client(gateway))
            client.startup(user=run.run, database="shop")
            said = client.rest()
            # over the limit one is told so; over twice the limit there is no room even for that
            return said == b"" or b"too many logins are on their way" in said

    until(turned_away, "a login that finds too many before it", 60)

    def in_again() -> bool:
        try:
            psycopg.connect(run.dsn()).close()
        except psycopg.OperationalError:
            return False
        return True

    until(in_again, "a login after the storm", 30)
