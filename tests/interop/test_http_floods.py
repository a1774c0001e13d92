"""What costs a gateway more than its sender, at a real one: each is ended in time, and others notice nothing."""

import base64
import contextlib
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hpack
import pytest

from bodycam.net.authority import Authority, request
from tests import stage
from tests.interop.http_api import api
from tests.interop.test_http2_leaving import nginx

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
CALM = 11
RESIDENT_MOST = 80 << 20
"""What one worker may grow by meanwhile; all floods together send more than that."""


@contextlib.contextmanager
def speaker() -> Iterator[int]:
    """A target that answers with interim responses and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = listening.accept()
                    with taken, contextlib.suppress(OSError):
                        taken.recv(65536)
                        while True:
                            taken.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100)

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


@dataclass
class Place:
    gateway: stage.Gateway
    port: int
    web: int

    def proof(self, run: stage.Credential) -> bytes:
        return base64.b64encode(f"{run.run}:{run.secret}".encode())

    def connected(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 60)

    def tunnel(self, run: stage.Credential) -> ssl.SSLSocket:
        """HTTP/2 with the gateway in its tunnel to the target, before the first byte."""
        plain = self.connected()
        plain.sendall(
            b"CONNECT localhost:%d HTTP/1.1\r\nHost: localhost:%d\r\nProxy-Authorization: Basic %b\r\n\r\n"
            % (self.web, self.web, self.proof(run))
        )
        assert plain.recv(4096).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context(
            cafile=str(self.gateway.folder / "keys" / "public" / "interception-ca.pem")
        )
        context.set_alpn_protocols(["h2"])
        secure = context.wrap_socket(plain, server_hostname="localhost")
        assert secure.selected_alpn_protocol() == "h2"
        return secure

    def fine(self, run: stage.Credential) -> bool:
        """Whether somebody else is served."""
        done = subprocess.run(
            ["curl", "-sS", "--http2", "--max-time", "10", "--noproxy", "", "-o", os.devnull, "-w", "%{http_code}",
             "-x", f"http://{run.run}:{run.secret}@127.0.0.1:{self.port}", "--cacert",
             str(self.gateway.folder / "keys" / "public" / "interception-ca.pem"), f"https://localhost:{self.web}/ok"],
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
        return done.stdout == "200"

    def resident(self) -> int:
        """Bytes of memory that the workers have, the largest."""
        found = [
            int(line.split()[1]) * 1024
            for pid in self.gateway.children()["worker"]
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        ]
        return max(found)

    def session(self, run: stage.Credential) -> dict[str, Any]:
        """The one session of a run, once it has ended."""
        deadline = time.monotonic() + 30
        while True:
            listed = self.gateway.api("GET", f"/v1/sessions?run={run.run}").json()["sessions"]
            if listed and listed[0]["outcome"]:
                return dict(listed[0])
            assert time.monotonic() < deadline, listed
            time.sleep(0.1)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with stage.folder() as folder, speaker() as interim, api() as plain:
        folder.chmod(0o755)
        authority, made = Authority.create("Web"), request("localhost")
        (folder / "key.pem").write_bytes(made.key_pem)
        (folder / "certificate.pem").write_bytes(authority.sign(made.csr_pem, names=["localhost"]))
        (folder / "ca.pem").write_bytes(authority.certificate_pem)
        port = stage.free_port()
        with nginx(folder) as web:
            targets = {
                "web": {
                    "protocol": "http",
                    "address": f"localhost:{web}",
                    "tls": {"ca_file": str(folder / "ca.pem")},
                },
                "plain": {
                    "protocol": "http",
                    "address": f"127.0.0.1:{plain.port}",
                    "tls": {"sslmode": "disable"},
                },
                "interim": {
                    "protocol": "http",
                    "address": f"127.0.0.1:{interim}",
                    "tls": {"sslmode": "disable"},
                },
            }
            limits = {"login_timeout": "2s", "message_timeout": "2s"}
            with stage.gateway(
                targets, listen={"http": f"127.0.0.1:{port}"}, limits=limits, workers=1
            ) as gateway:
                yield Place(gateway, port, web)


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return struct.pack("!I", len(content))[1:] + bytes((kind, flags)) + struct.pack("!I", stream) + content


def head(encoder: hpack.Encoder, web: int) -> bytes:
    return encoder.encode([(":method", "GET"), (":scheme", "https"), (":authority", f"localhost:{web}"),
                           (":path", "/flood")])  # fmt: skip


def rapid_reset(web: int) -> Iterator[bytes]:
    encoder, stream = hpack.Encoder(), 1
    while True:
        yield b"".join(
            frame(1, 5, one, head(encoder, web)) + frame(3, 0, one, struct.pack("!I", 8))
            for one in range(stream, stream + 200, 2)
        )
        stream += 200


def endless_head(web: int) -> Iterator[bytes]:
    yield frame(1, 1, 1, b"\x82")
    while True:
        yield frame(9, 0, 1, b"\x00\x01a\x7f\x80\x7f" + bytes(255)) * 4


def pings(web: int) -> Iterator[bytes]:
    while True:
        yield frame(6, 0, 0, bytes(8)) * 200


def settings(web: int) -> Iterator[bytes]:
    while True:
        yield frame(4, 0, 0, struct.pack("!HI", 4, 70000)) * 200


FLOODS: dict[str, tuple[Callable[[int], Iterator[bytes]], str]] = {
    "rapid reset": (rapid_reset, "too many streams given up"),
    "a head without end": (endless_head, ""),
    "pings": (pings, "too many frames that move nothing"),
    "settings": (settings, "too many frames that move nothing"),
}


@pytest.mark.parametrize("what", FLOODS)
def test_a_flood_of_http_2_ends_its_own_connection_and_is_on_record(place: Place, what: str) -> None:
    make, reason = FLOODS[what]
    run, other = place.gateway.run(), place.gateway.run()
    before, sent = place.resident(), 0
    with place.tunnel(run) as client:
        client.settimeout(30)
        client.sendall(PREFACE + frame(4, 0, 0))
        with contextlib.suppress(OSError):
            for piece in make(place.web):
                client.sendall(piece)
                sent += len(piece)
                assert sent < 256 << 20, "nobody ended it"
                if sent % 7 == 0:
                    assert place.fine(other)
    assert place.fine(other)
    ended = place.session(run)
    assert ended["outcome"] == "broken"
    assert "the client broke the protocol" in ended["reason"]
    assert reason in ended["reason"]
    assert place.resident() - before < RESIDENT_MOST


def test_a_window_that_is_never_opened_holds_what_it_asked_for_and_no_more(place: Place) -> None:
    run, other = place.gateway.run(), place.gateway.run()
    before = place.resident()
    with place.tunnel(run) as client:
        encoder = hpack.Encoder()
        client.sendall(PREFACE + frame(4, 0, 0, struct.pack("!HI", 4, 0)))
        client.sendall(b"".join(frame(1, 5, one, head(encoder, place.web)) for one in range(1, 200, 2)))
        time.sleep(1)
        assert place.fine(other)
        assert place.resident() - before < RESIDENT_MOST
    assert place.session(run)["outcome"] == "ended"


def test_heads_that_come_byte_by_byte_are_waited_for_until_their_time_is_over(place: Place) -> None:
    """A stranger's, and the second one of a client that is known."""
    run, other = place.gateway.run(), place.gateway.run()
    said: dict[str, tuple[bytes, float]] = {}

    def trickle(who: str, known: bool) -> None:
        with place.connected() as client:
            if known:
                client.sendall(
                    b"GET /t/plain/ok HTTP/1.1\r\nHost: g\r\nAuthorization: Basic %b\r\n\r\n"
                    % place.proof(run)
                )
                with client.makefile("rb") as answer:
                    assert answer.readline().startswith(b"HTTP/1.1 200")
                    while answer.readline().strip():
                        pass
                    assert answer.read(9) == b'{"ok": 1}'
            began, got = time.monotonic(), b""
            client.settimeout(0.1)
            with contextlib.suppress(OSError):
                for byte in b"GET /t/plain/ok HTTP/1.1\r\nX-Slow: " + b"a" * 100_000:
                    client.sendall(bytes((byte,)))
                    with contextlib.suppress(TimeoutError):
                        more = client.recv(4096)
                        got += more
                        if not more:
                            break
                    assert time.monotonic() - began < 100
            said[who] = got, time.monotonic() - began

    threads = [threading.Thread(target=trickle, args=one) for one in (("stranger", False), ("known", True))]
    for thread in threads:
        thread.start()
    assert place.fine(other)
    for thread in threads:
        thread.join(110)
    assert set(said) == {"stranger", "known"}
    assert said["stranger"][1] < said["known"][1]
    assert said["known"][0].startswith(b"HTTP/1.1 408")
    assert b"the head took longer than 30 s" in said["known"][0]
    ended = place.session(run)
    assert (ended["outcome"], "the head took longer than 30 s" in ended["reason"]) == ("broken", True)


