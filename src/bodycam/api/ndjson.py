"""Answers of JSON lines: sent as they come, no faster than the client takes them, ended when it leaves."""

import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

MEDIA_TYPE = "application/x-ndjson"


def line(plain: dict[str, Any]) -> bytes:
    """One object as one line."""
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def streamed(lines: AsyncIterator[bytes]) -> StreamingResponse:
    """The response of these lines; a write waits while the client's side is full."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type=MEDIA_TYPE, headers=headers)
