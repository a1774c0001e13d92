"""A target that leaves under load: what it did nothing of is asked again, and what it may have done is not."""

from dataclasses import replace
from functools import partial

import pytest
from h2.settings import SettingCodes

from bodycam.model.event import Flavor, Kind
from bodycam.protocols.http import door, machine
from bodycam.protocols.http.h2 import far_side, relay, sending, watch
from bodycam.session.link import AskDial, DialDone, DialFailed
from tests.playbook.http2_play import DIAL, OVER_H2, Peer, Tunnel
from tests.playbook.http_play import notes
from tests.playbook.test_http2_hostile import Clock

AGAIN = AskDial(replace(DIAL, alpn=("h2", "http/1.1")))
CLOSED = "the target closed the connection"


def leaves(tunnel: Tunnel, last: int, code: int = 0) -> None:
    """The target says that it answers no stream above that."""
    tunnel.target(b"\0\0\x08\x07\0\0\0\0\0" + last.to_bytes(4, "big") + code.to_bytes(4, "big"))
    tunnel.go()


def another(tunnel: Tunnel) -> None:
    """The gateway has asked for another connection, and gets it."""
    assert tunnel.needs == [AGAIN]
    tunnel.far = Peer(client=False)
    tunnel.answer(OVER_H2)
    tunnel.far.connection.initiate_connection()
    tunnel.go()


def test_what_a_leaving_target_did_nothing_of_is_asked_on_another_connection() -> None:
    tunnel = Tunnel().agreed()
    first, second = tunnel.asks("/first"), tunnel.asks("/second", "POST", body=b"its body")
    leaves(tunnel, tunnel.asked()["/first"])
    # what comes now waits as well, and nothing is dialled before what is under way has ended
    third = tunnel.asks("/third")
    assert tunnel.needs == []
    tunnel.answers(tunnel.asked()["/first"], b"to its end")
    assert tunnel.near.content(first) == b"to its end"
    another(tunnel)
    assert list(tunnel.asked()) == ["/second", "/third"]
    for path, stream in (("/second", second), ("/third", third)):
        far = tunnel.asked()[path]
        assert tunnel.far.content(far) == (b"its body" if path == "/second" else b"")
        tunnel.answers(far, path.encode())
        assert tunnel.near.content(stream) == path.encode()
    assert tunnel.near.left is None
    assert not tunnel.closed
    events = tunnel.recorded()
    assert [one["reason"] for one in notes(events, "sent-again")] == [CLOSED]
    assert [one["reason"] for one in notes(events, "reconnected")] == [CLOSED]
    # both heads went, and the body is on the record once
    second_sent = [body for kind, number, body in events if kind is Kind.TO_TARGET and number == 3]
    assert [body[0] for body in second_sent].count(Flavor.HEAD) == 2
    assert b"".join(body[2] for body in second_sent if body[0] != Flavor.HEAD) == b"its body"
    assert [body[0] for kind, _, body in events if kind is Kind.FINISH] == ["ok"] * 3


def test_a_connection_that_the_target_closed_at_rest_is_made_anew_for_the_next_request() -> None:
    tunnel = Tunnel().agreed()
    tunnel.asks("/one")
    tunnel.answers(tunnel.asked()["/one"], b"1")
    leaves(tunnel, tunnel.asked()["/one"])
    tunnel.machine.target_gone()
    assert (tunnel.needs, tunnel.closed) == ([], False)
    near = tunnel.asks("/two")
    another(tunnel)
    tunnel.answers(tunnel.asked()["/two"], b"2")
    assert tunnel.near.content(near) == b"2"


def test_what_crossed_the_end_of_a_connection_is_asked_again_if_that_does_no_harm() -> None:
    tunnel = Tunnel().agreed()
    tunnel.asks("/warm")
    tunnel.answers(tunnel.asked()["/warm"], b"")
    read, write = tunnel.asks("/read"), tunnel.asks("/write", "POST", body=b"x")
    tunnel.machine.target_gone()
    tunnel.near.hears(tunnel.client_gets())
    # of what may have been done twice, nobody can tell
    assert tunnel.near.head(write)[":status"] == "502"
    another(tunnel)
    tunnel.answers(tunnel.asked()["/read"], b"it")
    assert tunnel.near.content(read) == b"it"
    assert list(tunnel.asked()) == ["/read"]


def test_a_connection_that_never_served_anything_is_not_blamed_on_its_age() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/read")
    tunnel.machine.target_gone()
    tunnel.near.hears(tunnel.client_gets())
    assert tunnel.near.head(near)[":status"] == "502"
    assert tunnel.needs == []


def test_what_has_begun_to_be_answered_is_never_asked_again() -> None:
    tunnel = Tunnel().agreed()
    begun, waits = tunnel.asks("/begun"), tunnel.asks("/asked-for")
    tunnel.answers(tunnel.asked()["/begun"], b"half", ends=False)
    tunnel.machine.target_gone()
    tunnel.near.hears(tunnel.client_gets())
    assert tunnel.near.reset(begun) == 2
    assert [one[1:3] for one in tunnel.finished()] == [("error", "200")]
    # whoever waits for a person goes on waiting
    assert tunnel.near.reset(waits) is None
    assert not tunnel.closed


