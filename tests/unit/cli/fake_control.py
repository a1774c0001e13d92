"""A control API on loopback that answers what a test tells it to, and remembers what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Answer = Callable[[Mapping[str, str], Mapping[str, Any]], tuple[int, Any]]


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    key: str


@dataclass
class FakeControl:
    """`routes` maps "METHOD /path" to an answer: a JSON value, a list of JSON lines, or a function."""

    routes: dict[str, Any] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    url: str = ""

    def made(self, method: str, path: str) -> list[Call]:
        return [one for one in self.calls if (one.method, one.path) == (method, path)]


@contextmanager
def fake_control(routes: dict[str, Any] | None = None) -> Iterator[FakeControl]:
    control = FakeControl(dict(routes or {}))

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            query = dict(parse_qsl(parts.query))
            control.calls.append(
                Call(self.command, parts.path, query, body, self.headers.get("authorization", ""))
            )
            found = control.routes.get(f"{self.command} {parts.path}")
            status = 200 if found is not None else 404
            if callable(found):
                status, found = found(query, body)
            if found is None:
                found = {"error": {"code": "not-found", "message": f"no {parts.path}", "hint": "look again"}}
            lines = isinstance(found, list)
            text = "".join(json.dumps(one) + "\n" for one in found) if lines else json.dumps(found)
            self.send_response(status)
            self.send_header("content-length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    control.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield control
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
