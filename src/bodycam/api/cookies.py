"""The gateway's own cookies, and whether a request that carries one is of a page of the gateway's own."""

from typing import Any

from fastapi import Request, Response

from bodycam.api.errors import ApiError
from bodycam.config.sign_ins import SignIns

_SESSION, _FLOW = "bodycam-session", "bodycam-flow"
_SAFE = ("GET", "HEAD", "OPTIONS")
_OWN = ("same-origin", "none")


def session_of(request: Request, settings: SignIns) -> str:
    """The token of the sign-in that the browser has; empty if it has none."""
    return request.cookies.get(_named(_SESSION, settings), "")


def flow_of(request: Request, settings: SignIns) -> str:
    """The sealed sign-in under way that the browser has; empty if it has none."""
    return request.cookies.get(_named(_FLOW, settings), "")


def keep_session(answer: Response, settings: SignIns, token: str, seconds: float) -> None:
    """Give the browser the token of a sign-in."""
    answer.set_cookie(_named(_SESSION, settings), token, max_age=int(seconds), **_how(settings))


def keep_flow(answer: Response, settings: SignIns, sealed: str, seconds: float) -> None:
    """Give the browser its sign-in under way."""
    answer.set_cookie(_named(_FLOW, settings), sealed, max_age=int(seconds), **_how(settings))


def drop_session(answer: Response, settings: SignIns) -> None:
    """Take the token back."""
    answer.delete_cookie(_named(_SESSION, settings), **_how(settings))


def drop_flow(answer: Response, settings: SignIns) -> None:
    """Take the sign-in under way back, which is over."""
    answer.delete_cookie(_named(_FLOW, settings), **_how(settings))


def from_own_page(request: Request, settings: SignIns) -> None:
    """Let a request go on that a cookie vouches for only if no other site made the browser send it.

    Browsers say so in Sec-Fetch-Site, which no page can set, and in Origin for what changes something. A
    request that changes something has to have one of them.

    Raises:
        ApiError: 403, another site did, or it is not said.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None and site not in _OWN:
        raise _foreign()
    if request.method in _SAFE:
        return
    if origin is not None:
        if origin != settings.origin:
            raise _foreign()
    elif site != "same-origin":
        raise _foreign()


def _foreign() -> ApiError:
    return ApiError(
        403,
        "cross-site",
        "a cookie counts only for requests of the gateway's own pages",
        "Begin at the gateway's own page; programs send Authorization: Bearer instead of a cookie. "
        "identity.sign_ins.url has to be the address in the browser's bar.",
    )


def _named(name: str, settings: SignIns) -> str:
    # the prefix makes browsers take it from this host alone, over TLS, for every path (RFC 6265bis, 4.1.3)
    return f"__Host-{name}" if settings.secure else name


def _how(settings: SignIns) -> dict[str, Any]:
    return {"path": "/", "httponly": True, "secure": settings.secure, "samesite": "lax"}
