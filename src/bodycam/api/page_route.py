"""Pages answer people with pages: what goes wrong is counted as a failed login, and said in plain words."""

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from sqlalchemy.exc import OperationalError

from bodycam.api.archivist import ArchivistAway, ArchivistRefused
from bodycam.api.caller import control
from bodycam.api.errors import ApiError
from bodycam.api.pages import said
from bodycam.identity.oidc.failure import Reason as TokenReason
from bodycam.identity.oidc.failure import TokenRefused
from bodycam.identity.saml.failure import Reason, SamlRefused

log = structlog.get_logger(__name__)

_AWAY = (Reason.PROVIDER_AWAY.value, TokenReason.PROVIDER_AWAY.value)
_START = "Begin again at the sign-in page, or with `bodycam login`."
_BACK = "Try again in a moment; the gateway's log says what failed."


class PageRoute(APIRoute):
    """A route whose failures are pages."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI, with what it raises turned into a page."""
        handler = super().get_route_handler()

        async def handled(request: Request) -> Response:
            try:
                return await handler(request)
            except (SamlRefused, TokenRefused) as error:
                return _refused(request, error)
            except RequestValidationError:
                return _message(422, "This can't be done", "the address says something that can't be", _START)
            except ApiError as error:
                return _message(error.status, "This can't be done", error.message, error.hint)
            except (ArchivistAway, ArchivistRefused) as error:
                log.warning("a sign-in waits for the archivist", error=str(error))
                return _message(503, "Not now", "the ledger does not take the sign-in", _BACK)
            except OperationalError as error:
                log.error("the catalog does not answer", path=request.url.path, error=str(error.__cause__))
                return _message(503, "Not now", "the catalog does not answer", _BACK)

        return handled


def _refused(request: Request, error: SamlRefused | TokenRefused) -> Response:
    context = control(request)
    name = error.provider or str(request.path_params.get("provider", ""))
    address = "" if request.client is None else request.client.host
    context.admission.stranger(error.reason.value, address, name=name)
    log.info("a sign-in was refused", reason=error.reason.value, provider=name, address=address)
    status = 503 if error.reason.value in _AWAY else 403
    return _message(status, "You are not signed in", f"{error} ({error.reason.value})", error.hint)


def _message(status: int, title: str, message: str, hint: str) -> Response:
    return said(title, f"{message}.", hint, status=status)