def test_a_long_body_is_not_kept_to_be_sent_again_and_the_client_is_told_why() -> None:
    tunnel = Tunnel().agreed()
    first = tunnel.asks("/first")
    long = tunnel.asks("/long", "POST", body=b"", ends=False)
    for _ in range(sending.AGAIN_MOST // 16384 + 1):
        tunnel.near.connection.send_data(long, bytes(16384))
        tunnel.go()
    leaves(tunnel, tunnel.asked()["/first"])
    assert tunnel.near.head(long)[":status"] == "503"
    assert b"too much of this request had gone to it to send it again" in tunnel.near.content(long)
    tunnel.answers(tunnel.asked()["/first"], b"ok")
    assert tunnel.near.content(first) == b"ok"
    assert tunnel.needs == []
    assert [one[1:3] for one in tunnel.finished()] == [("error", "503"), ("ok", "200")]


def test_a_body_that_is_half_there_goes_on_where_it_was_sent_again() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/up", "POST", body=b"first half, ", ends=False)
    leaves(tunnel, 0)
    another(tunnel)
    tunnel.near.connection.send_data(near, b"second half", end_stream=True)
    tunnel.go()
    assert tunnel.far.content(tunnel.asked()["/up"]) == b"first half, second half"


def test_what_is_refused_for_its_number_is_asked_again_a_few_times() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/refused")
    for turn in range(sending.TRIES_MOST):
        assert tunnel.near.reset(near) is None
        tunnel.far.connection.reset_stream(1 + 2 * turn, 7)
        tunnel.go()
    # by then the client may decide for itself: it knows that nothing was done
    assert tunnel.near.reset(near) == 7
    assert tunnel.finished() == [
        (2, "error", None, {"code": "502", "message": "the target ended the stream: REFUSED_STREAM"})
    ]


def test_a_target_that_takes_nothing_on_any_connection_is_given_up() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/one")
    for _ in range(far_side.FRUITLESS_MOST):
        leaves(tunnel, 0, 11)
        another(tunnel)
    leaves(tunnel, 0, 11)
    assert tunnel.needs == []
    assert tunnel.near.head(near)[":status"] == "503"
    assert b"came to nothing: the target closed the connection: ENHANCE_YOUR_CALM" in tunnel.near.content(
        near
    )


def test_a_target_that_takes_five_at_a_time_gets_them_all() -> None:
    tunnel = Tunnel().agreed(settings={SettingCodes.MAX_CONCURRENT_STREAMS: 20})
    near = [tunnel.asks(f"/{number}") for number in range(40)]
    while True:
        asked = list(tunnel.asked().items())
        leaves(tunnel, asked[min(4, len(asked) - 1)][1])
        for path, far in asked[:5]:
            tunnel.answers(far, path.encode())
        if not tunnel.needs:
            break
        another(tunnel)
    assert [tunnel.near.content(stream) for stream in near] == [b"/%d" % number for number in range(40)]


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (DialFailed("nobody there"), "502"),
        (DialFailed("not there any more", refused=True), "403"),
        (DialDone(secure=True, alpn="http/1.1"), "502"),
    ],
    ids=["gone", "refused", "another version"],
)
def test_a_target_that_is_not_there_any_more_is_said_so(said: DialDone | DialFailed, status: str) -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/one")
    leaves(tunnel, 0)
    tunnel.answer(said)
    tunnel.go()
    assert tunnel.near.head(near)[":status"] == status
    assert not tunnel.closed
    # the next request tries again
    tunnel.asks("/two")
    another(tunnel)
    assert list(tunnel.asked()) == ["/two"]


def test_what_waits_behind_a_long_answer_does_so_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(machine, "Relay", partial(relay.Relay, clock=clock))
    tunnel = Tunnel().agreed()
    long = tunnel.asks("/events")
    far = tunnel.asked()["/events"]
    tunnel.answers(far, b"one, ", ends=False)
    leaves(tunnel, far)
    assert tunnel.rings is None
    waits = tunnel.asks("/next")
    assert tunnel.rings == watch.LINGER_SECONDS
    clock.now += watch.LINGER_SECONDS
    tunnel.machine.alarm()
    tunnel.go()
    assert tunnel.near.head(waits)[":status"] == "503"
    assert b"what it has begun has not ended within 10 s" in tunnel.near.content(waits)
    # the client may go on elsewhere, and what it has begun here goes on here
    tunnel.near.connection.get_next_available_stream_id()
    tunnel.far.connection.send_data(far, b"two", end_stream=True)
    tunnel.go()
    assert tunnel.near.content(long) == b"one, two"
    assert tunnel.end() == ("ended", CLOSED)


def test_a_client_that_gives_up_what_is_about_to_be_sent_again_is_not_asked_for() -> None:
    tunnel = Tunnel().agreed()
    near = tunnel.asks("/one")
    leaves(tunnel, 0)
    tunnel.near.connection.reset_stream(near, 8)
    tunnel.go()
    another(tunnel)
    assert tunnel.asked() == {}
    assert [one[1] for one in tunnel.finished()] == ["cancelled"]


def test_a_client_is_told_to_connect_anew_once_the_gateways_token_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(machine, "Door", partial(door.Door, clock=clock))
    tunnel = Tunnel().agreed(replace(DIAL, headers={"Authorization": "Bearer of-ours-0815"}, lasts=60.0))
    tunnel.asks("/one")
    tunnel.answers(tunnel.asked()["/one"], b"1")
    clock.now += 60
    near = tunnel.asks("/two")
    assert tunnel.near.left is None
    # another one at the same time would be one too many
    late = tunnel.asks("/three")
    assert (tunnel.near.reset(late), tunnel.near.left) == (7, (late, 0))
    tunnel.answers(tunnel.asked()["/two"], b"2")
    assert tunnel.near.content(near) == b"2"
    assert tunnel.end() == ("ended", relay.RENEWED)
