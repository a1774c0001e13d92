"""`ssh -L` and `-W` to what another target of the gateway is: a session of that protocol, with all that goes with it."""

import base64
import json
import os
import secrets
import signal
import string
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests import openssh, stage
from tests.interop.http_api import Api, api
from tests.interop.key_sets import Provider
from tests.interop.raw import sessions, until
from tests.interop.ssh_road import EVERYTHING, Road, Traveller, by_a_jump, forwarding, recorded, road, target
from tests.interop.test_redaction import plaintexts
from tests.issuer import CLIENT

TOKEN = "sk_live_" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))
MASK = "[bodycam:secrets.stripe-access-token]"
RULES = [
    {"name": "no-drop", "when": '"drop" in op.sql.kinds', "then": "deny", "message": "nothing is dropped"},
    {"name": "no-orders", "when": 'op.http.path == "/orders"', "then": "deny", "message": "not for agents"},
]  # fmt: skip


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def inner() -> Iterator[Api]:
    with api() as one:
        one.answers["/key"] = "application/json", json.dumps({"key": TOKEN}).encode()
        yield one


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh, server: stage.Postgres, inner: Api, provider: Provider) -> Iterator[Road]:
    server.sql(
        "create table if not exists told (note text)",
        "truncate told",
        f"insert into told values ('key: {TOKEN}')",
    )
    targets = {
        "box": target(sshd, allow=EVERYTHING),
        # the same host by another spelling: where two ends of a forward meet
        "named": target(sshd, address=f"localhost:{sshd.port}", allow=EVERYTHING),
        "shop": stage.shop(server),
        "api": {"protocol": "http", "address": f"127.0.0.1:{inner.port}", "tls": {"sslmode": "disable"}},
    }
    identity = {"providers": [provider.setting("people", client_id=CLIENT, groups="groups")]}
    with road(
        targets,
        listen={"http": f"127.0.0.1:{stage.free_port()}"},
        masking=[{"detect": ["secrets"]}],
        rules=RULES,
        identity=identity,
        agents={"billing-bot": {"may_start": {"groups": ["devs", "admins"]}}},
    ) as one:
        yield one


@pytest.fixture
def traveller(way: Road) -> Traveller:
    return way.traveller()


def login(port: int, user: str, secret: str, **more: str) -> dict[str, str]:
    """The environment of a client that goes to a port of this machine."""
    own = {
        "PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": user, "PGPASSWORD": secret, "PGDATABASE": "shop",
        "PGSSLMODE": "disable", "PGCONNECT_TIMEOUT": "30",
    }  # fmt: skip
    return stage.clean_environment() | own | more


def psql(server: stage.Postgres, environment: dict[str, str], *said: str) -> subprocess.CompletedProcess[str]:
    command = [server.bin / "psql", "-XAt", *(part for one in said for part in ("-c", one))]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def of_target(road: Road, run: str, name: str) -> list[dict[str, Any]]:
    return [one for one in sessions(road.gateway, run) if one["target"] == name]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("by", ["box", "named"])
def test_psql_through_a_forward_is_a_session_of_its_database(
    traveller: Traveller, server: stage.Postgres, by: str, host: str
) -> None:
    road = traveller.road
    asked = ["select 41 + 1", "select note from told", "drop table told", "select 'goes on'"]
    with forwarding(traveller, by, f"{host}:{server.port}") as port:
        done = psql(server, login(port, traveller.run, traveller.secret, PGSSLMODE="prefer"), *asked)
    assert done.stdout.splitlines() == ["42", f"key: {MASK}", "goes on"], done.stderr
    assert "denied by rule no-drop: nothing is dropped" in done.stderr
    assert server.sql("select count(*) from told") == "1"

    def ended() -> bool:
        states = [one["state"] for one in sessions(road.gateway, traveller.run)]
        return len(states) == 2 and "open" not in states

    until(ended, "both ends on the record")
    traveller.end()
    (database,) = of_target(road, traveller.run, "shop")
    assert (database["agent"], database["outcome"]) == ("billing-bot", "ended")
    told = [
        (one["text"], one["status"]) for one in road.gateway.exchanges(traveller.run) if "told" in one["text"]
    ]
    assert told == [("select note from told", "ok"), ("drop table told", "denied")]
    # and of the forward itself the record says what became of it, and has none of its bytes
    (outer,) = [one for one in recorded(road.gateway, traveller.run) if one.target["name"] == by]
    ways = {(one.verb, one.text, one.tag) for one in outer.did.values()}
    assert ways == {("forward", f"{host}:{server.port}", "as postgres")}
    assert all(one.input == one.output == b"" for one in outer.did.values())
    plain = b"".join(text for _, text in plaintexts(road.gateway))
    assert TOKEN.encode() not in plain


def test_a_providers_token_is_taken_within_a_forward_which_ssh_encrypts(
    way: Road, traveller: Traveller, server: stage.Postgres, provider: Provider
) -> None:
    token = provider.token("people")
    with forwarding(traveller, "box", f"127.0.0.1:{server.port}") as port:
        done = psql(server, login(port, "token/billing-bot", token), "show application_name")
        wrong = psql(server, login(port, "token/billing-bot", provider.token("people", exp=1)), "select 1")
        stranger = psql(server, login(port, traveller.run, "bcr_wrong"), "select 1")
    assert done.returncode == 0, done.stderr
    run = done.stdout.split("/")[1]
    assert way.gateway.api("GET", f"/v1/runs/{run}").json()["run"]["principal"] == "ann@people"
    assert "the token has expired" in wrong.stderr
    assert stranger.returncode == 2


