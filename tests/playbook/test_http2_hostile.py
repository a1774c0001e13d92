"""Clients and targets that break HTTP/2, or do what nobody has to bear: told so, recorded, and in bounded memory."""

from collections.abc import Callable
from functools import partial

import pytest
from h2.connection import H2Connection
from h2.events import ResponseReceived
from h2.settings import SettingCodes

from bodycam.model.event import Kind
from bodycam.protocols.http import machine
from bodycam.protocols.http.h2 import endpoint, kept, relay, watch
from bodycam.protocols.http.pace import LEAST
from bodycam.session.link import Upgraded
from tests.playbook.http2_play import HOST, OVER_H2, Tunnel
from tests.playbook.http_play import data

Hostile = Callable[[Tunnel], bytes | None]
PROTOCOL, FLOW, SIZE, COMPRESSION, CALM = 1, 3, 6, 9, 11
GET = [(":method", "GET"), (":scheme", "https"), (":authority", HOST), (":path", "/")]


def frame(kind: int, flags: int, stream: int, content: bytes = b"") -> bytes:
    return len(content).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + content


def rapid_reset(tunnel: Tunnel) -> None:
    near: H2Connection = tunnel.near.connection
    for _ in range(2 * relay.RESETS_MOST):
        stream = near.get_next_available_stream_id()
        near.send_headers(stream, GET, end_stream=True)
        near.reset_stream(stream)


def endless_head(tunnel: Tunnel) -> bytes:
    return frame(1, 0, 1, b"\x82") + frame(9, 0, 1, b"\x82") * 500


def long_head(tunnel: Tunnel) -> bytes:
    return frame(1, 0, 1, b"\x82") + frame(9, 0, 1, b"\x82" * 16384) * 20


def bomb(tunnel: Tunnel) -> None:
    """A few bytes that unfold: one large field in the table, named again and again (CVE-2016-6581)."""
    stream = tunnel.near.connection.get_next_available_stream_id()
    tunnel.near.connection.send_headers(stream, [*GET, *[("x-bomb", "b" * 3000)] * 100], end_stream=True)


def crowd(tunnel: Tunnel) -> None:
    near: H2Connection = tunnel.near.connection
    near.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 1000
    near.remote_settings.acknowledge()
    for _ in range(endpoint.STREAMS_MOST + 1):
        near.send_headers(near.get_next_available_stream_id(), GET, end_stream=True)


def too_much(tunnel: Tunnel) -> bytes:
    head = tunnel.near.connection.encoder.encode([*GET[1:], (":method", "POST")])
    # the target takes nothing: what is sent beyond the window was never allowed
    tunnel.far.hungry = False
    return frame(1, 4, 1, head) + frame(0, 0, 1, bytes(16384)) * 40


def empty_data(tunnel: Tunnel) -> bytes:
    return frame(1, 4, 1, tunnel.near.connection.encoder.encode(GET)) + frame(0, 0, 1) * 4000


def window(tunnel: Tunnel) -> bytes:
    return frame(8, 0, 0, b"\x7f\xff\xff\xff") * 2


