"""What a session's events tell the catalog, of the types and sizes that it can hold.

A worker that is not ours any more may write anything: what can't be a row is refused here, by session, and
not by the database, for all.
"""

from collections.abc import Mapping
from typing import Any

from bodycam.catalog import sessions
from bodycam.catalog.statement import storable
from bodycam.model.identity import Grade, Principal, PrincipalKind, Run

MOST = 1 << 48
"""Rows, bytes and the like of one exchange; far more than there can be, and sums of them still fit."""
_LATEST = 1 << 61  # microseconds of the Unix epoch
_NAME, _WORD = 255, 64  # characters that the catalog's columns have


def text(value: Any, most: int | None = None) -> str:
    """A text as the catalog can hold it, cut to `most` characters.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} stands where a text belongs")
    return storable(value)[:most]


def count(value: Any, most: int = MOST) -> int:
    """A number that is not negative, `most` at most.

    Raises:
        TypeError: it is no integer.
        ValueError: it is out of range.
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} stands where a number belongs")
    if not 0 <= value <= most:
        raise ValueError(f"{value} is out of range")
    return value


def opening_of(session: str, body: Mapping[str, Any]) -> sessions.Opening:
    """The session as its OPENED event tells it.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it tells no session.
    """
    principal, worker = body["principal"], body["worker"]
    return sessions.Opening(
        id=session,
        run=text(body["run"], _WORD),
        principal=f"{text(principal['subject'])}@{text(principal['issuer'])}",
        agent=text(body["agent"], _NAME),
        target=text(body["target"]["name"], _NAME),
        protocol=text(body["target"]["protocol"], _WORD),
        database=text(body.get("database") or ""),
        address=text(body.get("address") or ""),
        claims={text(name): text(str(value)) for name, value in (body.get("claims") or {}).items()},
        policy=text(body.get("policy") or ""),
        opened=count(body["started"], _LATEST),
        worker=(worker.hex() if isinstance(worker, bytes) else text(worker))[:_WORD],
        opening=count(body["opening"]),
        labels={text(name): text(value) for name, value in (body["target"].get("labels") or {}).items()},
    )


def run_of(body: Mapping[str, Any]) -> Run:
    """The run as the OPENED event tells it; its expiry is not recorded, so it counts as over.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: it tells no run.
    """
    told, trace = body["principal"], body.get("trace")
    principal = Principal(
        text(told["issuer"]),
        text(told["subject"]),
        PrincipalKind(told["kind"]),
        frozenset(text(group) for group in told.get("groups") or ()),
    )
    return Run(
        id=text(body["run"], _WORD),
        principal=principal,
        agent=text(body["agent"], _NAME),
        expires=count(body["started"], _LATEST) / 1e6,
        grade=Grade(body["grade"]),
        labels={text(name): text(value) for name, value in (body.get("labels") or {}).items()},
        trace=None if trace is None else text(trace),
    )
