"""A receiver of webhooks on loopback, which keeps what it got and can check it."""

import base64
import hashlib
import hmac
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "whsec_" + base64.b64encode(b"a key of thirty-two bytes, or so").decode()


@dataclass
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server that answers with these statuses, one after the other, and then with 204."""

    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    url: str = ""


@contextmanager
def receiver(
    statuses: Sequence[int] = (), *, tls: ssl.SSLContext | None = None, **headers: str
) -> Iterator[Receiver]:
    one = Receiver(list(statuses), headers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            given = {name.lower(): value for name, value in self.headers.items()}
            one.received.append(Received(self.path, given, body))
            self.send_response(one.statuses.pop(0) if one.statuses else 204)
            for name, value in one.headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    one.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}/hook?key=abc"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def verified(received: Received) -> bool:
    """As docs/approvals.md tells receivers to check."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    name, at = received.headers["webhook-id"], received.headers["webhook-timestamp"]
    expected = hmac.new(key, f"{name}.{at}.".encode() + received.body, hashlib.sha256).digest()
    given = received.headers["webhook-signature"].removeprefix("v1,")
    return hmac.compare_digest(base64.b64encode(expected).decode(), given)
