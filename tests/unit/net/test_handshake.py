"""A handshake that fails tells the peer why before the connection ends, on either event loop."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from bodycam.net.authority import Authority, Usage, request
from bodycam.net.handshake import watched
from bodycam.net.tls import server_context

LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@dataclass
class Met:
    """What came of one connection, on the server's side."""

    failures: list[str] = field(default_factory=list)
    moments: list[str] = field(default_factory=list)


async def meet(sock: socket.socket, context: ssl.SSLContext, met: Met) -> None:
    loop = asyncio.get_running_loop()
    client, _ = await loop.sock_accept(sock)
    handshake = watched(lambda: met.moments.append("failed"))
    try:
        async with asyncio.timeout(5):
            await loop.connect_accepted_socket(asyncio.Protocol, client, ssl=context)
        met.moments.append("stood")
    except (OSError, TimeoutError):
        met.moments.append("ended")
    met.failures += [] if handshake.failure is None else [str(handshake.failure)]


def run(
    make: Callable[[], asyncio.AbstractEventLoop], sock: socket.socket, context: ssl.SSLContext, met: Met
) -> None:
    with asyncio.Runner(loop_factory=make) as runner:
        runner.run(meet(sock, context, met))


@pytest.fixture
def contexts(tmp_path: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server that takes clients of one authority, and a client with a certificate of another."""
    listeners, runs, other = (Authority.create(name) for name in ("listeners", "runs", "other"))
    made, own = request("server"), request("client")
    server = server_context(
        made.key_pem, listeners.sign(made.csr_pem, names=["127.0.0.1"]), clients=runs.certificate_pem
    )
    (tmp_path / "ca.pem").write_bytes(listeners.certificate_pem)
    (tmp_path / "own.pem").write_bytes(
        own.key_pem + other.sign(own.csr_pem, names=["client"], usage=Usage.CLIENT)
    )
    client = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    client.load_cert_chain(tmp_path / "own.pem")
    return server, client


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_with_a_certificate_that_is_not_trusted_is_told_so(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], loop: str, version: ssl.TLSVersion
) -> None:
    server, client = contexts
    client.maximum_version = version
    met = Met()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        serving = threading.Thread(target=run, args=(LOOPS[loop], sock, server, met))
        serving.start()
        with (
            pytest.raises(ssl.SSLError, match=r"(?i)alert unknown ca"),
            socket.create_connection(sock.getsockname(), timeout=10) as raw,
            client.wrap_socket(raw, server_hostname="127.0.0.1") as inner,
        ):
            inner.recv(1)
        serving.join(10)

    assert met.moments == ["failed", "ended"]
    assert "certificate verify failed" in met.failures[0]


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_of_an_old_version_is_told_so(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], loop: str
) -> None:
    server, client = contexts
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    met = Met()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        serving = threading.Thread(target=run, args=(LOOPS[loop], sock, server, met))
        serving.start()
        with (
            pytest.raises(ssl.SSLError, match=r"(?i)alert protocol version"),
            socket.create_connection(sock.getsockname(), timeout=10) as raw,
        ):
            client.wrap_socket(raw, server_hostname="127.0.0.1")
        serving.join(10)

    assert met.moments == ["failed", "ended"]
