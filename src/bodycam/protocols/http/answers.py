"""What the gateway itself answers with: problem details in JSON (RFC 9457), in words for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from bodycam.model.verdict import Verdict
from bodycam.session.grant import RefusalCode

STATUSES: Final[Mapping[RefusalCode, int]] = {
    RefusalCode.BAD_CREDENTIAL: 407,
    RefusalCode.BAD_CERTIFICATE: 407,
    RefusalCode.RUN_ENDED: 403,
    RefusalCode.UNKNOWN_TARGET: 403,
    RefusalCode.NOT_ALLOWED: 403,
    RefusalCode.INSECURE: 403,
    RefusalCode.LIMIT: 429,
    RefusalCode.STORE_FULL: 503,
    RefusalCode.UNAVAILABLE: 503,
}

_CHALLENGE: Final = 'Basic realm="Bodycam", charset="UTF-8"'
_RETRY: Final = frozenset((429, 503))


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal. `more` are further members of its JSON; `close` says that the connection ends with it."""

    status: int
    message: str
    hint: str = ""
    close: bool = False
    more: Mapping[str, str] | None = None


def denied(verdict: Verdict) -> Problem:
    """What policy would not let through."""
    return Problem(
        403, f"denied by rule {verdict.rule}: {verdict.message}", verdict.hint, more={"rule": verdict.rule}
    )


def unproved(proxied: bool) -> Problem:
    """Nobody knows yet whose request it is."""
    return Problem(
        407 if proxied else 401,
        "the gateway has to know whose request this is",
        "Run the client by `bodycam run`, which gives it a credential.",
    )


def answer(problem: Problem, *, body: bool = True) -> bytes:
    """The whole response; without its content where the request was a HEAD."""
    said = {
        "type": "about:blank",
        "title": _phrase(problem.status),
        "status": problem.status,
        "detail": problem.message,
    }
    if problem.hint:
        said["hint"] = problem.hint
    if problem.more:
        said |= problem.more
    content = json.dumps(said, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    fields = [
        f"HTTP/1.1 {problem.status} {_phrase(problem.status)}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "Via: 1.1 bodycam",
    ]
    if problem.status == 407:
        fields.append(f"Proxy-Authenticate: {_CHALLENGE}")
    elif problem.status == 401:
        fields.append(f"WWW-Authenticate: {_CHALLENGE}")
    if problem.status in _RETRY:
        fields.append("Retry-After: 1")
    if problem.close:
        fields.append("Connection: close")
    head = "\r\n".join(fields).encode("latin-1", "replace") + b"\r\n\r\n"
    return head + content if body else head


def refusal(message: str, hint: str) -> bytes:
    """What a client is told that is turned away before it has said anything."""
    return answer(Problem(503, message, hint, close=True))


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Refused"