@pytest.mark.parametrize("how", ["revoke the run", "kill the forward's session"])
def test_what_ends_the_forward_ends_the_session_within_for_the_same_reason(
    traveller: Traveller, server: stage.Postgres, how: str
) -> None:
    gateway = traveller.road.gateway
    with forwarding(traveller, "box", f"127.0.0.1:{server.port}") as port:
        command = [server.bin / "psql", "-XAtc", "select pg_sleep(60)"]
        environment = login(port, traveller.run, traveller.secret)
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe) as asleep:
            until(lambda: of_target(traveller.road, traveller.run, "shop"), "the session within")
            (outer,) = of_target(traveller.road, traveller.run, "box")
            path = (
                f"runs/{traveller.run}/revoke" if how.startswith("revoke") else f"sessions/{outer['id']}/kill"
            )
            assert gateway.api("POST", f"/v1/{path}", json={"reason": "enough"}).status_code == 200
            assert asleep.wait(30) == 2

    def ended() -> bool:
        both = sessions(gateway, traveller.run)
        return {(one["target"], one["outcome"], "enough" in str(one["reason"])) for one in both} == {
            ("box", "cut", True),
            ("shop", "cut", True),
        }

    until(ended, "both ends on the record")


def test_a_client_that_is_killed_takes_the_session_within_along(
    traveller: Traveller, server: stage.Postgres
) -> None:
    with forwarding(traveller, "box", f"127.0.0.1:{server.port}") as port:
        command = [server.bin / "psql", "-XAtq"]
        environment = login(port, traveller.run, traveller.secret)
        idle = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        until(lambda: of_target(traveller.road, traveller.run, "shop"), "the session within")
    idle.communicate(timeout=30)

    def ended() -> bool:
        told = [(one["target"], one["outcome"]) for one in sessions(traveller.road.gateway, traveller.run)]
        return sorted(told) == [("box", "ended"), ("shop", "ended")]

    until(ended, "both ends on the record")


@pytest.mark.parametrize("whole", [True, False])
def test_a_jump_that_is_killed_takes_what_it_carried_along(
    traveller: Traveller, sshd: openssh.OpenSsh, whole: bool
) -> None:
    gateway = traveller.road.gateway
    client = subprocess.Popen(
        traveller.command("ssh", *by_a_jump(sshd)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"in\n"
    # with the one that it started for the way, or leaving that to notice
    (os.killpg if whole else os.kill)(client.pid, signal.SIGKILL)
    client.communicate(timeout=30)
    until(
        lambda: [one["outcome"] for one in sessions(gateway, traveller.run)] == ["ended"],
        "its end on the record",
    )


def test_an_api_through_a_forward_is_a_session_of_http(traveller: Traveller, inner: Api) -> None:
    asked = f"GET /t/api/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {traveller.secret}\r\nConnection: close\r\n\r\n"
    way_to = traveller.command("ssh", "-W", f"127.0.0.1:{inner.port}", "box", LogLevel="INFO")

    def answered(said: str) -> bytes:
        pipe = subprocess.PIPE
        with subprocess.Popen(way_to, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            # whoever says that no more comes has left, as at a listener
            client.stdin.write(said.encode())
            heard = client.stdout.read()
            client.stdin.close()
            assert client.wait(30) == 0
        return bytes(heard)

    told = answered(asked % "key")
    assert told.startswith(b"HTTP/1.1 200")
    assert MASK.encode() in told
    assert TOKEN.encode() not in told
    denied = answered(asked % "orders")
    assert denied.startswith(b"HTTP/1.1 403")
    assert b"denied by rule no-orders" in denied
    proof = base64.b64encode(f"{traveller.run}:{traveller.secret}".encode()).decode()
    place = f"127.0.0.1:{inner.port}"
    tunnel = answered(
        f"CONNECT {place} HTTP/1.1\r\nHost: {place}\r\nProxy-Authorization: Basic {proof}\r\n\r\n"
    )
    assert tunnel.startswith(b"HTTP/1.1 200"), tunnel
    assert inner.of("/orders") == []
    traveller.end()
    did = [
        (one["text"], one["status"])
        for one in traveller.road.gateway.exchanges(traveller.run)
        if one["verb"] == "GET"
    ]
    assert [status for _, status in did] == ["ok", "denied"]


def test_a_database_that_no_target_is_is_carried_as_bytes(traveller: Traveller) -> None:
    with stage.folder() as folder:
        other = stage.Postgres(folder / "pg")
        other.start()
        try:
            with forwarding(traveller, "box", f"127.0.0.1:{other.port}") as port:
                done = psql(other, login(port, "app", "", PGDATABASE="postgres"), "select 42")
        finally:
            other.stop()
    assert done.stdout == "42\n", done.stderr
    (session,) = traveller.end()
    assert any(b"select 42" in one.input for one in session.did.values())
