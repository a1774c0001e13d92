"""A WebSocket through the gateway: messages judged, masked and recorded, and every way in which it ends."""

import base64
import struct
from dataclasses import replace
from typing import Any

import pytest

from bodycam.model.event import Event, Kind
from bodycam.model.media import Media
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Verdict
from bodycam.protocols.http.frames import Code as Close
from bodycam.protocols.http.frames import Opcode, closing, frame
from bodycam.protocols.http.transcript import HttpReader
from tests.playbook.http_play import DIAL, in_pieces, notes, opened, request, response
from tests.playbook.play import GRANT, Judging, Play

KEY = b"\x01\x02\x03\x04"
ASKED = request(
    "GET /t/web/chat?room=1", "Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
)  # fmt: skip
SWITCHED = response(
    "101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=", "Transfer-Encoding: none",
).replace(b"Transfer-Encoding: none\r\n", b"")  # fmt: skip


def text(said: str, key: bytes = KEY) -> bytes:
    return frame(Opcode.TEXT, said.encode(), key)


def upgraded(behind: bytes = b"", **more: Any) -> Play:
    play = opened(ASKED, **more)
    play.target(SWITCHED + behind)
    return play


def talking(**more: Any) -> Play:
    """A WebSocket that stands; what led there is already taken."""
    play = upgraded(**more)
    play.client_gets(), play.target_sees(), play.recorded()
    return play


def operations(play: Play) -> list[tuple[str, str, Any]]:
    return [(body[0], body[1], body[5]) for kind, _, body in play.recorded() if kind is Kind.REQUEST]


def outcomes(events: list[tuple[Kind, int, Any]]) -> list[tuple[int, str, str | None, Any]]:
    return [(at, body[0], body[4], body[5]) for kind, at, body in events if kind is Kind.FINISH]


NAMES = ("verb", "what", "stream", "outcome", "text", "detail")


def told(play: Play) -> list[str]:
    """What a person reads behind the answer's head."""
    reader = HttpReader()
    found = []
    for kind, exchange, body in play.journal.entries:
        for entry in reader.feed(Event(kind, 0, exchange, body)):
            found.append(
                " ".join([str(getattr(entry.body, name)) for name in NAMES if hasattr(entry.body, name)])
            )
    return found[4:]


def test_no_extension_is_offered_and_messages_go_both_ways() -> None:
    play = opened(ASKED)
    assert b"xtensions" not in play.target_sees()
    # a client may not send before it has the answer; who does so is heard in order
    play.client(text("early"))
    assert play.target_sees() == b""
    play.target(SWITCHED + frame(Opcode.TEXT, b"welcome"))
    assert play.client_gets() == SWITCHED + frame(Opcode.TEXT, b"welcome")
    assert play.target_sees() == text("early")
    for piece in in_pieces(text("hello") + frame(Opcode.PING, b"?", KEY), 3):
        play.client(piece)
    assert play.target_sees() == text("hello") + frame(Opcode.PING, b"?", KEY)
    play.target(frame(Opcode.PONG, b"?") + b"\x01\x02an" + b"\x80\x02sw")
    # it goes on as it came
    assert play.client_gets() == frame(Opcode.PONG, b"?") + b"\x01\x02an" + b"\x80\x02sw"
    play.client(frame(Opcode.CLOSE, struct.pack("!H", 1000) + b"done", KEY))
    play.target(frame(Opcode.CLOSE, struct.pack("!H", 1000)))
    play.machine.target_gone()
    assert play.closed
    assert told(play) == [
        "websocket received welcome",
        "message early",
        "ok",
        "message hello",
        "ok",
        "websocket ping sent ?",
        "websocket pong received ?",
        "websocket received answ",
        "websocket close sent 1000 done",
        "websocket-close by=client, code=1000",
        "websocket close received 1000 ",
        "websocket-close by=target, code=1000",
        "ok",
        "closed ended",
    ]


