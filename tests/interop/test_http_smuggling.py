"""Requests that two servers read in two ways, sent through a gateway to two servers: neither reads a second one.

All shapes go through one gateway, on connections that are kept alive, each with a request behind it that has to
be answered for itself or not at all. Then the servers' own accounts are compared with the record.
"""

import contextlib
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests import stage
from tests.interop.smuggling_shapes import SHAPES, Shape

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  log_format seen '$request_method $request_uri $status';
  access_log {folder}/access.log seen;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  keepalive_requests 100000; underscores_in_headers on; ignore_invalid_headers off;
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://127.0.0.1:{inner}; proxy_http_version 1.1; }}
    location /small {{ client_max_body_size 10; proxy_pass http://127.0.0.1:{inner}; proxy_http_version 1.1; }}
  }}
  server {{ listen 127.0.0.1:{inner}; access_log off; location / {{ return 200 "ok"; }} }}
}}
"""


@dataclass
class Seen:
    """What one server says that it was asked."""

    port: int
    log: Path | None = None
    told: list[str] = field(default_factory=list)

    def requests(self) -> list[str]:
        """Method and path of each request."""
        if self.log is None:
            return list(self.told)
        return [" ".join(line.split()[:2]) for line in self.log.read_text().splitlines()]


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[Seen]:
    folder.mkdir()
    folder.chmod(0o755)
    port = stage.free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port, inner=stage.free_port()))
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-c", config], stdin=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield Seen(port, folder / "access.log")
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def python_server() -> Iterator[Seen]:
    """Uvicorn, which reads by h11."""
    seen = Seen(stage.free_port())

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        seen.told.append(f"{scope['method']} {scope['path']}")
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    settings = uvicorn.Config(app, port=seen.port, http="h11", lifespan="off", log_config=None, ws="none")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(seen.port)
        yield seen
    finally:
        server.should_exit = True
        thread.join(10)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("a server did not start")


@dataclass
class Played:
    """All shapes through one gateway: answers by server and shape, what servers saw, what was recorded."""

    answers: dict[tuple[str, str], list[int]]
    ended: dict[tuple[str, str], bool]
    seen: dict[str, list[str]]
    recorded: list[dict[str, Any]]
    early: tuple[list[int], bool]


def raw(shape: Shape, port: int, number: int, proof: str) -> bytes:
    host = f"127.0.0.1:{port}"
    text = (
        shape.raw.replace("{at}", f"http://{host}/{number}").replace("{host}", host).replace("{proof}", proof)
    )
    behind = f"GET http://{host}/behind-{number} HTTP/1.1\r\nHost: {host}\r\n{proof}Connection: close\r\n\r\n"
    return (text + behind).encode("latin-1")


def answered(port: int, asked: bytes) -> tuple[list[int], bool]:
    """The statuses that come back, and whether the connection ended."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.settimeout(20)
        # whoever is refused need not take the rest
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            client.sendall(asked)
        ended = False
        with contextlib.suppress(TimeoutError):
            try:
                while piece := client.recv(65536):
                    got += piece
            except ConnectionResetError:
                pass
            ended = True
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3}) ", got)], ended


@pytest.fixture(scope="module")
def played() -> Iterator[Played]:
    with stage.folder() as folder, nginx(folder / "nginx") as first, python_server() as second:
        port = stage.free_port()
        servers = {"nginx": first, "uvicorn": second}
        targets = {
            name: {"protocol": "http", "address": f"127.0.0.1:{one.port}", "tls": {"sslmode": "disable"}}
            for name, one in servers.items()
        }
        gateway = stage.Gateway(folder / "gateway", targets, listen={"http": f"127.0.0.1:{port}"})
        gateway.init()
        gateway.start()
        try:
            run = gateway.run()
            proof = f"Proxy-Authorization: Bearer {run.secret}\r\n"
            answers, ended = {}, {}
            for name, server in servers.items():
                for number, shape in enumerate(SHAPES):
                    got = answered(port, raw(shape, server.port, number, proof))
                    answers[name, shape.name], ended[name, shape.name] = got
            host = f"127.0.0.1:{first.port}"
            upload = (
                f"POST http://{host}/small HTTP/1.1\r\nHost: {host}\r\n{proof}Content-Length: 3000000\r\n\r\n"
            )
            early = answered(port, upload.encode() + bytes(3_000_000))
            gateway.end(run)
            yield Played(
                answers,
                ended,
                {name: one.requests() for name, one in servers.items()},
                gateway.exchanges(run.run),
                early,
            )
        finally:
            gateway.stop()


SERVERS = ("nginx", "uvicorn")


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_it_is_read_in_one_way_or_not_at_all(played: Played, server: str, shape: Shape) -> None:
    number = SHAPES.index(shape)
    seen = [one.partition(" ")[2] for one in played.seen[server]]
    assert played.answers[server, shape.name] == list(shape.statuses)
    assert played.ended[server, shape.name]
    if shape.statuses == (200, 200):
        at = seen.index(f"/{number}")
        assert seen[at : at + 2] == [f"/{number}", f"/behind-{number}"]
    else:
        # what was wrong with its body may have come when its head had gone on
        assert seen.count(f"/{number}") <= 1
        assert f"/behind-{number}" not in seen


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_saw_no_request_that_nobody_sent(played: Played, server: str) -> None:
    assert not any("smuggled" in one for one in played.seen[server])


@pytest.mark.parametrize("server", SERVERS)
def test_the_server_saw_what_is_on_the_record(played: Played, server: str) -> None:
    recorded = [
        f"{one['verb']} /{one['text'].split('/', 3)[3]}" for one in played.recorded if one["target"] == server
    ]
    seen = played.seen[server]
    assert len(seen) > 20
    # each once, and in no other order; what was refused in mid-air the server may have read or not
    rest = iter(recorded)
    assert all(one in rest for one in seen)
    refused = [one for one in recorded if one not in seen]
    assert all(not one.startswith("GET /behind") for one in refused)


def test_an_answer_that_comes_before_the_upload_has_ended_reaches_the_client(played: Played) -> None:
    assert played.early == ([413], True)
