"""A tunnel that is not read: only TLS with the host that was asked for gets through it."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from bodycam.model.event import Kind
from bodycam.model.target import Target
from bodycam.protocols.http.machine import ESTABLISHED, HttpMachine
from bodycam.protocols.http.passage import UNRECOGNIZED_NAME
from tests.playbook.http_play import DIAL, notes
from tests.playbook.play import CHALLENGE_CLEARTEXT, DIALLED, GRANT, Play
from tests.unit.protocols.http.test_client_hello import REAL, real

PROOF = base64.b64encode(b"run_a:bcr_secret").decode()


def tunnel(host: str = "api.example") -> Play:
    """A tunnel that stands; what led there is already taken."""
    play = Play(HttpMachine)
    play.client(
        f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\nProxy-Authorization: Basic {PROOF}\r\n\r\n".encode()
    )
    play.answer(CHALLENGE_CLEARTEXT)
    dial = replace(DIAL, port=443, intercept=False)
    play.answer(replace(GRANT, target=Target("web", "http"), database="", dial=dial))
    play.answer(DIALLED)
    assert play.client_gets() == ESTABLISHED
    assert play.alarms == [30.0]
    play.recorded()
    return play


def finish(events: list[tuple[Kind, int, Any]]) -> tuple[str, Any]:
    ((outcome, error),) = [(body[0], body[5]) for kind, _, body in events if kind is Kind.FINISH]
    return outcome, error


@pytest.mark.parametrize("size", [1, 50, 10_000])
def test_tls_with_that_host_is_passed_through_and_only_told_of(size: int) -> None:
    play = tunnel()
    wire = REAL + b"more"
    for at in range(0, len(wire), size):
        play.client(wire[at : at + size])
    assert play.target_sees() == wire
    play.target(b"answer")
    assert play.client_gets() == b"answer"
    # the time for it to begin is over, and it has begun
    play.machine.alarm()
    assert not play.closed
    play.machine.target_gone()
    events = play.recorded()
    assert notes(events, "passthrough") == [
        {
            "note": "passthrough",
            "host": "api.example:443",
            "server_name": "api.example",
            "tls": "1.3",
            "alpn": "h2, http/1.1",
        }
    ]
    (ended,) = notes(events, "passthrough-ended")
    assert (ended["to_target"], ended["to_client"]) == (len(wire), len(ESTABLISHED) + 6)
    assert ended["milliseconds"] >= 0
    assert finish(events) == ("ok", None)
    assert "answer" not in str(events)


REFUSED = {
    "another host": (
        real("other.example", []),
        "the client began TLS for other.example, in a tunnel to api.example",
    ),
    "no host": (real(None, []), "the client began TLS without a server name, in a tunnel to api.example"),
    "no TLS": (b"SSH-2.0-x\r\n", "the client did not begin TLS: what it sends is no TLS"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_anything_else_gets_nowhere(what: str) -> None:
    wire, why = REFUSED[what]
    play = tunnel()
    play.client(wire)
    assert play.closed
    assert play.target_sees() == b""
    assert play.client_gets() == (b"" if what == "no TLS" else UNRECOGNIZED_NAME)
    assert finish(play.recorded()) == ("denied", {"code": "403", "message": why})


def test_an_address_has_no_name() -> None:
    play = tunnel("192.0.2.1")
    nameless = real(None, [])
    play.client(nameless)
    assert play.target_sees() == nameless
    play = tunnel("192.0.2.1")
    play.client(REAL)
    assert play.closed
    assert play.target_sees() == b""


def test_a_target_that_speaks_first_and_a_client_that_never_does() -> None:
    play = tunnel()
    play.target(b"220 mail.example\r\n")
    assert play.closed
    assert play.client_gets() == b""
    play = tunnel()
    play.client(REAL[:20])
    play.machine.alarm()
    assert play.closed
    assert play.target_sees() == b""
    assert finish(play.recorded())[1]["message"] == "the client did not begin TLS in time"
