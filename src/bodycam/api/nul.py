"""Keeps the one character out that a PostgreSQL text can't hold, whichever database the catalog is in."""

from starlette.types import ASGIApp, Receive, Scope, Send

from bodycam.api.errors import ApiError, answer

WITHOUT_NUL = r"^[^\x00]*$"


class NoNul:
    """Middleware that answers 422 to a path or a query with U+0000; bodies are held to `WITHOUT_NUL`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and ("\0" in scope["path"] or b"%00" in scope["query_string"]):
            error = ApiError(422, "invalid", "the address holds the character U+0000", "Leave %00 out.")
            await answer(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)
