"""Real clients and servers of HTTP/2 with the gateway between them: curl, httpx and gRPC; hypercorn and gRPC."""

import asyncio
import hashlib
import json
import os
import queue
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from bodycam.net.authority import Authority, request
from tests import stage

TEN_MEGABYTES = 10_000_000
RULES = [
    {
        "name": "no-secrets",
        "when": "has(op.http.path) && op.http.path.startsWith('/denied')",
        "then": "deny",
        "message": "not this path",
        "hint": "ask for another",
    },
    {
        "name": "no-delete",
        "when": "has(op.http.path) && op.http.path == '/things.Things/Delete'",
        "then": "deny",
        "message": "nothing is deleted",
        "hint": "ask a person",
    },
]


@dataclass
class Place:
    """The gateway, the targets behind it and a run's way to them."""

    gateway: stage.Gateway
    credential: stage.Credential
    listener: int
    web: int
    rpc: int

    @property
    def proxy(self) -> str:
        return f"http://{self.credential.run}:{self.credential.secret}@127.0.0.1:{self.listener}"

    @property
    def ca(self) -> Path:
        return self.gateway.folder / "keys" / "public" / "interception-ca.pem"

    @property
    def url(self) -> str:
        return f"https://localhost:{self.web}"

    def curl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["curl", "-sS", "--http2", "--max-time", "60", "--noproxy", "", "-x", self.proxy,
             "--cacert", str(self.ca), *arguments],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip


@contextmanager
def hypercorn(folder: Path) -> Iterator[int]:
    port = stage.free_port()
    command = [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", "--certfile",
               str(folder / "certificate.pem"), "--keyfile", str(folder / "key.pem"),
               "tests.interop.http2_app:app"]  # fmt: skip
    root = Path(__file__).parents[2]
    with (folder / "hypercorn.log").open("wb") as log:
        served = subprocess.Popen(command, cwd=root, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        while True:
            try:
                httpx.get(f"https://localhost:{port}/", verify=context, trust_env=False)
                break
            except httpx.TransportError:
                assert time.monotonic() < deadline, (folder / "hypercorn.log").read_text()
                time.sleep(0.05)
        yield port
    finally:
        served.terminate()
        served.wait(20)


def unary(data: bytes, context: grpc.ServicerContext) -> bytes:
    if data == b"missing":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100 %")
    context.set_trailing_metadata((("x-size", str(len(data))),))
    return data[::-1]


def down(data: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    for number in range(int(data)):
        yield b"%d" % number


def both(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    for one in requests:
        yield one.upper()


@contextmanager
def grpc_server(folder: Path) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(8))
    handlers = {
        "Get": grpc.unary_unary_rpc_method_handler(unary),
        "Delete": grpc.unary_unary_rpc_method_handler(unary),
        "Watch": grpc.unary_stream_rpc_method_handler(down),
        "Talk": grpc.stream_stream_rpc_method_handler(both),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("things.Things", handlers),))
    pair = ((folder / "key.pem").read_bytes(), (folder / "certificate.pem").read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait(20)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("h2")
    authority, made = Authority.create("Web"), request("localhost")
    (folder / "key.pem").write_bytes(made.key_pem)
    (folder / "certificate.pem").write_bytes(authority.sign(made.csr_pem, names=["localhost", "127.0.0.1"]))
    (folder / "ca.pem").write_bytes(authority.certificate_pem)
    listener = stage.free_port()
    tls = {"ca_file": str(folder / "ca.pem")}
    with hypercorn(folder) as web, grpc_server(folder) as rpc:
        targets = {
            "web": {"protocol": "http", "address": f"localhost:{web}", "tls": tls},
            "rpc": {"protocol": "http", "address": f"localhost:{rpc}", "tls": tls},
        }
        listen = {"http": f"127.0.0.1:{listener}"}
        masking = [{"detect": ["secrets"], "then": "redact"}]
        with stage.gateway(targets, listen=listen, rules=RULES, masking=masking) as gateway:
            yield Place(gateway, gateway.run(), listener, web, rpc)


def test_curl_speaks_http_2_with_a_target_that_does(place: Place) -> None:
    done = place.curl("-d", "hello=world", "-w", "\n%{http_version} %{http_code}", f"{place.url}/things?q=1")
    assert done.returncode == 0, done.stderr
    body, _, told = done.stdout.rpartition("\n")
    assert told == "2 200"
    assert json.loads(body) == {
        "version": "2", "path": "/things", "size": 11, "sha256": hashlib.sha256(b"hello=world").hexdigest(),
    }  # fmt: skip


def test_curl_speaks_http_1_with_a_target_that_speaks_both(place: Place) -> None:
    done = place.curl("--http1.1", "-w", "\n%{http_version}", f"{place.url}/things")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n1.1")
    assert json.loads(done.stdout[:-4])["version"] == "1.1"


def test_a_key_that_a_target_prints_is_shown_to_nobody(place: Place) -> None:
    key = "AKIA" + "IOSFODNN7EXAMPLF"
    done = place.curl("-w", "\n%{http_version}", f"{place.url}/keys/{key}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n2")
    assert "/keys/" in done.stdout
    assert key not in done.stdout


def test_ten_megabytes_go_up_and_down(place: Place, tmp_path: Path) -> None:
    sent, got = tmp_path / "sent", tmp_path / "got"
    sent.write_bytes(os.urandom(TEN_MEGABYTES))
    up = place.curl(
        "-H", "Content-Type: application/octet-stream", "--data-binary", f"@{sent}", f"{place.url}/up"
    )
    assert up.returncode == 0, up.stderr
    assert json.loads(up.stdout)["sha256"] == hashlib.sha256(sent.read_bytes()).hexdigest()
    back = place.curl("-o", str(got), f"{place.url}/down?down={TEN_MEGABYTES}")
    assert back.returncode == 0, back.stderr
    assert got.read_bytes() == bytes(TEN_MEGABYTES)


async def together(place: Place, paths: list[str]) -> list[httpx.Response]:
    context = ssl.create_default_context(cafile=str(place.ca))
    limits = httpx.Limits(max_connections=1)
    async with httpx.AsyncClient(
        http1=False, http2=True, proxy=place.proxy, verify=context, trust_env=False, timeout=60, limits=limits
    ) as client:
        # the connection is there before the others
        await client.get(f"{place.url}/first")
        return list(await asyncio.gather(*(client.get(place.url + path) for path in paths)))


def test_a_hundred_requests_share_one_connection_and_those_denied_harm_no_other(place: Place) -> None:
    run = place.gateway.run()
    there = Place(place.gateway, run, place.listener, place.web, place.rpc)
    paths = [f"/denied/{n}" if n % 10 == 9 else f"/{n}?down={n * 1000}" for n in range(100)]
    answers = asyncio.run(together(there, paths))
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    for path, answer in zip(paths, answers, strict=True):
        if path.startswith("/denied"):
            assert answer.status_code == 403
            assert answer.json()["detail"] == "denied by rule no-secrets: not this path"
        elif not path.endswith("=0"):
            assert len(answer.content) == int(path.partition("=")[2])
    place.gateway.end(run)
    kept = place.gateway.exchanges(run.run)
    assert len({one["session"] for one in kept}) == 1
    assert [one["status"] for one in kept].count("denied") == 10
    assert [one["status"] for one in kept].count("ok") == 91


def channel(place: Place) -> grpc.Channel:
    trusted = grpc.ssl_channel_credentials(place.ca.read_bytes())
    return grpc.secure_channel(f"localhost:{place.rpc}", trusted, [("grpc.http_proxy", place.proxy)])


def test_grpc_goes_through_with_trailers_statuses_and_streams_both_ways(place: Place) -> None:
    run = place.gateway.run()
    there = Place(place.gateway, run, place.listener, place.web, place.rpc)
    with channel(there) as rpc:
        get = rpc.unary_unary("/things.Things/Get")
        said, call = get.with_call(b"abc", timeout=30)
        assert said == b"cba"
        assert dict(call.trailing_metadata())["x-size"] == "3"
        assert get(b"x" * 3_000_000, timeout=30) == b"x" * 3_000_000

        with pytest.raises(grpc.RpcError) as missing:
            get(b"missing", timeout=30)
        assert missing.value.code() is grpc.StatusCode.NOT_FOUND
        assert missing.value.details() == "no such thing: 100 %"

        with pytest.raises(grpc.RpcError) as denied:
            rpc.unary_unary("/things.Things/Delete")(b"x", timeout=30)
        assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
        assert denied.value.details() == "denied by rule no-delete: nothing is deleted ask a person"

        assert list(rpc.unary_stream("/things.Things/Watch")(b"500", timeout=30)) == [
            b"%d" % number for number in range(500)
        ]

        # each word is said once the one before has been answered
        words: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        answers = rpc.stream_stream("/things.Things/Talk")(iter(words.get, None), timeout=30)
        for number in range(20):
            words.put(b"word %d" % number)
            assert next(answers) == b"WORD %d" % number
        words.put(None)
        assert list(answers) == []
    place.gateway.end(run)
    kept: list[dict[str, Any]] = place.gateway.exchanges(run.run)
    assert [(one["text"].rpartition("/")[2], one["status"]) for one in kept] == [
        ("Get", "ok"), ("Get", "ok"), ("Get", "error"), ("Delete", "denied"), ("Watch", "ok"), ("Talk", "ok"),
    ]  # fmt: skip
