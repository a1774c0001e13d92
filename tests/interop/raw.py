"""A client that sends whatever bytes a test wants, and reads what comes back."""

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from bodycam.protocols.postgres import backend, frontend
from tests import stage


class Client:
    """One connection to a gateway's PostgreSQL listener."""

    def __init__(self, gateway: stage.Gateway, timeout: float = 10) -> None:
        self.socket = socket.create_connection(("127.0.0.1", gateway.port), timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def begin_tls(self, gateway: stage.Gateway) -> None:
        """Ask for TLS, and go on in it."""
        self.send(frontend.SSL_REQUEST)
        assert self.socket.recv(1) == b"S"
        context = ssl.create_default_context(cafile=str(gateway.listener_ca))
        self.socket = context.wrap_socket(self.socket, server_hostname="127.0.0.1")

    def startup(self, **parameters: str) -> None:
        self.send(frontend.startup_message(parameters))

    def rest(self) -> bytes:
        """All that comes until the gateway closes; a reset counts as a close."""
        received = b""
        with contextlib.suppress(ConnectionResetError, ssl.SSLEOFError):
            while data := self.socket.recv(65536):
                received += data
        return received

    def message(self) -> bytes:
        """The next whole message."""
        head = self._exactly(5)
        return head + self._exactly(int.from_bytes(head[1:], "big") - 4)

    def _exactly(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            data = self.socket.recv(size - len(received))
            if not data:
                raise ConnectionError("the gateway closed in the middle of a message")
            received += data
        return received

    def error(self) -> dict[str, str]:
        """The one error that comes before the gateway closes."""
        return error_in(self.rest())


def error_in(received: bytes) -> dict[str, str]:
    """The ErrorResponse at the end of what was received."""
    while received:
        length = 1 + int.from_bytes(received[1:5], "big")
        message, received = received[:length], received[length:]
        if message[:1] == b"E":
            assert not received, received
            said = dict(backend.error_map(message))
            assert said["severity"] == "FATAL"
            assert said["message"]
            return said
    raise AssertionError("the gateway closed without an error")


@dataclass
class Bystander:
    """Somebody else's session, which must not notice anything."""

    answers: int = 0
    slowest: float = 0.0
    failures: list[Exception] = field(default_factory=list)

    def watch(self, dsn: str, stop: threading.Event) -> None:
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                while not stop.wait(0.02):
                    began = time.monotonic()
                    assert connection.execute("select 42").fetchone() == (42,)
                    self.slowest = max(self.slowest, time.monotonic() - began)
                    self.answers += 1
        except Exception as error:
            self.failures.append(error)


@contextlib.contextmanager
def bystanders(dsn: str, count: int = 4) -> Iterator[list[Bystander]]:
    """Sessions that go on all the while; several, so that each worker has one."""
    stop = threading.Event()
    watching = [Bystander() for _ in range(count)]
    threads = [threading.Thread(target=one.watch, args=(dsn, stop)) for one in watching]
    for thread in threads:
        thread.start()
    try:
        yield watching
        until(
            lambda: all(one.answers > 3 or one.failures for one in watching), "answers for each who stands by"
        )
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    for one in watching:
        assert not one.failures, one.failures
        # far more than a statement takes on a busy machine, and less than who waits for what went on beside it
        assert one.slowest < 10


def until(found: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Look again and again until something is found."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")


def sessions(gateway: stage.Gateway, run: str) -> list[dict[str, Any]]:
    """The sessions of a run, as the API lists them."""
    answer = gateway.api("GET", f"/v1/sessions?run={run}")
    assert answer.status_code == 200, answer.text
    listed: list[dict[str, Any]] = answer.json()["sessions"]
    return listed


def sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            name = str(link.readlink())
            if name.startswith("socket:["):
                found.add(name[len("socket:[") : -1])
    return found


def tcp_sockets() -> Iterator[tuple[int, int, bool, str]]:
    """Every IPv4 socket of this machine: local port, remote port, whether it listens, its inode."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(one.rpartition(":")[2], 16) for one in fields[1:3])
        yield local, remote, fields[3] == "0A", fields[9]


def worker_of(gateway: stage.Gateway, connection: psycopg.Connection[Any]) -> int:
    """The process id of the worker that serves this connection."""
    with socket.socket(fileno=os.dup(connection.fileno())) as sock:
        port = sock.getsockname()[1]
    inodes = {inode for local, remote, _, inode in tcp_sockets() if (local, remote) == (gateway.port, port)}
    for pid in gateway.children()["worker"]:
        if inodes & sockets_of(pid):
            return pid
    raise AssertionError("no worker serves this connection")


def on_both_workers(
    gateway: stage.Gateway, run: stage.Credential, each: int = 2, **options: Any
) -> list[psycopg.Connection[Any]]:
    """Connections of one run, so many that every worker serves at least `each`."""
    connections: list[psycopg.Connection[Any]] = []
    for _ in range(60):
        connections.append(psycopg.connect(run.dsn(), autocommit=True, **options))
        served = [worker_of(gateway, one) for one in connections]
        if all(served.count(pid) >= each for pid in gateway.children()["worker"]):
            return connections
    raise AssertionError("one worker takes all connections")
