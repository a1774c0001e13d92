"""The few pages that people see in the browser: plain HTML, no script in it, nothing from elsewhere."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

_HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # with no-referrer the browser would send `Origin: null` with our own forms
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_TYPES = {"style.css": "text/css; charset=utf-8", "submit.js": "text/javascript; charset=utf-8"}


def page(name: str, *, status: int = 200, to: str = "'self'", **values: Any) -> HTMLResponse:
    """The page of that name; `to` is where its forms may lead, redirects included (CSP's form-action)."""
    return HTMLResponse(
        _pages().get_template(f"{name}.html").render(values),
        status,
        {
            **_HEADERS,
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
            f"form-action {to}; base-uri 'none'; frame-ancestors 'none'",
        },
    )


def said(title: str, message: str, hint: str = "", *, status: int = 200) -> HTMLResponse:
    """A page that says something and leads back to the sign-in."""
    return page("message", status=status, title=title, message=message, hint=hint)


def origin_of(url: str) -> str:
    """The scheme, host and port of a URL, as CSP names them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def asset(name: str) -> Response:
    """A style sheet or script that the pages use; KeyError if there is none of that name."""
    kept = {**_HEADERS, "Cache-Control": "max-age=3600"}
    return Response(_content(name), media_type=_TYPES[name], headers=kept)


@cache
def _content(name: str) -> bytes:
    return files(__package__).joinpath(name).read_bytes()


@cache
def _pages() -> Environment:
    return Environment(
        loader=PackageLoader("bodycam.api", "pages"),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
    )
