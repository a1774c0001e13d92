"""Exchanges over HTTP/2 side by side: what the target sees, what the client gets, what is recorded."""

import ssl
import time
from dataclasses import replace
from typing import Any

import pytest
from h2.settings import SettingCodes

from bodycam.model.event import Kind
from bodycam.model.media import Content, Media
from bodycam.model.target import Dial, TlsMode
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.link import AskApproval, AskDial, AskUpgrade, DialDone, DialFailed, Upgraded
from tests.playbook.http2_play import DIAL, HOST, OVER_H2, Tunnel
from tests.playbook.http_play import data, notes


def test_a_request_and_its_answer_go_through_as_they_are_and_are_recorded_in_the_form_of_http_1() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/things?q=1", "POST", ("content-type", "text/plain"), ("authorization", "Bearer abc"),
                       ("te", "trailers"), body=b"hello")  # fmt: skip
    far = tunnel.asked()["/things?q=1"]
    assert tunnel.far.head(far) == {
        ":method": "POST", ":scheme": "https", ":authority": HOST, ":path": "/things?q=1",
        "content-type": "text/plain", "authorization": "Bearer abc", "te": "trailers",
    }  # fmt: skip
    assert tunnel.far.content(far) == b"hello"
    tunnel.answers(far, b"there", ("content-type", "text/plain"), ("alt-svc", 'h3=":443"'))
    assert tunnel.near.head(near) == {":status": "200", "content-type": "text/plain"}
    assert tunnel.near.content(near) == b"there"
    events = tunnel.recorded()
    assert [body[0:2] for kind, _, body in events if kind is Kind.REQUEST] == [
        ["POST", "https://api.example/things?q=1"]
    ]
    assert data(events, Kind.TO_TARGET) == (
        b"POST /things?q=1 HTTP/2\r\nHost: api.example\r\ncontent-type: text/plain\r\n"
        b"authorization: Bearer [redacted]\r\n\r\nhello"
    )
    assert data(events, Kind.TO_CLIENT).startswith(b"HTTP/2 200\r\ncontent-type: text/plain\r\n")
    assert [(body[0], body[4]) for kind, _, body in events if kind is Kind.FINISH] == [("ok", "200")]
    assert tunnel.policy.facts[-1]["http.version"] == "2"


def test_many_streams_are_under_way_at_once_and_end_in_any_order() -> None:
    tunnel = Tunnel().agreed()
    near = {path: tunnel.asks(path) for path in (f"/{number}" for number in range(100))}
    asked = tunnel.asked()
    assert len(asked) == 100
    for path in reversed(near):
        tunnel.answers(asked[path], path.encode())
    assert all(tunnel.near.content(stream) == path.encode() for path, stream in near.items())
    assert len(tunnel.finished()) == 100


def test_what_is_denied_is_answered_on_its_own_stream_and_never_reaches_the_target() -> None:
    tunnel = Tunnel().agreed()
    before = tunnel.asks("/before")
    denied = tunnel.asks("/denied", "POST", body=b"much", ends=False)
    grpc = tunnel.asks("/denied/call", "POST", ("content-type", "application/grpc"), body=b"\0")
    after = tunnel.asks("/after")
    assert set(tunnel.asked()) == {"/before", "/after"}
    assert tunnel.near.head(denied)[":status"] == "403"
    assert b"denied by rule no-secrets: not this" in tunnel.near.content(denied)
    assert tunnel.near.reset(denied) == 0  # the rest of its body is not wanted
    said = tunnel.near.head(grpc)
    assert said["grpc-status"] == "7"
    assert said["grpc-message"] == "denied by rule no-secrets: not this Ask for another."
    for path, stream in (("/after", after), ("/before", before)):
        tunnel.answers(tunnel.asked()[path], path.encode())
        assert tunnel.near.content(stream) == path.encode()
    assert sorted(one[1] for one in tunnel.finished()) == ["denied", "denied", "ok", "ok"]


