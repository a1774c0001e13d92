"""The control API as a FastAPI application; everything it works with is handed in."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from bodycam.api import (
    accounts,
    approvals,
    audits,
    browser,
    errors,
    evidence,
    exchanges,
    gateways,
    health,
    leaks,
    ledger,
    legal_holds,
    provider_answers,
    redactions,
    retention,
    run_endings,
    runs,
    searching,
    sessions,
    sign_in,
    sign_ins,
    tail,
    transcripts,
)
from bodycam.api.archivist import ArchivistAway, ArchivistRefused
from bodycam.api.body_limit import BodyLimit
from bodycam.api.context import Control
from bodycam.api.errors import ApiError, ErrorBody, answer
from bodycam.api.nul import NoNul

RESOURCES = (
    health,
    gateways,
    runs,
    run_endings,
    sessions,
    transcripts,
    evidence,
    exchanges,
    searching,
    leaks,
    tail,
    ledger,
    audits,
    accounts,
    approvals,
    legal_holds,
    redactions,
    retention,
    sign_in,
    sign_ins,
    browser,
    provider_answers,
)

_STATUS = {"not-found": 404, "no-such-head": 404, "deleted": 410, "key-away": 503}


def create_app(context: Control) -> FastAPI:
    """The application over these collaborators."""
    app = FastAPI(
        title="Bodycam control API",
        version=context.version,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses={"default": {"model": ErrorBody, "description": "Any error, in the one shape."}},
    )
    app.state.control = context
    errors.install(app)
    app.add_exception_handler(ArchivistAway, _away)
    app.add_exception_handler(ArchivistRefused, _refused)
    app.add_middleware(BodyLimit)
    app.add_middleware(NoNul)
    for resource in RESOURCES:
        app.include_router(resource.router)
    return app


async def _away(_request: Request, error: Exception) -> JSONResponse:
    text = f"the archivist does not answer: {error}"
    return answer(
        ApiError(503, "archivist-away", text, "Try again in a moment; GET /readyz says when it is back.")
    )


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ArchivistRefused)
    status = _STATUS.get(error.code, 502)
    return answer(
        ApiError(status, error.code, str(error), "The archivist's log says more." if status > 499 else "")
    )
