"""HTTP/2 at the gateway's own listener: targets by their names, one session after the other on one connection."""

import base64
import json
from dataclasses import replace

import pytest
from h2.events import ResponseReceived

from bodycam.model.event import Kind
from bodycam.model.target import Target
from bodycam.protocols.http.h2 import machine, relay, watch
from bodycam.session.grant import Refusal, RefusalCode
from bodycam.session.link import DialFailed
from tests.playbook.http2_named_play import DIAL, Clock, Named
from tests.playbook.http2_play import Fields
from tests.playbook.http_play import PROOF
from tests.playbook.play import CHALLENGE_CLEARTEXT, GRANT

OTHER = base64.b64encode(b"run_b:bcr_other").decode()
HTTP_1_1, REFUSED, CALM = 13, 7, 11


def test_a_target_of_http_2_is_asked_as_one_and_the_runs_credential_ends_here() -> None:
    play = Named()
    near = play.asks("/t/web/things?q=1", "POST", ("x-a", "b"), body=b"hello")
    play.admits()
    far = play.asked()["/things?q=1"]
    head = play.far.head(far)
    assert (head[":method"], head[":authority"], head[":scheme"]) == ("POST", "api.example", "https")
    assert (head["x-a"], "authorization" in head, play.far.content(far)) == ("b", False, b"hello")
    play.answers(far, b"done", trailers=[("x-sum", "1")])
    assert (play.near.content(near), play.near.trailers(near)) == (b"done", {"x-sum": "1"})
    assert [one[1:3] for one in play.finished()] == [("ok", "200")]
    assert PROOF.encode() not in str(play.journal.entries).encode()


def test_nothing_is_connected_to_before_it_is_allowed() -> None:
    play = Named()
    near = play.asks("/t/web/denied")
    play.answer(CHALLENGE_CLEARTEXT)
    play.answer(replace(GRANT, target=Target("web", "http"), database="", dial=DIAL))
    play.go()
    assert play.needs == []
    assert play.status(near) == "403"


def test_another_target_or_another_client_is_another_session_on_the_same_connection() -> None:
    play = Named()
    for path, proof in (("/t/web/1", PROOF), ("/t/web/2", PROOF), ("/t/api/3", PROOF), ("/t/api/4", OTHER)):
        near = play.asks(path, proof=proof)
        play.admits()
        play.answers(play.asked()[path[6:]], b"ok")
        assert play.near.content(near) == b"ok"
    assert play.targets == ["web", "api", "api"]
    closed = [body["outcome"] for kind, _, body in play.journal.entries if kind is Kind.CLOSED]
    assert closed == ["ended", "ended"]
    assert play.near.left is None


def test_requests_for_another_target_wait_for_those_under_way_and_then_go_together() -> None:
    play = Named()
    first = play.asks("/t/web/1")
    play.admits()
    others = [play.asks("/t/api/2", "POST", body=b"two"), play.asks("/t/web/3"), play.asks("/t/api/4")]
    given_up = play.asks("/t/api/5")
    play.near.connection.reset_stream(given_up, 8)
    play.go()
    assert list(play.asked()) == ["/1"]
    play.answers(play.asked()["/1"], b"1")
    assert play.near.content(first) == b"1"
    play.admits()
    assert play.far.content(play.asked()["/2"]) == b"two"
    assert list(play.asked()) == ["/2", "/4"]
    for path in ("/2", "/4"):
        play.answers(play.asked()[path], path.encode())
    play.admits()
    play.answers(play.asked()["/3"], b"/3")
    assert [play.near.content(one) for one in others] == [b"/2", b"/3", b"/4"]
    assert play.targets == ["web", "api", "web"]


def test_those_that_wait_too_long_are_told_to_ask_elsewhere_and_what_is_under_way_goes_on() -> None:
    clock = Clock()
    play = Named(clock)
    first = play.asks("/t/web/events")
    play.admits()
    other = play.asks("/t/api/2")
    assert play.rings == watch.LINGER_SECONDS
    clock.now += watch.LINGER_SECONDS
    play.machine.alarm()
    play.go()
    assert play.near.left == (first, 0)
    assert play.near.reset(other) == REFUSED
    assert play.near.reset(play.asks("/t/web/3")) == REFUSED
    play.answers(play.asked()["/events"], b"last")
    assert play.near.content(first) == b"last"
    assert play.closed
    assert play.near.left == (first, 0)
    assert play.end() == ("ended", machine.ANOTHER)