def test_a_body_that_trickles_is_waited_for_until_its_time_is_over(place: Place) -> None:
    run, other = place.gateway.run(), place.gateway.run()
    with place.connected() as client:
        began, got, sent = time.monotonic(), b"", 0
        client.sendall(
            b"POST /t/plain/up HTTP/1.1\r\nHost: g\r\nContent-Length: 100000\r\nAuthorization: Basic %b\r\n\r\n"
            % place.proof(run)
        )
        client.settimeout(0.05)
        while time.monotonic() - began < 60:
            with contextlib.suppress(OSError):
                # at first it gets on, and is let
                size = 1000 if sent < 20_000 else 1
                client.sendall(b"x" * size)
                sent += size
            try:
                more = client.recv(4096)
            except TimeoutError:
                continue
            except ConnectionError:
                break
            got += more
            if not more:
                break
    assert sent > 20_000
    assert got.startswith(b"HTTP/1.1 408")
    assert b"less than 1024 bytes of the body came in 2 s" in got
    assert place.fine(other)
    ended = place.session(run)
    assert ended["outcome"] == "broken"
    (kept,) = place.gateway.exchanges(run.run)
    assert kept["status"] == "error"


def test_a_slow_upload_that_gets_on_is_let_to_its_end(place: Place) -> None:
    run = place.gateway.run()
    with place.connected() as client:
        client.sendall(
            b"POST /t/plain/up HTTP/1.1\r\nHost: g\r\nContent-Length: 8000\r\nAuthorization: Basic %b\r\n\r\n"
            % place.proof(run)
        )
        for _ in range(8):
            client.sendall(b"x" * 1000)
            time.sleep(0.6)
        client.settimeout(30)
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_interim_answers_without_end_are_an_error_of_the_targets(place: Place) -> None:
    run, other = place.gateway.run(), place.gateway.run()
    with place.connected() as client:
        client.settimeout(30)
        client.sendall(
            b"GET /t/interim/ HTTP/1.1\r\nHost: g\r\nAuthorization: Basic %b\r\n\r\n" % place.proof(run)
        )
        got = b""
        while more := client.recv(65536):
            got += more
    assert got.count(b"HTTP/1.1 103") == 64
    assert b"HTTP/1.1 502" in got
    assert b"more than 64 interim responses" in got
    assert place.fine(other)
    place.gateway.end(run)
    (kept,) = place.gateway.exchanges(run.run)
    assert kept["status"] == "error"