def test_each_message_of_the_client_is_an_operation_with_the_facts_of_the_opening() -> None:
    seen: list[Operation] = []

    def said(operation: Operation) -> Verdict:
        seen.append(operation)
        return Verdict(Decision.ALLOW, "access", GRANT.policy)

    play = talking(policy=Judging(said))
    play.client(
        text('{"do": "it"}'),
        frame(Opcode.BINARY, b"also text", KEY),
        frame(Opcode.BINARY, b"\x00\xff drop", KEY),
    )
    assert [(one.verb, one.text, one.facts["http.path"]) for one in seen[1:]] == [
        ("message", '{"do": "it"}', "/chat"),
        ("message", "also text", "/chat"),
        ("message", "\x00\xff drop", "/chat"),
    ]
    events = play.recorded()
    assert [[*body[:2], body[3]] for kind, _, body in events if kind is Kind.REQUEST] == [
        ["message", '{"do": "it"}', {"http.host": "api.example", "http.path": "/chat", "opcode": "text"}],
        ["message", "also text", {"http.host": "api.example", "http.path": "/chat", "opcode": "binary"}],
        ["message", "", {"http.host": "api.example", "http.path": "/chat", "opcode": "binary"}],
    ]
    # what is no text is there by its size and hash
    (left_out,) = notes(events, "truncated")
    assert left_out["what"].startswith(
        "0 of a body's 7 bytes of application/octet-stream are recorded; SHA-256"
    )
    assert [finish[:3] for finish in outcomes(events)] == [(2, "ok", None), (3, "ok", None), (4, "ok", None)]


def refusing(operation: Operation) -> Verdict:
    if operation.verb == "message" and "drop" in operation.text:
        return Verdict(Decision.DENY, "no-drops", GRANT.policy, "nothing is dropped here", "Ask for less.")
    return Verdict(Decision.ALLOW, "access", GRANT.policy)


def test_a_message_that_a_rule_denies_goes_nowhere_and_ends_the_connection() -> None:
    play = talking(policy=Judging(refusing))
    play.client(text("list") + text("drop it") + text("list"))
    seen = play.target_sees()
    assert seen.startswith(text("list"))
    close = frame(Opcode.CLOSE, closing(Close.POLICY, "denied by rule no-drops: nothing is dropped here"))
    assert play.client_gets() == close
    assert b"drop it" not in seen
    assert len(seen) == len(text("list")) + len(close) + 4
    assert play.closed
    events = play.recorded()
    assert outcomes(events)[1][:2] == (3, "denied")
    assert notes(events, "websocket-close") == [{"note": "websocket-close", "by": "gateway", "code": 1008}]


BAD = {
    "not masked": (frame(Opcode.TEXT, b"a"), b"", 1002),
    "reserved bit": (b"\xc1\x80" + KEY, b"", 1002),
    "no UTF-8": (frame(Opcode.TEXT, b"\xff", KEY), b"", 1007),
    "too long": (b"\x81\xff" + struct.pack("!Q", 1 << 30), b"", 1009),
    "masked by the target": (b"", frame(Opcode.TEXT, b"a", KEY), 1002),
    "compressed by the target": (b"", b"\xc1\x01a", 1002),
}


@pytest.mark.parametrize("what", BAD)
def test_who_breaks_the_protocol_is_named_and_both_are_told(what: str) -> None:
    from_client, from_target, code = BAD[what]
    play = talking()
    if from_client:
        play.client(from_client)
    if from_target:
        play.target(from_target)
    assert play.closed
    assert play.client_gets()[2:4] == struct.pack("!H", code)
    assert play.target_sees()[:1] == b"\x88"
    events = play.recorded()
    (finish,) = outcomes(events)
    assert finish[1] == "error"
    assert finish[3]["code"] == str(code)
    assert ("the client broke" if from_client else "the target broke") in finish[3]["message"]
    assert events[-1][2]["outcome"] == "broken"