def test_trailers_go_both_ways_and_a_grpc_status_is_the_exchanges_end() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/call", "POST", ("content-type", "application/grpc"), body=b"\0\0", ends=False)
    tunnel.near.connection.send_headers(near, [("x-checksum", "1234")], end_stream=True)
    tunnel.go()
    far = tunnel.asked()["/call"]
    assert tunnel.far.trailers(far) == {"x-checksum": "1234"}
    tunnel.answers(far, b"\0", ("content-type", "application/grpc"),
                   trailers=[("grpc-status", "5"), ("grpc-message", "no%20such thing")])  # fmt: skip
    assert tunnel.near.trailers(near) == {"grpc-status": "5", "grpc-message": "no%20such thing"}
    events = tunnel.recorded()
    assert [(one["way"], one["fields"]) for one in notes(events, "trailers")] == [
        ("sent", "x-checksum: 1234"),
        ("received", "grpc-status: 5\ngrpc-message: no%20such thing"),
    ]
    assert [body[0:1] + body[4:] for kind, _, body in events if kind is Kind.FINISH] == [
        ["error", "200", {"code": "grpc 5", "message": "no such thing"}]
    ]


def test_a_stream_both_ways_is_held_up_nowhere() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/talk", "POST", ("content-type", "application/grpc"), ends=False)
    far = tunnel.asked()["/talk"]
    tunnel.far.connection.send_headers(far, [(":status", "200"), ("content-type", "application/grpc")])
    for turn in range(5):
        tunnel.near.connection.send_data(near, b"ping %d" % turn)
        tunnel.go()
        assert tunnel.far.content(far).endswith(b"ping %d" % turn)
        tunnel.far.connection.send_data(far, b"pong %d" % turn)
        tunnel.go()
        assert tunnel.near.content(near).endswith(b"pong %d" % turn)


def test_people_decide_about_several_streams_at_once_in_any_order_while_others_go_on() -> None:
    tunnel = Tunnel().agreed()
    first, second = (tunnel.asks(f"/asked/{one}", "POST", body=b"x") for one in "ab")
    waiting = [need for need in tunnel.needs if isinstance(need, AskApproval)]
    numbers = [need.wanted.exchange for need in waiting]
    assert len(numbers) == 2
    tunnel.machine.waits(ApprovalSaid("apr_b", ApprovalState.PENDING, "https://gw/b", exchange=numbers[1]))
    other = tunnel.asks("/other")
    tunnel.answers(tunnel.asked()["/other"], b"meanwhile")
    assert tunnel.near.content(other) == b"meanwhile"
    tunnel.machine.answer(ApprovalSaid("apr_b", ApprovalState.APPROVED, by=("ann",), exchange=numbers[1]))
    tunnel.machine.answer(ApprovalSaid("apr_a", ApprovalState.DENIED, by=("bob",), exchange=numbers[0]))
    tunnel.go()
    assert set(tunnel.asked()) == {"/other", "/asked/b"}
    assert tunnel.near.head(first)[":status"] == "403"
    assert b"approval apr_a was denied by bob" in tunnel.near.content(first)
    tunnel.answers(tunnel.asked()["/asked/b"], b"done")
    assert tunnel.near.content(second) == b"done"
    kinds = [body["note"] for kind, _, body in tunnel.recorded() if kind is Kind.NOTE]
    assert kinds == ["approval-pending", "approval-approved", "approval-denied"]


def test_nobody_waits_any_more_for_an_approval_of_a_stream_that_was_given_up() -> None:
    tunnel = Tunnel().agreed()
    stream = tunnel.asks("/asked", "POST", body=b"x")
    (need,) = [need for need in tunnel.needs if isinstance(need, AskApproval)]
    tunnel.near.connection.reset_stream(stream, 8)
    tunnel.go()
    assert need.given_up()
    tunnel.machine.answer(ApprovalSaid("apr_a", ApprovalState.APPROVED, exchange=need.wanted.exchange))
    tunnel.go()
    assert tunnel.asked() == {}
    assert [one[1] for one in tunnel.finished()] == ["cancelled"]


