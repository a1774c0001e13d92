"""A session that lasts longer than the token which the gateway has for its target: the next one comes in time."""

import base64
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests import stage
from tests.interop.http_api import Api, api

SECONDS = 6
"""For how long a token is good; it is used for three quarters of that."""


@dataclass
class Place:
    gateway: stage.Gateway
    listener: int
    api: Api
    tokens: Api
    given: dict[str, float]
    revoked: set[str]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    given: dict[str, float] = {}
    revoked: set[str] = set()
    with api() as target, api() as tokens:

        def give(path: str, fields: dict[str, str]) -> int:
            token = f"token-number-{len(given) + 1}-of-ours"
            given[token] = time.monotonic()
            said = {"access_token": token, "token_type": "Bearer", "expires_in": SECONDS}
            tokens.answers["/token"] = ("application/json", json.dumps(said).encode())
            return 200

        def check(path: str, fields: dict[str, str]) -> int:
            token = fields.get("authorization", "").removeprefix("Bearer ")
            since = 0.0 if token in revoked else given.get(token, 0.0)
            return 200 if time.monotonic() - since < SECONDS else 401

        tokens.decide, target.decide = give, check
        listener = stage.free_port()
        targets = {
            "api": {
                "protocol": "http",
                "address": f"127.0.0.1:{target.port}",
                "tls": {"sslmode": "disable"},
                "oauth": {
                    "token_url": f"http://127.0.0.1:{tokens.port}/token",
                    "client_id": "bodycam",
                    "client_secret": {"env": "TOKEN_SECRET"},
                },
            }
        }
        with stage.folder() as folder:
            gateway = stage.Gateway(folder / "g", targets, listen={"http": f"127.0.0.1:{listener}"})
            gateway.init()
            try:
                gateway.start(TOKEN_SECRET="what-the-gateway-knows")
                yield Place(gateway, listener, target, tokens, given, revoked)
            finally:
                gateway.stop()


@pytest.mark.parametrize("way", ["by name", "in a tunnel"])
def test_a_connection_outlives_the_token_of_its_first_session(place: Place, way: str) -> None:
    run = place.gateway.run()
    proof = base64.b64encode(f"{run.run}:{run.secret}".encode())
    place.api.asked.clear()
    with socket.create_connection(("127.0.0.1", place.listener), 30) as client:
        client.settimeout(30)
        where = b"127.0.0.1:%d" % place.api.port
        if way == "by name":
            asked = b"GET /t/api/it HTTP/1.1\r\nHost: g\r\nAuthorization: Basic %b\r\n\r\n" % proof
        else:
            client.sendall(
                b"CONNECT %b HTTP/1.1\r\nHost: %b\r\nProxy-Authorization: Basic %b\r\n\r\n"
                % (where, where, proof)
            )
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
            asked = b"GET /it HTTP/1.1\r\nHost: %b\r\n\r\n" % where
        began, count = time.monotonic(), 0
        while time.monotonic() - began < 2 * SECONDS:
            client.sendall(asked)
            got = b""
            while not got.endswith(b"}") and (more := client.recv(65536)):
                got += more
            assert got.startswith(b"HTTP/1.1 200"), got
            count += 1
            time.sleep(0.25)
    used = [fields["authorization"] for _, _, fields, _ in place.api.of("/it")]
    assert len(used) == count
    assert 2 <= len(set(used)) <= 5
    place.gateway.end(run)
    kept = [one for one in place.gateway.exchanges(run.run) if one["verb"] == "GET"]
    assert [one["status"] for one in kept] == ["ok"] * count
    sessions = {one["session"] for one in kept}
    assert len(sessions) == len(set(used))
    for session in sessions:
        assert "token-number" not in place.gateway.bodycam("replay", "--no-wait", session).stdout


def test_a_token_that_was_revoked_is_renewed_once_and_the_request_sent_again(place: Place) -> None:
    run = place.gateway.run()
    asked = [
        "curl", "-sS", "--max-time", "30", "--noproxy", "*", "-w", " %{http_code}", "-u", f"{run.run}:{run.secret}",
        "-d", "some=content", f"http://127.0.0.1:{place.listener}/t/api/revoked",
    ]  # fmt: skip
    place.api.asked.clear()

    def ask() -> str:
        return subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout[-3:]

    assert ask() == "200"
    before = len(place.given)
    place.revoked.update(place.given)
    assert ask() == "200"
    assert len(place.given) == before + 1
    sent = [(fields["authorization"], body) for _, _, fields, body in place.api.of("/revoked")]
    assert [body for _, body in sent] == [b"some=content"] * 3
    assert sent[1][0] == sent[0][0] != sent[2][0]
    # soon after that it is not the token
    place.revoked.update(place.given)
    assert ask() == "401"
    assert len(place.given) == before + 1
    place.gateway.end(run)
    kept = place.gateway.exchanges(run.run)
    assert [one["status"] for one in kept] == ["ok", "ok", "error"]
    told = "".join(
        place.gateway.bodycam("replay", "--no-wait", session).stdout
        for session in {one["session"] for one in kept}
    )
    assert told.count("sent-again") == 1
    assert "token-number" not in told
