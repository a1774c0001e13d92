"""What the demo's agent finds on the web: a model that speaks OpenAI's API, and the shop's warehouse.

Both are on loopback, and what they say is scripted: the demo is offline.
"""

import http.server
import json
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bodycam.cli.demo.script import ANSWERS

CHAT = "/v1/chat/completions"
_BODY_MOST = 4 * 1024 * 1024
_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Web:
    """Where the two listen, and the key without which the model answers nobody."""

    model_port: int
    warehouse_port: int
    model_key: str = field(repr=False)


class _Pages(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _SECONDS
    disable_nagle_algorithm = True

    def log_message(self, *_arguments: object) -> None:
        """The record is the gateway's."""

    def _asked(self) -> Any:
        size = min(int(self.headers.get("Content-Length") or 0), _BODY_MOST)
        return json.loads(self.rfile.read(size) or b"null")

    def _answer(self, status: int, answer: Mapping[str, Any]) -> None:
        content = json.dumps(answer).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class _Model(_Pages):
    """https://platform.openai.com/docs/api-reference/chat, as far as the demo asks for it."""

    key = ""

    def do_POST(self) -> None:
        asked = self._asked()
        if self.headers.get("Authorization") != f"Bearer {self.key}":
            return self._answer(401, {"error": {"message": "wrong key", "type": "invalid_request_error"}})
        if self.path != CHAT:
            return self._answer(404, {"error": {"message": "no such page", "type": "invalid_request_error"}})
        # by what was said before, so that a request that is sent again gets the same answer
        said = sum(one["role"] == "assistant" for one in asked["messages"])
        message = {"role": "assistant", "content": ANSWERS[min(said, len(ANSWERS) - 1)]}
        return self._answer(
            200,
            {
                "id": f"chatcmpl-{said}",
                "object": "chat.completion",
                "created": 0,
                "model": asked["model"],
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150},
            },
        )


class _Warehouse(_Pages):
    """Tells what is there, and, as careless services do, a secret."""

    token = ""

    def do_GET(self) -> None:
        pages: Mapping[str, Mapping[str, Any]] = {
            "/stock": {"item": "lamp", "left": 7},
            "/prices": {"item": "lamp", "price": 4990},
            "/settings": {"service": "payments", "token": self.token},
        }
        page = pages.get(self.path.partition("?")[0])
        self._answer(*((404, {"error": "no such page"}) if page is None else (200, page)))

    def do_POST(self) -> None:
        self._answer(201, {"reserved": self._asked()})


@contextmanager
def web(token: str) -> Iterator[Web]:
    """Both of them while the block lasts; the warehouse's settings have `token` in them."""
    key = "demo-key-" + secrets.token_urlsafe(24)
    with (
        _served(type("Model", (_Model,), {"key": key})) as model,
        _served(type("Warehouse", (_Warehouse,), {"token": token})) as warehouse,
    ):
        yield Web(model, warehouse, key)


@contextmanager
def _served(pages: type[_Pages]) -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
