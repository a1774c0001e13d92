"""A little collector of OpenTelemetry: takes OTLP over HTTP in JSON, and keeps the spans."""

import contextlib
import gzip
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Collector:
    """Its spans in the order in which they came; `answers` are the statuses of the next requests, then 200."""

    port: int = 0
    headers: list[dict[str, str]] = field(default_factory=list)
    spans: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    says: dict[str, Any] = field(default_factory=dict)
    most: int = 1_000_000

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def named(self, beginning: str) -> list[dict[str, Any]]:
        return [one for one in self.spans if one["name"].startswith(beginning)]

    def ids(self) -> set[str]:
        return {one["spanId"] for one in self.spans}


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    """A span's attributes as plain values."""
    return {one["key"]: _plain(one["value"]) for one in span["attributes"]}


def _plain(value: dict[str, Any]) -> Any:
    ((kind, said),) = value.items()
    match kind:
        case "intValue":
            return int(said)
        case "arrayValue":
            return [_plain(one) for one in said["values"]]
        case _:
            return said


@contextlib.contextmanager
def collector(port: int = 0) -> Iterator[Collector]:
    kept = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            body = json.loads(gzip.decompress(content))
            spans = [
                span
                for resource in body["resourceSpans"]
                for scope in resource["scopeSpans"]
                for span in scope["spans"]
            ]
            status = kept.answers.pop(0) if kept.answers else 200
            status = 413 if len(spans) > kept.most else status
            kept.headers.append(dict(self.headers))
            if status == 200:
                kept.spans += spans
            said = json.dumps(kept.says).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    kept.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