HOSTILE: dict[str, tuple[Hostile, int, str]] = {
    "rapid reset": (rapid_reset, CALM, "too many streams given up"),
    "a head without end": (endless_head, PROTOCOL, "Too many continuation frames received."),
    "a head of 300 KiB": (long_head, CALM, "a compressed head of more than 256 KiB"),
    "another frame in a head": (lambda _: frame(1, 0, 1, b"\x82") + frame(6, 0, 0, bytes(8)), PROTOCOL,
                                "another frame within a head"),
    "a header bomb": (bomb, CALM, "Oversized header block"),
    "no compressed head": (lambda _: frame(1, 5, 1, b"\xff\xff\xff\xff\xff"), COMPRESSION, "Error decoding"),
    "a flood of pings": (lambda _: frame(6, 0, 0, bytes(8)) * 4000, CALM, "too many frames that move nothing"),
    "a flood of settings": (lambda _: frame(4, 0, 0) * 4000, CALM, "too many frames that move nothing"),
    "a flood of priorities": (lambda _: frame(2, 0, 1, bytes(5)) * 4000, CALM, "too many frames"),
    "a flood of unknown frames": (lambda _: frame(77, 0, 0) * 4000, CALM, "too many frames that move nothing"),
    "empty data": (empty_data, CALM, "too many frames that move nothing"),
    "too many streams": (crowd, PROTOCOL, "Max inbound streams is 100"),
    "a frame of 16 MiB": (lambda _: b"\xff\xff\xff\0\0\0\0\0\1", SIZE, "a frame of 16777215 bytes"),
    "more than the window": (too_much, FLOW, "Flow control window shrunk below 0"),
    "a window without bounds": (window, FLOW, "May not increment flow control window"),
    "a push": (lambda _: frame(5, 4, 1, bytes(4)), PROTOCOL, "ProtocolError"),
    "a goaway that is none": (lambda _: frame(7, 0, 0, b"\0"), PROTOCOL, "a GOAWAY that is none"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_a_client_that_nobody_has_to_bear_is_told_to_leave_and_the_record_says_why(what: str) -> None:
    make, code, reason = HOSTILE[what]
    tunnel = Tunnel().agreed()
    said = make(tunnel) or tunnel.near.connection.data_to_send()
    for start in range(0, len(said), 65536):
        tunnel.client(said[start : start + 65536])
    got = tunnel.client_gets()
    end, why = tunnel.end()
    assert tunnel.closed
    assert end == "broken"
    assert why.startswith("the client broke the protocol: ")
    assert reason in why
    at = got.rfind(b"\x07\0\0\0\0\0")
    assert int.from_bytes(got[at + 10 : at + 14], "big") == code
    assert len(tunnel.target_sees()) < 128 * 1024
    assert len(got) < 128 * 1024


TARGETS: dict[str, tuple[Callable[[int], bytes], str]] = {
    "a flood of pings": (lambda _: frame(6, 0, 0, bytes(8)) * 4000, "too many frames that move nothing"),
    "a head without end": (
        lambda far: frame(1, 0, far, b"\x88") + frame(9, 0, far, b"\x88") * 500,
        "Too many",
    ),
    "a push": (lambda far: frame(5, 4, far, b"\0\0\0\2\x82"), "Received pushed stream"),
    "a stream of its own": (lambda _: frame(1, 5, 2, b"\x88"), "an answer that nobody asked for"),
    "a frame of 16 MiB": (lambda _: b"\xff\xff\xff\0\0\0\0\0\1", "a frame of 16777215 bytes"),
    "http/1.1": (lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n", "a frame of"),
}


@pytest.mark.parametrize("what", TARGETS)
def test_a_target_that_breaks_the_protocol_is_left_and_each_stream_has_an_end(what: str) -> None:
    make, reason = TARGETS[what]
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/")
    tunnel.target(make(tunnel.asked()["/"]))
    tunnel.near.hears(tunnel.client_gets())
    assert tunnel.near.head(near)[":status"] == "502"
    assert tunnel.near.left is not None
    end, why = tunnel.end()
    assert end == "broken"
    assert why.startswith("the target broke the protocol: ")
    assert reason in why
    assert [one[1:3] for one in tunnel.finished()] == [("error", "502")]


ANSWERS: dict[str, list[tuple[str, str]]] = {
    "no status": [("content-type", "text/plain")],
    "a status that is none": [(":status", "2000")],
    "switching protocols": [(":status", "101")],
    "connection": [(":status", "200"), ("connection", "close")],
    "transfer-encoding": [(":status", "200"), ("transfer-encoding", "chunked")],
    "a line feed": [(":status", "200"), ("x-a", "b\nc")],
    "an upper-case name": [(":status", "200"), ("X-A", "b")],
    "a request's field": [(":status", "200"), (":path", "/")],
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_none_is_a_502_on_its_stream_alone(what: str) -> None:
    tunnel = Tunnel().agreed()
    near, other = tunnel.asks("/"), tunnel.asks("/other")
    head = tunnel.far.connection.encoder.encode(ANSWERS[what])
    tunnel.target(frame(1, 4, tunnel.asked()["/"], head))
    tunnel.go()
    assert tunnel.near.head(near)[":status"] == "502"
    tunnel.answers(tunnel.asked()["/other"], b"fine")
    assert tunnel.near.content(other) == b"fine"


REQUESTS: dict[str, tuple[list[tuple[str, str]], str]] = {
    "another host": ([*GET[:2], (":authority", "evil.example"), GET[3]], "421"),
    "two hosts": ([*GET, ("host", "evil.example")], "400"),
    "no host": ([GET[0], GET[1], GET[3]], "400"),
    "another scheme": ([GET[0], (":scheme", "http"), *GET[2:]], "400"),
    "no path": (GET[:3], "400"),
    "an empty path": ([*GET[:3], (":path", "")], "400"),
    "a path that is a URL": ([*GET[:3], (":path", "https://evil.example/")], "400"),
    "a path with a blank": ([*GET[:3], (":path", "/ HTTP/1.1")], "400"),
    "a path with a fragment": ([*GET[:3], (":path", "/#a")], "400"),
    "a tunnel": ([(":method", "CONNECT"), (":authority", HOST)], "400"),
    "a method with a blank": ([(":method", "GET /x"), *GET[1:]], "400"),
    "a method in lower-case letters": ([(":method", "post"), *GET[1:]], "400"),
    "two paths": ([*GET, (":path", "/other")], "400"),
    "a status": ([*GET, (":status", "200")], "400"),
    "a pseudo-field behind others": ([*GET[:3], ("x-a", "b"), GET[3]], "400"),
    "an unknown pseudo-field": ([*GET, (":protocol", "websocket")], "400"),
    "an upper-case name": ([*GET, ("X-A", "b")], "400"),
    "a name with a colon": ([*GET, ("x:a", "b")], "400"),
    "a name with a line feed": ([*GET, ("x\r\nhost", "b")], "400"),
    "an empty name": ([*GET, ("", "b")], "400"),
    "a line feed": ([*GET, ("x-a", "b\r\nx-c: d")], "400"),
    "a NUL": ([*GET, ("x-a", "b\0")], "400"),
    "a blank before": ([*GET, ("x-a", " b")], "400"),
    "connection": ([*GET, ("connection", "close")], "400"),
    "transfer-encoding": ([*GET, ("transfer-encoding", "chunked")], "400"),
    "upgrade": ([*GET, ("upgrade", "h2c")], "400"),
    "proxy-connection": ([*GET, ("proxy-connection", "keep-alive")], "400"),
    "te": ([*GET, ("te", "trailers, deflate")], "400"),
    "a length's lookalike": ([*GET, ("content_length", "1")], "400"),
    "a length of nothing": ([*GET, ("content-length", "5")], "400"),
    "too many fields": ([*GET, *[("x-a", str(number)) for number in range(300)]], "431"),
    "a long field": ([*GET, ("x-a", "v" * 200_000)], "431"),
    "long fields that are few bytes on the wire": ([*GET, *[("x-a", "v" * 2000)] * 40], "431"),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_that_is_none_is_answered_on_its_stream_and_never_forwarded(what: str) -> None:
    fields, status = REQUESTS[what]
    tunnel = Tunnel().agreed()
    tunnel.near.connection.send_headers(1, fields, end_stream=True)
    tunnel.go()
    assert tunnel.near.head(1)[":status"] == status
    assert b"Nothing is forwarded that could be read in two ways." in tunnel.near.content(1)
    assert tunnel.asked() == {}
    assert data(tunnel.recorded(), Kind.TO_CLIENT).startswith(f"HTTP/2 {status}".encode())
    assert not tunnel.closed
    other = tunnel.asks("/other")
    tunnel.answers(tunnel.asked()["/other"], b"fine")
    assert tunnel.near.content(other) == b"fine"


def test_requests_that_are_none_wear_the_patience_out() -> None:
    tunnel = Tunnel().agreed()
    while not tunnel.closed:
        tunnel.asks("/", "GET", ("connection", "x"))
    assert tunnel.near.connection.highest_outbound_stream_id >= 2 * relay.RESETS_MOST
    assert tunnel.end() == ("broken", "the client broke the protocol: too many requests that are none")


def test_streams_that_end_well_let_others_be_given_up() -> None:
    tunnel = Tunnel().agreed()
    for turn in range(relay.RESETS_MOST + 50):
        stream = tunnel.asks(f"/{turn}")
        tunnel.answers(tunnel.far.connection.highest_inbound_stream_id, b"ok")
        assert tunnel.near.content(stream) == b"ok"
        tunnel.near.connection.reset_stream(tunnel.asks(f"/given-up/{turn}"), 8)
        tunnel.go()
    assert not tunnel.closed


def test_a_body_that_is_not_as_long_as_it_said_ends_the_connection() -> None:
    tunnel = Tunnel().agreed()
    tunnel.asks("/", "POST", ("content-length", "3"), body=b"four", ends=False)
    assert tunnel.end()[0] == "broken"
    assert tunnel.far.content(1) == b""


def test_a_trailer_says_nothing_that_only_a_head_may_say() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/", "POST", body=b"x", ends=False)
    tunnel.near.connection.send_headers(near, [("authorization", "Bearer late")], end_stream=True)
    tunnel.go()
    assert tunnel.near.head(near)[":status"] == "400"
    assert tunnel.far.reset(tunnel.asked()["/"]) == 1


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX"]
)
def test_a_client_begins_with_the_preface_that_it_agreed_on(said: bytes) -> None:
    tunnel = Tunnel().established()
    tunnel.answer(OVER_H2)
    tunnel.answer(Upgraded("h2"))
    tunnel.client(said)
    reason = "the client broke the protocol: it did not begin with HTTP/2's preface"
    assert tunnel.end() == ("broken", reason)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(machine, "Relay", partial(relay.Relay, clock=clock))
    return clock


def test_a_frame_has_to_come_to_its_end_in_time(clock: Clock) -> None:
    tunnel = Tunnel().agreed()
    tunnel.client(frame(1, 4, 1, b"\x82" * 100)[:50])
    for _ in range(2):
        assert tunnel.rings == watch.PART_SECONDS
        assert not tunnel.closed
        clock.now += watch.PART_SECONDS
        tunnel.machine.alarm()
    assert tunnel.end() == ("broken", "the client let a frame wait for longer than 30 s")


def test_a_client_that_takes_nothing_is_left_after_a_while(clock: Clock) -> None:
    tunnel = Tunnel().agreed()
    tunnel.near.hungry = False
    tunnel.asks("/slow")
    far = tunnel.asked()["/slow"]
    tunnel.far.connection.send_headers(far, [(":status", "200"), ("content-type", "image/png")])
    for _ in range(5):
        tunnel.far.connection.send_data(far, b"x" * 16384)
        tunnel.go()
    for _ in range(2):
        assert not tunnel.closed
        assert tunnel.rings == watch.STALL_SECONDS
        clock.now += watch.STALL_SECONDS
        tunnel.machine.alarm()
    assert tunnel.end() == ("broken", "the client took less than 1024 bytes in 300 s")


def test_a_body_has_to_get_on_in_time_and_the_other_streams_go_on(clock: Clock) -> None:
    tunnel = Tunnel().agreed()
    tunnel.asks("/slow", "POST", body=b"x", ends=False)
    steady = tunnel.asks("/steady", "POST", body=b"x", ends=False)
    slow = 1
    for turn in range(2):
        assert tunnel.rings == tunnel.message_seconds
        assert tunnel.near.of(ResponseReceived, slow) == []
        clock.now += tunnel.message_seconds
        tunnel.near.connection.send_data(slow, b"y")
        tunnel.near.connection.send_data(steady, b"y" * LEAST)
        tunnel.go()
        tunnel.machine.alarm()
        tunnel.go()
        assert turn or tunnel.near.of(ResponseReceived, slow) == []
    assert tunnel.near.head(slow)[":status"] == "408"
    assert b"less than 1024 bytes of the body came in 60 s" in tunnel.near.content(slow)
    assert tunnel.far.reset(tunnel.asked()["/slow"]) is not None
    assert tunnel.near.of(ResponseReceived, steady) == []
    tunnel.near.connection.end_stream(steady)
    tunnel.go()
    tunnel.answers(tunnel.asked()["/steady"], b"ok")
    assert tunnel.near.content(steady) == b"ok"
    assert [one[:3] for one in tunnel.finished()] == [(2, "error", "408"), (3, "ok", "200")]


@pytest.mark.parametrize(
    ("fields", "answered", "room"),
    [
        ((("content-type", "application/grpc"),), False, True),
        ((), True, True),
        # who may send nothing more is not late
        ((), False, False),
    ],
)
def test_a_body_that_need_not_come_by_now_is_waited_for(
    clock: Clock, fields: tuple[tuple[str, str], ...], answered: bool, room: bool
) -> None:
    tunnel = Tunnel().agreed()
    if not room:
        # the target gives no window, so that the client gets none either
        tunnel.far.hungry = False
    near = tunnel.asks("/calls", "POST", *fields, body=b"x", ends=False)
    if answered:
        tunnel.answers(tunnel.asked()["/calls"], b"begun", ends=False)
    while not room and (window := tunnel.near.connection.local_flow_control_window(near)):
        tunnel.near.connection.send_data(near, b"y" * min(window, 16384))
        tunnel.go()
    for _ in range(3):
        clock.now += tunnel.message_seconds
        tunnel.machine.alarm()
        tunnel.go()
    assert tunnel.near.reset(near) is None
    assert len(tunnel.near.of(ResponseReceived, near)) == answered
    assert not tunnel.closed


def test_a_client_that_takes_a_byte_now_and_then_is_left_as_well(clock: Clock) -> None:
    tunnel = Tunnel().agreed()
    tunnel.near.hungry = False
    near = tunnel.asks("/slow")
    far = tunnel.asked()["/slow"]
    tunnel.far.connection.send_headers(far, [(":status", "200"), ("content-type", "image/png")])
    for _ in range(5):
        tunnel.far.connection.send_data(far, b"x" * 16384)
        tunnel.go()
    for _ in range(2):
        assert not tunnel.closed
        clock.now += watch.STALL_SECONDS
        tunnel.near.connection.increment_flow_control_window(1, near)
        tunnel.near.connection.increment_flow_control_window(1)
        tunnel.go()
        tunnel.machine.alarm()
    assert tunnel.end() == ("broken", "the client took less than 1024 bytes in 300 s")


def test_what_waits_of_all_streams_together_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "KEPT_MOST", 200_000)
    tunnel = Tunnel().agreed()
    first, second = (tunnel.asks(f"/asked/{one}", "POST", ends=False) for one in "ab")
    for stream in (first, second) * 10:
        if tunnel.near.reset(stream) is None:
            tunnel.near.connection.send_data(stream, b"x" * 16384)
            tunnel.go()
    assert {tunnel.near.reset(stream) for stream in (first, second)} == {0, None}
    (gone,) = [stream for stream in (first, second) if tunnel.near.reset(stream) == 0]
    assert tunnel.near.head(gone)[":status"] == "503"
