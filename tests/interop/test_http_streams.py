"""Streams through a real gateway: events, answers of models, WebSockets, and targets that print credentials."""

import base64
import json
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import ClientConnection, connect

from tests import stage
from tests.interop.http_streams import KEY, Streams, streams

OWN, PASSWORD = "own-0815-credential", "pass-0815-word"
BASIC = base64.b64encode(f"bot:{PASSWORD}".encode()).decode()
MASK = "[bodycam:secrets.aws-access-token]"


@dataclass
class Scene:
    """A gateway in front of that target."""

    target: Streams
    gateway: stage.Gateway
    port: int
    ca: str

    def named(self, run: stage.Credential, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/t/{path}"

    def proxy(self, run: stage.Credential) -> str:
        return f"http://{run.run}:{run.secret}@127.0.0.1:{self.port}"

    def told(self, run: stage.Credential) -> str:
        """All transcripts of a run, which ends with that."""
        self.gateway.end(run)
        sessions = self.gateway.api("GET", f"/v1/sessions?run={run.run}").json()["sessions"]
        return "".join(
            self.gateway.api("GET", f"/v1/sessions/{one['id']}/transcript").text for one in sessions
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("streams")
    with streams(folder) as target:
        port = stage.free_port()
        plain = {"protocol": "http", "tls": {"sslmode": "disable"}}
        targets = {
            "open": {**plain, "address": f"127.0.0.1:{target.port}"},
            "echo": {
                **plain,
                "address": f"localhost:{target.port}",
                "headers": {"X-Team": {"env": "OWN"}},
                "query": {"k": {"env": "OWN"}},
                "user": "bot",
                "password": {"env": "PASSWORD"},
            },
            "sealed": {"protocol": "http", "address": f"localhost:{target.tls}", "intercept": False},
            "model": {**plain, "address": f"127.0.0.1:{target.port}"},
            "talk": {
                **plain,
                "address": f"127.0.0.1:{target.sockets}",
                "headers": {"X-Team": {"env": "OWN"}},
            },
        }
        rules = [
            {"name": "no-drops", "when": 'op.verb == "message" && op.text.contains("drop")', "then": "deny",
             "message": "nothing is dropped"},
            {"name": "ships-need-a-person", "when": 'op.verb == "message" && op.text.startsWith("ship")',
             "then": "require_approval", "by": ["dba"], "wait": "30s"},
        ]  # fmt: skip
        masking = [{"detect": ["secrets"], "targets": {"names": ["model", "talk"]}}]
        with stage.folder() as made:
            gateway = stage.Gateway(
                made / "g", targets, listen={"http": f"127.0.0.1:{port}"}, masking=masking, rules=rules
            )
            gateway.init()
            try:
                gateway.start(OWN=OWN, PASSWORD=PASSWORD)
                gateway.bodycam("accounts", "create", "ann", "--human", "--group", "dba", check=True)
                yield Scene(target, gateway, port, str(folder / "ca"))
            finally:
                gateway.stop()


def curl(*arguments: str) -> bytes:
    done = subprocess.run(
        ["curl", "-sS", "-i", "--max-time", "30", "--noproxy", "", *arguments],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def bearer(run: stage.Credential) -> list[str]:
    return ["-H", f"Authorization: Bearer {run.secret}"]


def test_a_target_that_prints_the_gateways_credentials_shows_asterisks(scene: Scene) -> None:
    run = scene.gateway.run()
    for path in ("headers?a=1", "gzip?a=1", "png?a=1", "moved?a=1"):
        url = scene.named(run, f"echo/{path}")
        got = curl(*bearer(run), "--compressed", "-H", "Range: bytes=3-20", url).decode()
        assert f"{path}&k={'*' * len(OWN)}" in got
        assert f'"X-Team": "{"*" * len(OWN)}"' in got
        for secret in (OWN, PASSWORD, BASIC):
            assert secret not in got
    told = scene.told(run)
    assert "gateway.credential" in told
    for secret in (OWN, PASSWORD, BASIC, run.secret):
        assert secret not in told


@pytest.mark.parametrize("version", ["--http1.1", "--http1.0"])
@pytest.mark.parametrize(
    "path", ["open/events", "open/events?closing", "model/events", "echo/events?closing"]
)
def test_an_event_arrives_before_the_next_is_sent(scene: Scene, path: str, version: str) -> None:
    run = scene.gateway.run()
    scene.target.seen.clear()
    scene.target.waited.clear()
    command = ["curl", "-sSN", version, "--max-time", "30", *bearer(run), scene.named(run, path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == b"data: first\n"
        scene.target.seen.set()
        assert client.stdout.read() == b"\ndata: second\n\n"
    assert client.returncode == 0
    assert scene.target.waited == [True]


def test_a_key_in_a_models_answer_is_masked_for_curl_and_on_disk(scene: Scene) -> None:
    run = scene.gateway.run()
    body = json.dumps({"model": "small-1", "stream": True, "messages": [{"role": "user", "content": "hi"}]})
    url = scene.named(run, "model/v1/chat/completions")
    got = curl("-N", *bearer(run), "-H", "Content-Type: application/json", "-d", body, url)
    events = [json.loads(line[6:]) for line in got.decode().splitlines() if line.startswith("data: {")]
    said = "".join(choice["delta"].get("content", "") for event in events for choice in event["choices"])
    assert said == f"Your key is {MASK}, keep it."
    assert "data: [DONE]" in got.decode()
    told = scene.told(run)
    assert f"Your key is {MASK}, keep it." in told
    assert KEY not in told


def socket(scene: Scene, run: stage.Credential, way: str) -> ClientConnection:
    if way == "by its name":
        headers = {"Authorization": f"Bearer {run.secret}"}
        return connect(scene.named(run, "talk/chat", "ws"), additional_headers=headers, proxy=None)
    return connect(f"ws://127.0.0.1:{scene.target.sockets}/chat", proxy=scene.proxy(run))


@pytest.mark.parametrize("way", ["by its name", "by the proxy"])
def test_a_websocket_talks_and_is_recorded_and_masked(scene: Scene, way: str) -> None:
    run = scene.gateway.run()
    scene.target.heard.clear()
    with socket(scene, run, way) as talk:
        assert talk.protocol.extensions == []
        talk.send("hello")
        assert talk.recv() == "hello"
        talk.send(["in ", "two pieces"])
        assert talk.recv() == "in two pieces"
        talk.send(bytes(range(256)))
        assert talk.recv() == bytes(range(256))
        talk.send("x" * 300_000)
        assert talk.recv() == "x" * 300_000
        assert talk.ping().wait(20)
        talk.send("key")
        assert talk.recv() == f"the key {MASK} is yours"
        talk.send("headers")
        shown: dict[str, Any] = json.loads(talk.recv())
        assert shown["X-Team" if "X-Team" in shown else "x-team"] == "*" * len(OWN)
        assert run.secret not in str(shown)
    assert scene.target.heard[:2] == ["hello", "in two pieces"]
    told = scene.told(run)
    for said in (
        "hello",
        "in two pieces",
        f"the key {MASK} is yours",
        "websocket received",
        "websocket-close",
    ):
        assert said in told
    assert KEY not in told
    assert OWN not in told


def test_a_rule_ends_a_websocket_by_what_is_said_in_it(scene: Scene) -> None:
    run = scene.gateway.run()
    scene.target.heard.clear()
    with socket(scene, run, "by its name") as talk:
        talk.send("list")
        assert talk.recv() == "list"
        talk.send("drop it")
        with pytest.raises(ConnectionClosedError) as caught:
            talk.recv()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008
        assert caught.value.rcvd.reason == "denied by rule no-drops: nothing is dropped"
    assert scene.target.heard == ["list"]
    scene.gateway.end(run)
    found = [(one["verb"], one["text"], one["status"]) for one in scene.gateway.exchanges(run.run)]
    assert ("message", "list", "ok") in found
    assert ("message", "drop it", "denied") in found


@pytest.mark.parametrize("decided", ["approve", "deny"])
def test_a_message_waits_for_a_person_while_the_other_way_goes_on(scene: Scene, decided: str) -> None:
    gateway, run = scene.gateway, scene.gateway.run()
    ann = {"BODYCAM_API_KEY": gateway.bodycam("accounts", "key", "ann", check=True).stdout.strip()}
    scene.target.heard.clear()
    with socket(scene, run, "by its name") as talk:
        talk.send("twice")
        assert talk.recv() == "twice"
        talk.send(f"ship it, or {decided}")
        talk.send("list")
        deadline = time.monotonic() + 30
        while not (
            found := re.findall(r"apr_\w+", gateway.bodycam("approvals", "list", environment=ann).stdout)
        ):
            assert time.monotonic() < deadline
        # what the target says arrives, and whoever asks whether anybody is there is told so
        assert talk.recv(timeout=20) == "again"
        assert talk.ping().wait(20)
        assert scene.target.heard == ["twice"]
        done = gateway.bodycam("approvals", decided, found[0], "--reason", "so be it", environment=ann)
        assert done.returncode == 0, done.stderr
        if decided == "approve":
            assert [talk.recv(), talk.recv()] == ["ship it, or approve", "list"]
        else:
            with pytest.raises(ConnectionClosedError) as caught:
                talk.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1008
            assert "was denied by" in caught.value.rcvd.reason
    assert scene.target.heard[1:] == (["ship it, or approve", "list"] if decided == "approve" else [])
    told = scene.told(run)
    assert "approval-pending" in told
    assert f"approval-{'approved' if decided == 'approve' else 'denied'}" in told


def test_what_is_passed_through_is_the_targets_own_tls_and_goes_nowhere_else(scene: Scene) -> None:
    run = scene.gateway.run()
    url = f"https://localhost:{scene.target.tls}/headers"
    # under the target's own certificate, not one of the gateway's
    got = curl("-x", scene.proxy(run), "--cacert", scene.ca, url)
    assert b'"path": "/headers"' in got
    other = [
        "--connect-to",
        f"other.example:443:localhost:{scene.target.tls}",
        "https://other.example/headers",
    ]
    with pytest.raises(AssertionError, match="unrecognized name"):
        curl("-x", scene.proxy(run), "--cacert", scene.ca, *other)
    told = scene.told(run)
    assert f"host=localhost:{scene.target.tls}, server_name=localhost, tls=1.3, alpn=h2, http/1.1" in told
    assert "passthrough-ended" in told
    assert "the client began TLS for other.example, in a tunnel to localhost" in told
    assert '"path"' not in told
