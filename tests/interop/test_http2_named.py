"""Clients that ask for targets by their names over HTTP/2: curl, httpx and gRPC, at the gateway's own listener."""

import asyncio
import hashlib
import http.server
import json
import os
import queue
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import StreamReset

from bodycam.net.authority import Authority, request
from tests import stage
from tests.interop.test_http2 import RULES, grpc_server, hypercorn

KEY = "AKIA" + "IOSFODNN7EXAMPLF"
GATE = "gate.test"


class Plain(http.server.BaseHTTPRequestHandler):
    """A target that speaks HTTP/1.1 and nothing else."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.startswith("/until-closed"):
            self.send_response(200)
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(b"all of it")
            return
        self._say(b"")

    def do_POST(self) -> None:
        body = b""
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._say(body)

    def do_PUT(self) -> None:
        self.do_POST()

    def do_HEAD(self) -> None:
        self.do_GET()

    def _say(self, body: bytes) -> None:
        said = {
            "path": self.path, "size": len(body), "sha256": hashlib.sha256(body).hexdigest(),
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }  # fmt: skip
        content = json.dumps(said).encode()
        if self.path.startswith("/down"):
            content = bytes(int(self.path.rpartition("=")[2]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (content[:10], content[10:]):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
            return
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None: ...


@contextmanager
def plain() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@dataclass
class Place:
    """The gateway, whose listener's certificate is of `gate.test` and what is below."""

    gateway: stage.Gateway
    listener: int
    ca: Path

    def url(self, path: str) -> str:
        return f"https://{GATE}:{self.listener}/t/{path}"

    def curl(self, run: stage.Credential, *arguments: str) -> str:
        done = subprocess.run(
            ["curl", "-sS", "--http2", "--max-time", "60", "--noproxy", "*", "--cacert", str(self.ca),
             "--resolve", f"{GATE}:{self.listener}:127.0.0.1", "--resolve", f"web.{GATE}:{self.listener}:127.0.0.1",
             "-H", f"Authorization: Bearer {run.secret}", *arguments],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("named")
    authority, made = Authority.create("Web"), request("localhost")
    (folder / "key.pem").write_bytes(made.key_pem)
    (folder / "certificate.pem").write_bytes(authority.sign(made.csr_pem, names=["localhost", "127.0.0.1"]))
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    listener = stage.free_port()
    tls = {"ca_file": str(folder / "ca.pem")}
    with hypercorn(folder) as web, grpc_server(folder) as rpc, plain() as old:
        targets = {
            "web": {"protocol": "http", "address": f"localhost:{web}", "tls": tls},
            "rpc": {"protocol": "http", "address": f"localhost:{rpc}", "tls": tls},
            "old": {"protocol": "http", "address": f"127.0.0.1:{old}", "tls": {"sslmode": "disable"},
                    "headers": {"X-Team": {"env": "OWN"}}},
        }  # fmt: skip
        made_by = {
            "listen": {"http": f"127.0.0.1:{listener}"},
            "rules": RULES,
            "masking": [{"detect": ["secrets"], "then": "redact"}],
            "tls": {"names": [GATE, f"rpc.{GATE}", f"web.{GATE}"]},
        }
        with stage.folder() as folder_of_gateway:
            gateway = stage.Gateway(folder_of_gateway / "g", targets, **made_by)
            gateway.init()
            try:
                gateway.start(OWN="own-0815-credential")
                yield Place(gateway, listener, gateway.listener_ca)
            finally:
                gateway.stop()


def test_curl_speaks_http_2_with_the_gateway_and_that_with_the_target_which_it_speaks(place: Place) -> None:
    run = place.gateway.run()
    said = place.curl(
        run, "-d", "hello=world", "-w", "\n%{http_version} %{http_code}", place.url("web/things?q=1")
    )
    body, _, told = said.rpartition("\n")
    assert told == "2 200"
    assert (json.loads(body)["version"], json.loads(body)["path"], json.loads(body)["size"]) == (
        "2",
        "/things",
        11,
    )
    by_host = place.curl(run, f"https://web.{GATE}:{place.listener}/by/host")
    assert json.loads(by_host)["path"] == "/by/host"
    said = place.curl(
        run, "-d", "hello=world", "-w", "\n%{http_version} %{http_code}", place.url("old/things")
    )
    body, _, told = said.rpartition("\n")
    assert told == "2 200"
    got = json.loads(body)
    assert (got["path"], got["size"]) == ("/things", 11)
    # the run's credential ends here, and the gateway's own is seen by nobody
    assert "authorization" not in got["headers"]
    assert got["headers"]["x-team"] == "*" * len("own-0815-credential")
    place.gateway.end(run)
    kept = place.gateway.exchanges(run.run)
    assert [one["status"] for one in kept] == ["ok", "ok", "ok"]
    told = "".join(place.gateway.api("GET", f"/v1/sessions/{one['session']}/transcript").text for one in kept)
    assert run.secret not in told
    assert "own-0815-credential" not in told
    assert "POST /things HTTP/1.1" in told
    assert "POST /things?q=1 HTTP/2" in told


def test_one_connection_goes_from_one_target_to_the_next(place: Place) -> None:
    run = place.gateway.run()
    urls = [place.url(path) for path in ("web/1", "old/2", "old/3", "web/4")]
    said = place.curl(run, "-w", "\n%{http_version} %{num_connects}\n", *urls)
    lines = said.splitlines()
    assert [json.loads(line)["path"] for line in lines[::2]] == ["/1", "/2", "/3", "/4"]
    assert lines[1::2] == ["2 1", "2 0", "2 0", "2 0"]
    place.gateway.end(run)
    kept = place.gateway.exchanges(run.run)
    assert [one["status"] for one in kept] == ["ok"] * 4
    assert len({one["session"] for one in kept}) == 3


@pytest.mark.parametrize("target", ["web", "old"])
def test_megabytes_go_up_and_down_whatever_the_target_speaks(
    place: Place, target: str, tmp_path: Path
) -> None:
    run = place.gateway.run()
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(os.urandom(5_000_000))
    digest = hashlib.sha256(sent.read_bytes()).hexdigest()
    kind = ["-H", "Content-Type: application/octet-stream"]
    up = place.curl(run, *kind, "--data-binary", f"@{sent}", place.url(f"{target}/up"))
    assert json.loads(up)["sha256"] == digest
    with sent.open("rb") as content:
        done = subprocess.run(
            ["curl", "-sS", "--http2", "--max-time", "60", "--noproxy", "*", "--cacert", str(place.ca), *kind,
             "--resolve", f"{GATE}:{place.listener}:127.0.0.1", "-H", f"X-Api-Key: {run.secret}", "-T", "-",
             place.url(f"{target}/chunked-up")],
            stdin=content, capture_output=True, text=True, timeout=90, check=True,
        )  # fmt: skip
    assert json.loads(done.stdout)["sha256"] == digest
    place.curl(run, "-o", str(got), place.url(f"{target}/down?down=5000000"))
    assert got.read_bytes() == bytes(5_000_000)
    assert "content-length: 0" in place.curl(run, "-I", place.url("old/down?down=0")).lower()


def test_a_body_that_ends_with_the_connection_and_the_next_request(place: Place) -> None:
    run = place.gateway.run()
    said = place.curl(run, place.url("old/until-closed"), place.url("old/chunked-answer"))
    assert said.startswith("all of it")
    assert json.loads(said.removeprefix("all of it"))["path"] == "/chunked-answer"


def test_rules_masks_and_refusals_are_those_of_every_other_way(place: Place) -> None:
    run = place.gateway.run()
    for target in ("web", "old"):
        denied = json.loads(place.curl(run, place.url(f"{target}/denied/x")))
        assert (denied["status"], denied["rule"]) == (403, "no-secrets")
        masked = place.curl(run, place.url(f"{target}/keys/{KEY}"))
        assert "/keys/" in masked
        assert KEY not in masked
    assert json.loads(place.curl(run, place.url("nowhere/x")))["status"] == 403
    assert json.loads(place.curl(run, f"https://{GATE}:{place.listener}/"))["status"] in (403, 404)
    nobody = stage.Credential(run.run, "bcr_nobody-at-all", {})
    assert json.loads(place.curl(nobody, place.url("web/x")))["status"] == 401
    without = place.curl(nobody, "-H", "Authorization:", "-w", "\n%{http_code}", place.url("web/x"))
    assert without.endswith("\n401")
    place.gateway.end(run)
    kept = [one["status"] for one in place.gateway.exchanges(run.run)]
    assert kept.count("denied") == 4
    assert kept.count("ok") == 2


async def together(place: Place, run: stage.Credential, paths: list[str]) -> list[httpx.Response]:
    context = ssl.create_default_context(cafile=str(place.ca))
    headers = {"Authorization": f"Bearer {run.secret}", "Host": f"{GATE}:{place.listener}"}
    async with httpx.AsyncClient(
        http1=False, http2=True, verify=context, trust_env=False, timeout=60, headers=headers
    ) as client:
        more = {"extensions": {"sni_hostname": GATE}}
        return list(
            await asyncio.gather(
                *(client.get(f"https://127.0.0.1:{place.listener}/t/{path}", **more) for path in paths)
            )
        )


@pytest.mark.parametrize("target", ["web", "old"])
def test_many_requests_share_one_connection_whatever_the_target_speaks(place: Place, target: str) -> None:
    run = place.gateway.run()
    paths = [f"{target}/denied/{n}" if n % 10 == 9 else f"{target}/down?down={n * 1000}" for n in range(40)]
    answers = asyncio.run(together(place, run, paths))
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    for path, answer in zip(paths, answers, strict=True):
        if "denied" in path:
            assert answer.status_code == 403
        elif not path.endswith("=0"):
            assert len(answer.content) == int(path.rpartition("=")[2])
    place.gateway.end(run)
    kept = place.gateway.exchanges(run.run)
    assert [one["status"] for one in kept].count("ok") == 36
    assert [one["status"] for one in kept].count("denied") == 4


def test_requests_for_several_targets_at_once_all_get_their_answers(place: Place) -> None:
    run = place.gateway.run()
    paths = [f"{('web', 'old')[n % 2]}/{n}" for n in range(8)]
    answers = asyncio.run(together(place, run, paths))
    assert [answer.json()["path"] for answer in answers] == [f"/{n}" for n in range(8)]


def test_grpc_goes_to_a_target_by_its_host_name(place: Place) -> None:
    run = place.gateway.run()
    trusted = grpc.ssl_channel_credentials(place.ca.read_bytes())
    options = [("grpc.ssl_target_name_override", f"rpc.{GATE}"), ("grpc.enable_http_proxy", 0)]
    who: Any = {"metadata": (("authorization", f"Bearer {run.secret}"),), "timeout": 30}
    with grpc.secure_channel(f"127.0.0.1:{place.listener}", trusted, options) as rpc:
        get = rpc.unary_unary("/things.Things/Get")
        said, call = get.with_call(b"abc", **who)
        assert said == b"cba"
        assert dict(call.trailing_metadata())["x-size"] == "3"
        assert get(b"x" * 3_000_000, **who) == b"x" * 3_000_000
        with pytest.raises(grpc.RpcError) as denied:
            rpc.unary_unary("/things.Things/Delete")(b"x", **who)
        assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
        words: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        answers = rpc.stream_stream("/things.Things/Talk")(iter(words.get, None), **who)
        for number in range(5):
            words.put(b"word %d" % number)
            assert next(answers) == b"WORD %d" % number
        words.put(None)
        assert list(answers) == []
        with pytest.raises(grpc.RpcError) as nobody:
            get(b"abc", timeout=30)
        assert nobody.value.code() is grpc.StatusCode.UNAUTHENTICATED
    place.gateway.end(run)
    kept = place.gateway.exchanges(run.run)
    assert [(one["text"].rpartition("/")[2], one["status"]) for one in kept] == [
        ("Get", "ok"), ("Get", "ok"), ("Delete", "denied"), ("Talk", "ok"),
    ]  # fmt: skip


def test_who_takes_the_gateway_for_a_proxy_is_told_to_speak_http_1(place: Place) -> None:
    context = ssl.create_default_context(cafile=str(place.ca))
    context.set_alpn_protocols(["h2"])
    asked = [
        [(":method", "CONNECT"), (":authority", "web.example:443")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "web.example"), (":path", "/")],
    ]
    client = H2Connection(H2Configuration(client_side=True))
    client.initiate_connection()
    for number, head in enumerate(asked):
        client.send_headers(2 * number + 1, head, end_stream=number == 1)
    resets: dict[int, int] = {}
    with (
        socket.create_connection(("127.0.0.1", place.listener), 30) as raw,
        context.wrap_socket(raw, server_hostname=GATE) as tls,
    ):
        tls.sendall(client.data_to_send())
        while len(resets) < 2 and (data := tls.recv(65536)):
            for event in client.receive_data(data):
                if isinstance(event, StreamReset):
                    resets[event.stream_id or 0] = int(event.error_code or 0)
    assert resets == {1: 0xD, 3: 0xD}