def test_who_brings_no_credential_is_told_so_on_the_stream_and_no_session_is_theirs() -> None:
    play = Named()
    near = play.asks(proof="")
    assert play.status(near) == "401"
    assert play.needs == []
    assert play.journal.entries == []
    # and asks again with one
    again = play.asks("/t/web/x")
    play.admits()
    play.answers(play.asked()["/x"], b"ok")
    assert play.near.content(again) == b"ok"


def test_a_refusal_of_somebody_unknown_and_of_somebody_known() -> None:
    play = Named()
    near = play.asks()
    play.answer(CHALLENGE_CLEARTEXT)
    play.answer(Refusal(RefusalCode.BAD_CREDENTIAL, "not good", "Use another."))
    play.go()
    assert (play.status(near), play.closed, play.journal.entries) == ("401", True, [])
    play = Named()
    near = play.asks("/t/web/x", "POST", body=b"x", ends=False)
    play.answer(CHALLENGE_CLEARTEXT)
    play.answer(
        Refusal(
            RefusalCode.NOT_ALLOWED,
            "may not",
            "Ask.",
            replace(GRANT, target=Target("web", "http"), dial=None),
        )
    )
    play.go()
    assert (play.status(near), play.closed) == ("403", True)
    assert [one[1:3] for one in play.finished()] == [("denied", "403")]
    assert play.end() == ("failed", "may not")


@pytest.mark.parametrize(
    "head",
    [
        [(":method", "CONNECT"), (":authority", "web.example:443")],
        [(":method", "GET"), (":scheme", "http"), (":authority", "web.example"), (":path", "/")],
    ],
)
def test_a_proxy_is_asked_over_http_1(head: Fields) -> None:
    play = Named()
    play.near.connection.send_headers(1, list(head), end_stream=True)
    play.go()
    assert play.near.reset(1) == HTTP_1_1
    assert not play.closed


def test_floods_before_any_session_have_a_bound_too() -> None:
    play = Named()
    for _ in range(2 * relay.RESETS_MOST):
        if play.closed:
            break
        play.asks(proof="")
    assert play.closed
    assert play.strangers == 1
    assert play.near.left is not None
    assert play.near.left[1] == 11


def test_what_is_no_request_is_refused_before_a_session_and_within_one() -> None:
    play = Named()
    near = play.asks("/t/no!name")
    assert play.status(near) == "404"
    assert (play.closed, play.strangers) == (True, 1)
    play = Named()
    first = play.asks("/t/web/1")
    play.admits()
    bad = play.asks("/t/web/2", "GET", ("content_length", "5"))
    assert play.status(bad) == "400"
    play.answers(play.asked()["/1"], b"ok")
    assert play.near.content(first) == b"ok"
    assert not play.closed


def test_a_target_that_can_not_be_reached_is_an_answer() -> None:
    play = Named()
    near = play.asks("/t/web/1")
    play.answer(CHALLENGE_CLEARTEXT)
    play.answer(replace(GRANT, target=Target("web", "http"), database="", dial=DIAL))
    play.answer(DialFailed("nobody is there", "Start it."))
    play.go()
    assert play.status(near) == "502"
    said = json.loads(play.near.content(near))
    assert (said["detail"], said["rule"]) == ("target web: nobody is there", "target-unreachable")
    assert not play.closed


def test_a_connection_that_is_cut_drained_or_left_tells_so() -> None:
    play = Named()
    near = play.asks("/t/web/1")
    play.admits()
    waits = play.asks("/t/api/2")
    play.machine.cut("the run was revoked")
    play.go()
    assert (play.status(near), play.near.reset(waits), play.end()[0]) == ("503", REFUSED, "cut")
    play = Named()
    near = play.asks("/t/web/1")
    play.admits()
    play.machine.drain("its credential is over")
    assert not play.closed
    assert play.near.reset(play.asks("/t/web/2")) == REFUSED
    play.answers(play.asked()["/1"], b"ok")
    assert play.near.content(near) == b"ok"
    assert (play.closed, play.end()[0]) == (True, "cut")
    play = Named()
    play.asks("/t/web/1")
    play.admits()
    play.machine.client_gone()
    assert play.end() == ("ended", "the client closed its connection")
    assert len(play.near.of(ResponseReceived, 1)) == 0


def test_streams_that_are_given_up_again_and_again_end_the_connection() -> None:
    play = Named()
    play.asks("/t/web/1")
    play.admits()
    for number in range(2 * relay.RESETS_MOST):
        if play.closed:
            break
        # of this session, and of one that waits for it
        near = play.asks(f"/t/{('web', 'api')[number % 2]}/x")
        play.near.connection.reset_stream(near, 8)
        play.go()
    assert play.closed
    assert play.near.left is not None
    assert play.near.left[1] == CALM
    assert play.end() == ("broken", "the client broke the protocol: too many streams given up")
