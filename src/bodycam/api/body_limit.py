"""A bound on request bodies, held while they stream in, whatever Content-Length claims."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bodycam.api.errors import ApiError, answer

MAX_BODY = 1 << 20


class BodyLimit:
    """Middleware that answers 413 once a body is longer than `limit` bytes."""

    def __init__(self, app: ASGIApp, limit: int = MAX_BODY) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        text = f"a request's body may have {self._limit} bytes"
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > self._limit:
            await answer(ApiError(413, "too-large", text, "Send less in one request."))(scope, receive, send)
            return
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._limit:
                # the one exception that the framework passes on from the reading of a body
                raise HTTPException(413, text)
            return message

        await self._app(scope, bounded, send)
