"""A target for tests of streams: it prints what it was sent, sends events one by one, and speaks WebSocket."""

import contextlib
import gzip
import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from bodycam.net.authority import Authority, request
from tests.unit.protocols.http.streams import chat

KEY = "AKIA" + "IOSFODNN7ABCDEFG"
"""Looks like a cloud's key."""


@dataclass
class Streams:
    """Where it is. `seen` is set by whoever has got the first event, and the second is sent only then."""

    port: int = 0
    tls: int = 0
    sockets: int = 0
    seen: threading.Event = field(default_factory=threading.Event)
    waited: list[bool] = field(default_factory=list)
    heard: list[str | bytes] = field(default_factory=list)


def _tls(folder: Path) -> ssl.SSLContext:
    ca, asked = Authority.create("streams"), request("localhost")
    (folder / "ca").write_bytes(ca.certificate_pem)
    (folder / "key").write_bytes(asked.key_pem)
    (folder / "chain").write_bytes(ca.sign(asked.csr_pem, names=["localhost"]))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain", folder / "key")
    return context


@contextlib.contextmanager
def streams(folder: Path) -> Iterator[Streams]:
    """Run it; the CA that vouches for it over TLS is `ca` in that folder."""
    made = Streams()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.startswith("/events"):
                # HTTP/1.0 knows no chunks
                old = self.request_version == "HTTP/1.0"
                self._events(chunked=not old and "closing" not in self.path)
                return
            body = json.dumps({"path": self.path, "headers": dict(self.headers)}).encode()
            if self.path.startswith("/gzip"):
                body = gzip.compress(body)
            self.send_response(302 if self.path.startswith("/moved") else 200)
            self.send_header(
                "Content-Type", "image/png" if self.path.startswith("/png") else "application/json"
            )
            if self.path.startswith("/gzip"):
                self.send_header("Content-Encoding", "gzip")
            if self.path.startswith("/moved"):
                self.send_header("Location", f"http://elsewhere.example{self.path}")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._begin(chunked=True)
            for event in chat([f"Your key is {KEY}, keep it."[at : at + 2] for at in range(0, 46, 2)]).split(
                b"\n\n"
            ):
                self._say(event + b"\n\n", chunked=True)
            self.wfile.write(b"0\r\n\r\n")

        def _events(self, *, chunked: bool) -> None:
            self._begin(chunked=chunked)
            self._say(b"data: first\n\n", chunked=chunked)
            made.waited.append(made.seen.wait(20))
            self._say(b"data: second\n\n", chunked=chunked)
            if chunked:
                self.wfile.write(b"0\r\n\r\n")
            self.close_connection = not chunked

        def _begin(self, *, chunked: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header(*(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close")))
            self.end_headers()

        def _say(self, data: bytes, *, chunked: bool) -> None:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
            self.wfile.flush()

        def log_message(self, *_: Any) -> None: ...

    def again(connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            connection.send("again")

    def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        with contextlib.suppress(ConnectionClosed):
            for message in connection:
                made.heard.append(message)
                if message == "headers":
                    connection.send(json.dumps(dict(connection.request.headers)))
                elif message == "key":
                    connection.send([f"the key {KEY[:9]}", KEY[9:], " is yours"])
                elif message == "twice":
                    connection.send([message])
                    threading.Timer(1.0, again, (connection,)).start()
                else:
                    connection.send(message)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    secure = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    secure.socket = _tls(folder).wrap_socket(secure.socket, server_side=True)
    made.tls = secure.server_address[1]
    sockets = serve(talk, "127.0.0.1", 0)
    made.port, made.sockets = server.server_address[1], sockets.socket.getsockname()[1]
    threads = [threading.Thread(target=one.serve_forever, daemon=True) for one in (server, secure, sockets)]
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.seen.set()
        for one in (server, secure):
            one.shutdown()
            one.server_close()
        sockets.shutdown()