def test_a_target_that_bears_fewer_streams_gets_the_others_later() -> None:
    tunnel = Tunnel().agreed(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2})
    near = [tunnel.asks(f"/{number}") for number in range(4)]
    assert set(tunnel.asked()) == {"/0", "/1"}
    tunnel.near.connection.reset_stream(near[0], 8)
    tunnel.go()
    assert set(tunnel.asked()) == {"/0", "/1", "/2"}
    assert tunnel.far.reset(tunnel.asked()["/0"]) == 8
    tunnel.answers(tunnel.asked()["/1"], b"one")
    assert set(tunnel.asked()) == {"/0", "/1", "/2", "/3"}


def test_a_stalled_stream_stalls_no_other_and_keeps_no_more_than_its_window() -> None:
    tunnel = Tunnel().agreed()
    tunnel.near.hungry = False
    slow = tunnel.asks("/slow")
    far = tunnel.asked()["/slow"]
    tunnel.far.connection.send_headers(far, [(":status", "200"), ("content-type", "image/png")])
    sent = 0
    while (room := min(tunnel.far.connection.local_flow_control_window(far), 16384)) > 0:
        tunnel.far.connection.send_data(far, b"x" * room)
        sent += room
        tunnel.go()
    assert len(tunnel.near.content(slow)) == 65535
    assert sent <= 65535 + 128 * 1024 + 64 * 1024
    assert tunnel.far.connection.outbound_flow_control_window >= 512 * 1024
    # the client's window for all of its streams is a window of its own
    tunnel.near.connection.increment_flow_control_window(1000)
    quick = tunnel.asks("/quick")
    tunnel.answers(tunnel.asked()["/quick"], b"q" * 500)
    assert tunnel.near.content(quick) == b"q" * 500
    tunnel.near.connection.increment_flow_control_window(10_000_000)
    tunnel.near.connection.increment_flow_control_window(10_000_000, slow)
    tunnel.go()
    assert len(tunnel.near.content(slow)) == sent


class Holds:
    """Masks for text that hold the end of it back, as long as nobody waits for too long."""

    keeps_bodies, body_size, paths = True, 1000, ()

    def __init__(self) -> None:
        self.may_change, self.changed, self.unread = True, False, ""
        self.late = b""

    @property
    def held(self) -> int:
        return len(self.late)

    def body(self, media: Media) -> "Holds | None":
        return Holds() if media.content is not Content.BINARY else None

    def feed(self, content: bytes) -> tuple[bytes, bytes]:
        shown, self.late = self.late + content[:-4], content[-4:]
        return self._masked(shown)

    def whole(self, content: bytes) -> tuple[bytes, bytes]:
        return self._masked(content)

    def release_held(self) -> tuple[bytes, bytes]:
        shown, self.late = self.late, b""
        return self._masked(shown)

    flush = release_held

    def _masked(self, content: bytes) -> tuple[bytes, bytes]:
        shown = content.replace(b"sk-1", b"[bodycam:key]")
        self.changed = self.changed or shown != content
        return (shown if shown != content else content), shown

    def sightings(self) -> list[Any]:
        return []

    sent, keeps_rows, keeps_parameters, by_name = sightings, True, True, False

    def open(self, *_: Any) -> "Holds":
        return self


def test_what_is_held_back_of_events_is_let_go_in_time() -> None:
    tunnel = Tunnel(masking=Holds()).agreed()
    near = tunnel.asks("/events")
    far = tunnel.asked()["/events"]
    tunnel.answers(far, b"data: one\n\n", ("content-type", "text/event-stream"), ends=False)
    assert tunnel.near.content(near) == b"data: o"
    assert tunnel.rings is not None
    assert tunnel.rings > 0
    time.sleep(tunnel.rings)
    tunnel.machine.alarm()
    tunnel.go()
    assert tunnel.near.content(near) == b"data: one\n\n"
    assert data(tunnel.recorded(), Kind.TO_CLIENT).endswith(b"data: one\n\n")


