"""The one shape of every error: `{"error": {"code", "message", "hint"}}`, for whatever went wrong."""

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException

from bodycam.catalog.paging import BadCursor

log = structlog.get_logger(__name__)

_SHOWN = 5
_CODES = {404: "not-found", 405: "method-not-allowed", 413: "too-large"}


class ApiError(Exception):
    """A request that is not served; `status` is the HTTP status, `code` a short word for programs."""

    def __init__(self, status: int, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.hint = status, code, message, hint


class ErrorDetail(BaseModel):
    """What went wrong, in a word for programs and in sentences for people."""

    code: str
    message: str
    hint: str


class ErrorBody(BaseModel):
    """The body of every answer of status 400 and above."""

    error: ErrorDetail


def not_found(what: str, name: str) -> ApiError:
    """Nothing of that name, or nothing that this caller may see: said alike."""
    return ApiError(404, "not-found", f"there is no {what} {name!r}", "It may also be somebody else's.")


def answer(error: ApiError) -> JSONResponse:
    """An error as the response that carries it."""
    detail = ErrorDetail(code=error.code, message=error.message, hint=error.hint)
    headers = {"WWW-Authenticate": "Bearer"} if error.status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse(ErrorBody(error=detail).model_dump(), error.status, headers)


def install(app: FastAPI) -> None:
    """Make `app` answer every failure in the one shape."""
    app.add_exception_handler(ApiError, _api_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(BadCursor, _cursor)
    app.add_exception_handler(OperationalError, _catalog)
    app.add_exception_handler(Exception, _unexpected)


async def _api_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiError)
    return answer(error)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # the values are left out: one of them may be a secret in the wrong place
    said = [f"{'.'.join(map(str, one['loc'][1:])) or 'body'}: {one['msg']}" for one in error.errors()]
    more = "" if len(said) <= _SHOWN else f" and {len(said) - _SHOWN} more"
    return answer(
        ApiError(422, "invalid", "; ".join(said[:_SHOWN]) + more, "docs/api.md lists what is taken.")
    )


async def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "refused")
    return answer(
        ApiError(error.status_code, code, str(error.detail), "GET /openapi.json lists what is there.")
    )


async def _cursor(_request: Request, error: Exception) -> JSONResponse:
    return answer(ApiError(422, "bad-cursor", str(error), "Use the `next` of the page before, unchanged."))


async def _catalog(request: Request, error: Exception) -> JSONResponse:
    log.error("the catalog does not answer", path=request.url.path, error=str(error.__cause__ or error))
    return answer(
        ApiError(
            503, "catalog-away", "the catalog does not answer", "Try again; the gateway's log says more."
        )
    )


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("a request failed", path=request.url.path, exc_info=error)
    return answer(
        ApiError(500, "internal", "the gateway failed at this request", "Its log says what happened.")
    )
