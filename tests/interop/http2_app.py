"""What the HTTP/2 target of the tests answers: an ASGI application, served by hypercorn."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    digest, size = hashlib.sha256(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        digest.update(message.get("body", b""))
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    query = parse_qs(scope["query_string"].decode())
    down = int(query.get("down", ["0"])[0])
    said = {
        "version": scope["http_version"],
        "path": scope["path"],
        "size": size,
        "sha256": digest.hexdigest(),
    }
    kind = b"application/octet-stream" if down else b"application/json"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)]})
    for start in range(0, down, 65536):
        piece = bytes(min(65536, down - start))
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    rest = b"" if down else json.dumps(said).encode()
    await send({"type": "http.response.body", "body": rest, "more_body": False})
