"""A listener on loopback, to which a browser comes back from signing in (RFC 8252, section 7.3)."""

import hmac
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_PATH = "/callback"
_READ_SECONDS = 5.0
_POLL_SECONDS = 0.1
_DONE = b"Bodycam has what it needs. You can close this window and go back to the terminal.\n"
_NOT_DONE = b"This is not the sign-in that Bodycam waits for. Go back to the terminal.\n"


class Callback:
    """A listener on loopback for the one answer with the right state; what else comes changes nothing.

    Each who comes is heard beside the others, so that nobody who says little holds up the browser.
    """

    def __init__(self, state: str) -> None:
        self._given: dict[str, str] | None = None
        self._answered = threading.Event()
        callback = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _READ_SECONDS

            def do_GET(self) -> None:
                right = callback.take(self.path, state)
                try:
                    self._answer(200 if right else 404, _DONE if right else _NOT_DONE)
                finally:
                    # last, so that the browser has its page before the command ends
                    if right:
                        callback._answered.set()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                for name, value in _headers(body).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing: the address has the code in it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": _POLL_SECONDS}, daemon=True
        )
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}{_PATH}"

    def __enter__(self) -> "Callback":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def take(self, path: str, state: str) -> bool:
        """Keep an answer if it is the one that is waited for."""
        parts = urlsplit(path)
        try:
            query = parse_qs(parts.query, max_num_fields=20)
        except ValueError:
            return False
        plain = {name: values[0] for name, values in query.items() if len(values) == 1}
        if parts.path != _PATH or not hmac.compare_digest(plain.get("state", "").encode(), state.encode()):
            return False
        self._given = plain
        return True

    def wait(self, seconds: float) -> Mapping[str, str] | None:
        """What the browser brought; None if it did not come in that time."""
        self._answered.wait(seconds)
        return self._given


def _headers(body: bytes) -> Mapping[str, str]:
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
