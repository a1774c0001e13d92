"""What a recording says to people of the events that are alike in every protocol."""

from collections.abc import Callable, Mapping
from typing import Any

from bodycam.model.event import Event, Kind
from bodycam.model.transcript import Body, Entry, Message, Noted

Readers = Mapping[Kind, Callable[[Event, list[Body]], None]]
"""For each kind of event, what adds what it says to a list."""


def told(readers: Readers, event: Event) -> list[Entry]:
    """What one event says; bytes that make no sense become a Noted entry."""
    said: list[Body] = []
    try:
        readers[event.kind](event, said)
    except Exception as error:
        # a recording holds whatever two peers sent, and a person who reads it must get the rest
        said.append(Noted("undecodable", f"{type(error).__name__}: {error}"[:1000]))
    at, exchange = event.at, event.exchange
    return [Entry(at, exchange, body) for body in said]


def opened(event: Event, within: str = "database") -> Noted:
    """Whose session it is, with which target; `within` is what the protocol calls what is chosen there."""
    body: Mapping[str, Any] = event.body
    principal, target = body["principal"], body["target"]
    chosen = f" {within} {body['database']}," if body["database"] else ""
    return Noted(
        "opened",
        f"{body['agent']} in run {body['run']} of {principal['subject']}@{principal['issuer']}: "
        f"target {target['name']},{chosen} from {body['address']}",
    )


def closed(event: Event) -> Noted:
    """How it ended, and what of it nobody took."""
    body: Mapping[str, Any] = event.body
    detail = f"{body['outcome']}: {body['reason']}" if body.get("reason") else str(body["outcome"])
    for name, whom in (("unsent_to_client", "client"), ("unsent_to_target", "target")):
        if body.get(name):
            detail += f"; {body[name]} bytes for the {whom} were never sent"
    return Noted("closed", detail)


def verdict(said: Any) -> str | None:
    """A request's verdict in words; None for a plain allow."""
    if said is None:
        return None
    decision, rule, _, message = said
    return f"{decision} by rule {rule}: {message}" if message else f"{decision} by rule {rule}"


def failure(error: Mapping[str, Any]) -> Message:
    """The error with which an exchange finished."""
    return Message("error", *(str(error.get(name, "")) for name in ("code", "message", "detail", "hint")))