def test_a_short_answer_is_masked_and_gets_a_length_of_its_own() -> None:
    tunnel = Tunnel(masking=Holds()).agreed()
    near, plain = tunnel.asks("/key", "GET", ("accept-encoding", "br, gzip, weird")), tunnel.asks("/none")
    assert tunnel.far.head(tunnel.asked()["/key"])["accept-encoding"] == "br, gzip"
    for path, body in (("/key", b"key sk-1"), ("/none", b"nothing!")):
        tunnel.answers(tunnel.asked()[path], body, ("content-type", "text/plain"), ("content-length", "8"),
                       ("etag", "1"))  # fmt: skip
    head = tunnel.near.head(near)
    assert (head["content-length"], "etag" in head) == ("17", False)
    assert tunnel.near.content(near) == b"key [bodycam:key]"
    assert tunnel.near.head(plain) == {
        ":status": "200", "content-type": "text/plain", "content-length": "8", "etag": "1",
    }  # fmt: skip


def test_nothing_is_held_back_of_what_is_no_text() -> None:
    tunnel = Tunnel(masking=Holds()).agreed()
    near = tunnel.asks("/call", "POST", ("content-type", "application/grpc"), ends=False)
    tunnel.answers(tunnel.asked()["/call"], b"sk-1", ("content-type", "application/grpc"), ends=False)
    assert tunnel.near.content(near) == b"sk-1"
    assert b"sk-1" not in data(tunnel.recorded(), Kind.TO_CLIENT)


def test_a_client_that_gives_a_stream_up_gives_it_up_at_the_target_too() -> None:
    tunnel = Tunnel().agreed()
    near, other = tunnel.asks("/long"), tunnel.asks("/other")
    tunnel.near.connection.reset_stream(near, 8)
    tunnel.go()
    assert tunnel.far.reset(tunnel.asked()["/long"]) == 8
    assert tunnel.finished() == [(2, "cancelled", None, None)]
    tunnel.answers(tunnel.asked()["/other"], b"ok")
    assert tunnel.near.content(other) == b"ok"


def test_a_target_that_gives_a_stream_up_tells_the_client_so() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/refused")
    tunnel.far.connection.reset_stream(tunnel.asked()["/refused"], 8)
    tunnel.go()
    assert tunnel.near.reset(near) == 8
    assert tunnel.finished() == [
        (2, "error", None, {"code": "502", "message": "the target ended the stream: CANCEL"})
    ]


def test_an_answer_before_the_requests_end_is_an_answer() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/upload", "POST", body=b"some", ends=False)
    far = tunnel.asked()["/upload"]
    tunnel.answers(far, b"enough", status="413")
    tunnel.far.connection.reset_stream(far, 0)
    tunnel.go()
    assert (tunnel.near.head(near)[":status"], tunnel.near.content(near)) == ("413", b"enough")
    assert tunnel.near.reset(near) == 0
    assert [one[:3] for one in tunnel.finished()] == [(2, "error", "413")]


def test_a_session_that_is_cut_tells_who_has_no_answer_and_leaves() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/long")
    tunnel.machine.cut("revoked")
    tunnel.near.hears(tunnel.client_gets())
    assert tunnel.near.head(near)[":status"] == "503"
    assert b"the gateway ended this session: revoked" in tunnel.near.content(near)
    assert tunnel.near.left is not None
    assert tunnel.end() == ("cut", "revoked")
    assert tunnel.closed


def test_a_session_that_drains_ends_what_is_under_way_and_takes_nothing_new() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/long")
    tunnel.machine.drain("its credential is over")
    tunnel.go()
    new = tunnel.asks("/new")
    assert (tunnel.near.reset(new), tunnel.near.left) == (7, (new, 0))
    tunnel.answers(tunnel.asked()["/long"], b"done")
    assert tunnel.near.content(near) == b"done"
    assert tunnel.end() == ("cut", "its credential is over")