class Shouts:
    """Masks for text: a key is replaced for both, a name for the record alone."""

    keeps_bodies, body_size, paths = True, 1000, ()

    def __init__(self) -> None:
        self.may_change, self.changed, self.held, self.unread = True, False, 0, ""

    def body(self, media: Media) -> "Shouts | None":
        return self if media.name == "text/plain" else None

    def whole(self, content: bytes) -> tuple[bytes, bytes]:
        shown = content.replace(b"sk-12345", b"[bodycam:key]")
        return (shown if shown != content else content), shown.replace(b"Mary", b"[bodycam:name]")

    def sightings(self) -> list[Any]:
        return []

    sent, keeps_rows, keeps_parameters, by_name = sightings, True, True, False

    def open(self, *_: Any) -> "Shouts":
        return self


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_what_the_target_says_is_masked_in_whole_messages_and_framed_anew(size: int) -> None:
    play = talking(masking=Shouts())
    wire = b"\x01\x10the key of Mary:" + b"\x80\x09 sk-12345" + frame(Opcode.TEXT, b"Mary")
    wire += frame(Opcode.BINARY, b"in bytes: sk-12345") + frame(Opcode.BINARY, b"\xffsk-12345")
    for piece in in_pieces(wire, size):
        play.target(piece)
    assert play.client_gets() == (
        frame(Opcode.TEXT, b"the key of Mary: [bodycam:key]")
        + frame(Opcode.TEXT, b"Mary")
        # an opcode is no way round a mask
        + frame(Opcode.BINARY, b"in bytes: [bodycam:key]")
        + frame(Opcode.BINARY, b"\xffsk-12345")
    )
    kept = b"".join(body[2] for kind, _, body in play.recorded() if kind is Kind.TO_CLIENT)
    assert kept == (
        frame(Opcode.TEXT, b"the key of [bodycam:name]: [bodycam:key]")
        + frame(Opcode.TEXT, b"[bodycam:name]")
        + frame(Opcode.BINARY, b"in bytes: [bodycam:key]")
        + frame(Opcode.BINARY, b"")
    )


def test_the_gateways_own_credential_is_covered_in_every_kind_of_message() -> None:
    own = "sk-0815-own-key"
    play = opened(ASKED, replace(DIAL, headers={"X-Api-Key": own}))
    play.target(SWITCHED)
    play.client_gets(), play.recorded()
    said = f"you are {own}".encode()
    play.target(
        frame(Opcode.TEXT, said), frame(Opcode.BINARY, b"\xff" + said), frame(Opcode.PING, said),
        b"\x01\x0cyou are sk-0" + piece_of(said[12:]), frame(Opcode.CLOSE, b"\x03\xe8" + said),
    )  # fmt: skip
    covered = said.replace(own.encode(), b"*" * len(own))
    assert play.client_gets() == b"".join(
        (frame(Opcode.TEXT, covered), frame(Opcode.BINARY, b"\xff" + covered), frame(Opcode.PING, covered),
         frame(Opcode.TEXT, covered), frame(Opcode.CLOSE, b"\x03\xe8" + covered))
    )  # fmt: skip
    events = play.recorded()
    assert own not in str(events)
    assert notes(events, "masked") == [{"note": "masked", "detector": "gateway.credential", "count": 1}]


def piece_of(rest: bytes) -> bytes:
    """The last piece of a message."""
    return b"\x80" + frame(Opcode.TEXT, rest)[1:]


def test_a_protocol_that_nobody_asked_for_is_refused() -> None:
    play = opened(request("GET /t/web/x"))
    play.target(SWITCHED)
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")
    play = opened(ASKED)
    play.target(
        SWITCHED.replace(b"Sec-WebSocket-Accept", b"Sec-WebSocket-Extensions: permessage-deflate\r\nX-A")
    )
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")
    play = opened(ASKED)
    play.target(SWITCHED.replace(b"Upgrade: websocket", b"Upgrade: h2c"))
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")


def test_a_target_that_does_not_want_to_is_an_answer_like_any_other() -> None:
    play = opened(ASKED)
    play.target(response("403 Forbidden", body=b"no"))
    assert play.client_gets().endswith(b"\r\n\r\nno")
    assert not play.closed


def test_a_session_that_is_cut_tells_both_and_one_that_is_lost_says_so() -> None:
    play = talking()
    play.machine.cut("the run was revoked")
    assert play.client_gets() == frame(Opcode.CLOSE, closing(Close.GOING_AWAY, "the run was revoked"))
    assert play.target_sees()[:1] == b"\x88"
    play = talking()
    play.machine.client_gone()
    assert notes(play.recorded(), "websocket-close") == [
        {"note": "websocket-close", "by": "nobody", "code": 1006}
    ]


def test_a_client_that_was_held_is_read_again_once_the_socket_stands() -> None:
    play = opened(ASKED)
    play.client(frame(Opcode.BINARY, bytes(300_000), KEY))
    assert play.held
    play.target(SWITCHED)
    assert not play.held
    assert len(play.target_sees()) > 300_000
