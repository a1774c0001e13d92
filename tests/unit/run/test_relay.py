import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bodycam.net.authority import Authority, request
from bodycam.run.gateway import Listener
from bodycam.run.relay import Relay

AUTHORITY = Authority.create("Listener")
CA = AUTHORITY.certificate_pem.decode()
SENT = bytes(range(256)) * 4096


@contextmanager
def gateway(folder: Path, *, heard: threading.Event | None = None) -> Iterator[Listener]:
    """Over TLS, it says all of `SENT` back and closes; or, with `heard`, it only hears."""
    asked = request("127.0.0.1")
    file = folder / "server.pem"
    file.write_bytes(asked.key_pem + AUTHORITY.sign(asked.csr_pem, names=["127.0.0.1"]))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(file)

    def serve() -> None:
        client, _ = listening.accept()
        with context.wrap_socket(client, server_side=True) as secure, contextlib.suppress(OSError):
            got = b""
            while len(got) < len(SENT) and (data := secure.recv(65536)):
                got += data
                if heard:
                    heard.set()
            secure.sendall(got)
            secure.unwrap()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield Listener("127.0.0.1", listening.getsockname()[1], tls=True)
        thread.join(10)
        assert not thread.is_alive()


def everything(client: socket.socket) -> bytes:
    client.settimeout(30)
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_all_of_both_ways_arrives_though_the_client_stops_sending_first(tmp_path: Path) -> None:
    with gateway(tmp_path) as there, Relay(there, CA) as relay:
        assert relay.listener.host == "127.0.0.1"
        assert not relay.listener.tls
        with socket.create_connection(("127.0.0.1", relay.listener.port)) as client:
            client.sendall(SENT)
            client.shutdown(socket.SHUT_WR)
            assert everything(client) == SENT


def test_at_the_end_of_the_run_its_connections_end_and_nobody_listens(tmp_path: Path) -> None:
    heard = threading.Event()
    with gateway(tmp_path, heard=heard) as there:
        with Relay(there, CA) as relay:
            client = socket.create_connection(("127.0.0.1", relay.listener.port))
            client.sendall(b"begin")
            assert heard.wait(30)
        with client, contextlib.suppress(ConnectionResetError):  # the one end or the other
            assert everything(client) == b""
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", relay.listener.port))


@pytest.mark.parametrize("ca", [CA, ""])
def test_a_gateway_that_is_away_is_a_502_that_says_so(ca: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        Relay(Listener("127.0.0.1", port, tls=True), ca) as relay,
        socket.create_connection(("127.0.0.1", relay.listener.port)) as client,
    ):
        head, _, body = everything(client).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 ")
    assert b"can't be reached" in body
