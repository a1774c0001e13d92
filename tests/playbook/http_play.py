"""A connection of a proxy's client to one HTTP target, past its door."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bodycam.model.event import Flavor, Kind
from bodycam.model.target import Dial, Target, TlsMode
from bodycam.protocols.http.machine import HttpMachine
from bodycam.session.link import AskChallenge, AskDial, AskOpen
from tests.playbook.play import CHALLENGE_CLEARTEXT, DIALLED, GRANT, Play

HOST = "api.example"
PROOF = base64.b64encode(b"run_a:bcr_secret").decode()
DIAL = Dial(HOST, 80, "", "", tls=TlsMode.DISABLE)


def request(line: str, *fields: str, body: bytes = b"") -> bytes:
    """A request for the target by its name, with the gateway's credential."""
    listed = [f"Host: gateway.example\r\nAuthorization: Basic {PROOF}", *fields]
    if body:
        listed.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"{line} HTTP/1.1", *listed, "", ""]).encode() + body


def response(status: str, *fields: str, body: bytes = b"") -> bytes:
    """A response; the length of a body is said unless a field says how it comes."""
    listed = list(fields)
    if not any(one.lower().startswith(("transfer-encoding", "connection: close")) for one in fields):
        listed.append(f"Content-Length: {len(body)}")
    return "\r\n".join([f"HTTP/1.1 {status}", *listed, "", ""]).encode() + body


def in_pieces(data: bytes, size: int) -> list[bytes]:
    """The same bytes in pieces."""
    return [data[at : at + size] for at in range(0, len(data), size)]


def opened(first: bytes, dial: Dial = DIAL, **more: Any) -> Play:
    """A link whose first request has gone to the target; what led there is already taken."""
    play = Play(HttpMachine, **more)
    play.client(first)
    assert isinstance(play.needs[0], AskChallenge)
    play.answer(CHALLENGE_CLEARTEXT)
    assert isinstance(play.needs[0], AskOpen)
    play.answer(replace(GRANT, target=Target("web", "http"), database="", dial=dial))
    assert play.needs == [AskDial(dial)]
    play.answer(DIALLED)
    return play


def data(events: Sequence[tuple[Kind, int, Any]], kind: Kind) -> bytes:
    """All that was recorded of one direction, heads too."""
    return b"".join(body[2] for what, _, body in events if what is kind)


def content(events: Sequence[tuple[Kind, int, Any]], kind: Kind) -> bytes:
    """The content of a body as it was recorded, without heads."""
    return b"".join(
        body[2].partition(b"\r\n\r\n")[2] if body[0] == Flavor.HEAD else body[2]
        for what, _, body in events
        if what is kind
    )


def notes(events: Sequence[tuple[Kind, int, Any]], note: str) -> list[dict[str, Any]]:
    """The notes of one kind."""
    return [body for what, _, body in events if what is Kind.NOTE and body["note"] == note]