def test_a_client_of_http_1_gets_a_connection_to_the_target_that_speaks_it_too() -> None:
    tunnel = Tunnel().established()
    tunnel.answer(OVER_H2)
    tunnel.answer(Upgraded("http/1.1"))
    assert tunnel.dropped == 1
    tunnel.client(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
    assert tunnel.needs == [AskDial(DIAL)]
    tunnel.answer(DialDone(secure=True, alpn="http/1.1"))
    assert tunnel.target_sees() == b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n"


def test_a_target_of_http_1_is_offered_to_the_client_as_what_it_is() -> None:
    tunnel = Tunnel().established()
    tunnel.answer(DialDone(secure=True, alpn="http/1.1"))
    assert tunnel.needs == [AskUpgrade(HOST, ("http/1.1",))]
    tunnel.answer(Upgraded("http/1.1"))
    tunnel.client(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
    assert tunnel.target_sees() == b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n"


@pytest.mark.parametrize(("refused", "status"), [(True, b"403"), (False, b"502")])
def test_a_target_that_is_not_reached_is_said_so_in_tls(refused: bool, status: bytes) -> None:
    tunnel = Tunnel().established()
    tunnel.answer(DialFailed("the target can't be reached", refused=refused))
    assert tunnel.needs == [AskUpgrade(HOST, ("http/1.1",))]
    tunnel.answer(Upgraded("http/1.1"))
    tunnel.client(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
    got = tunnel.client_gets()
    assert got.startswith(b"HTTP/1.1 " + status)
    assert b"the target can't be reached" in got
    # the next request tries again
    tunnel.client(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
    assert tunnel.needs == [AskDial(DIAL)]


def test_the_gateways_own_credential_is_added_and_nobody_gets_to_see_it() -> None:
    secret = "sk-gateway-0815-secret"
    tunnel = Tunnel().agreed(Dial(HOST, 443, "", "", tls=TlsMode.VERIFY_FULL, headers={"X-Api-Key": secret}))
    near = tunnel.asks("/mirror")
    far = tunnel.asked()["/mirror"]
    assert tunnel.far.head(far)["x-api-key"] == secret
    tunnel.answers(far, f"you sent {secret}".encode(), ("content-type", "text/plain"), ("x-echo", secret),
                   trailers=[("x-again", secret)])  # fmt: skip
    shown: list[Any] = [tunnel.near.head(near), tunnel.near.content(near), tunnel.near.trailers(near)]
    assert secret not in str(shown)
    assert tunnel.near.content(near).startswith(b"you sent *")
    events = tunnel.recorded()
    assert secret not in str(events)
    assert [one["detector"] for one in notes(events, "masked")] == ["gateway.credential"]


def hello(*alpn: str) -> bytes:
    context, said = ssl.create_default_context(), ssl.MemoryBIO()
    context.set_alpn_protocols(list(alpn))
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), said, server_hostname=HOST).do_handshake()
    return said.read()


@pytest.mark.parametrize(
    "first",
    [hello("h2", "http/1.1"), hello("http/1.1")[:100], b"\x16 none"],
    ids=["offered", "cut off", "no hello"],
)
def test_a_client_that_may_speak_http_2_has_the_target_offered_it(first: bytes) -> None:
    tunnel = Tunnel().established(first=first)
    assert tunnel.needs == [AskDial(replace(DIAL, alpn=("h2", "http/1.1")))]


def test_a_client_that_is_known_to_speak_http_1_alone_costs_the_target_one_connection() -> None:
    tunnel = Tunnel().established(first=hello("http/1.1"))
    assert tunnel.needs == [AskDial(DIAL)]
    tunnel.answer(DialDone(secure=True, alpn="http/1.1"))
    assert tunnel.needs == [AskUpgrade(HOST, ("http/1.1",))]
