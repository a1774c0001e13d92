"""Logins between a worker's words on the channel and the gatekeeper's types."""

from collections.abc import Mapping
from typing import Any

from bodycam.session.grant import Challenge, Grant, Refusal, Wanted, grant_to_wire

MAX_CLAIMS = 64


def challenge_answer(said: Challenge | Refusal) -> dict[str, Any]:
    """The answer to `challenge`."""
    if isinstance(said, Refusal):
        return refusal_answer(said)
    return {"login": said.login, "method": said.method.value}


def respond_answer(said: bytes | Refusal) -> dict[str, Any]:
    """The answer to `respond`."""
    return refusal_answer(said) if isinstance(said, Refusal) else {"data": said}


def open_answer(said: Grant | Refusal) -> dict[str, Any]:
    """The answer to `open`."""
    return refusal_answer(said) if isinstance(said, Refusal) else {"grant": grant_to_wire(said)}


def refusal_answer(refusal: Refusal) -> dict[str, Any]:
    """A refusal, with the grant that names who it is when that is known."""
    return {
        "refusal": {
            "code": refusal.code.value,
            "message": refusal.message,
            "hint": refusal.hint,
            "grant": None if refusal.grant is None else grant_to_wire(refusal.grant),
        }
    }


def wanted_from(plain: Mapping[str, Any]) -> Wanted:
    """What a client wants to open, as its worker said it.

    Raises:
        KeyError, TypeError: the worker left something out.
    """
    claims = dict(list(plain["claims"].items())[:MAX_CLAIMS])
    return Wanted(
        protocol=str(plain["protocol"]),
        target=str(plain["target"]),
        database=None if plain["database"] is None else str(plain["database"]),
        address=str(plain["address"]),
        claims={str(name): str(claim) for name, claim in claims.items()},
        host=str(plain.get("host", "")),
        named=plain.get("named") is True,
    )
