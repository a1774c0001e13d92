"""A target that takes the gateway's token no more: another is asked for, once, and the request is sent again."""

from dataclasses import replace

import pytest
from h2.events import RequestReceived, ResponseReceived

from bodycam.model.event import Kind
from bodycam.model.target import Dial
from bodycam.session.link import AskDial
from bodycam.session.renewal import AskRenewal, Renewed
from tests.playbook.http2_named_play import Named
from tests.playbook.http2_play import DIAL as H2_DIAL
from tests.playbook.http2_play import Tunnel
from tests.playbook.http_play import DIAL, in_pieces, notes, opened, request, response
from tests.playbook.play import DIALLED, GRANT, Play

OLD, NEW = "token-number-one-of-ours", "token-number-two-of-ours"


def with_token(token: str, lasts: float | None = 600.0) -> Dial:
    return replace(DIAL, headers={"Authorization": f"Bearer {token}"}, lasts=lasts)


REFUSED = response("401 Unauthorized", "WWW-Authenticate: Bearer", body=b"expired")
OK = response("200 OK", body=f"you are {NEW}".encode())


def refused(asked: bytes, said: bytes = REFUSED) -> Play:
    play = opened(asked, with_token(OLD))
    play.target_sees(), play.recorded()
    play.target(said)
    return play


def renewed(play: Play, dial: Dial | None = None) -> None:
    assert play.needs == [AskRenewal(GRANT.session)]
    play.answer(Renewed(dial))


BODIES = {
    "none": request("GET /t/web/a"),
    "sized": request("POST /t/web/a", body=b"some content"),
    "in chunks": request("POST /t/web/a", "Transfer-Encoding: chunked")
    + b"4\r\nsome\r\n8\r\n content\r\n0\r\nX-Sum: 1\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES)
def test_a_request_is_sent_again_with_a_new_token_and_the_record_says_so(body: str) -> None:
    first = opened(BODIES[body], with_token(NEW)).target_sees()
    play = refused(BODIES[body])
    assert (play.client_gets(), play.target_held) == (b"", True)
    renewed(play, with_token(NEW))
    # what the target had begun to say is gone with its connection
    assert (play.dropped, play.needs, play.target_held) == (1, [AskDial(with_token(NEW))], False)
    play.answer(DIALLED)
    again = play.target_sees()
    head, _, content = again.partition(b"\r\n\r\n")
    assert head == first.partition(b"\r\n\r\n")[0]
    assert content.replace(b"c\r\nsome content\r\n", b"4\r\nsome\r\n8\r\n content\r\n") in (
        first.partition(b"\r\n\r\n")[2],
        b"4\r\nsome\r\n8\r\n content\r\n0\r\nX-Sum: 1\r\n\r\n",
    )
    play.target(OK)
    # the new one is covered as the old one was
    assert play.client_gets().endswith(b"you are " + b"*" * len(NEW))
    events = play.recorded()
    (said,) = notes(events, "sent-again")
    assert said["reason"] == "the target answered 401 to the gateway's token, which was renewed"
    assert [(at, body[0], body[4]) for kind, at, body in events if kind is Kind.FINISH] == [(1, "ok", "200")]
    kept = str(play.journal.entries)
    assert (OLD in kept, NEW in kept) == (False, False)
    # and the next goes on over that connection
    play.client(request("GET /t/web/b"))
    assert NEW.encode() in play.target_sees()


def test_without_a_new_token_the_answer_goes_on_as_it_came() -> None:
    play = refused(request("GET /t/web/a"), REFUSED[:-3])
    play.target(REFUSED[-3:])
    renewed(play)
    assert play.client_gets() == REFUSED
    assert (play.dropped, play.target_held, play.closed) == (0, False, False)
    # one that has closed since is one that closes
    play = refused(request("GET /t/web/a"), response("401 Unauthorized", "Connection: close", body=b"x"))
    play.machine.target_gone()
    renewed(play)
    assert play.client_gets().startswith(b"HTTP/1.1 401 ")
    assert play.closed


def test_a_second_401_goes_on_and_nobody_is_asked_again() -> None:
    play = refused(request("GET /t/web/a"))
    renewed(play, with_token(NEW))
    play.answer(DIALLED)
    play.target_sees()
    play.target(REFUSED)
    assert play.client_gets() == REFUSED
    assert play.needs == []


@pytest.mark.parametrize(
    "asked",
    [
        request("POST /t/web/a", body=b"x" * 70_000),
        # all of it has not come
        request("POST /t/web/a", "Content-Length: 100") + b"begun",
    ],
)
def test_what_can_not_be_sent_again_is_not(asked: bytes) -> None:
    play = refused(asked)
    assert play.client_gets() == REFUSED
    assert play.needs == []


def test_a_target_with_another_kind_of_credential_keeps_its_401() -> None:
    play = opened(request("GET /t/web/a"), with_token(OLD, lasts=None))
    play.target_sees()
    play.target(REFUSED)
    assert play.client_gets() == REFUSED
    assert play.needs == []


@pytest.mark.parametrize("size", [1, 20, 1000])
def test_every_other_answer_goes_on_as_it_comes(size: int) -> None:
    play = opened(request("GET /t/web/a"), with_token(OLD))
    play.target_sees()
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    for start in range(0, len(hints), size):
        play.target(hints[start : start + size])
    # what comes before it is not held up
    assert play.client_gets() == hints
    answer = response("200 OK", "Content-Type: image/png", body=b"abcdefghij" * 10)
    for start in range(0, len(answer), size):
        play.target(answer[start : start + size])
    assert play.client_gets() == answer
    assert play.needs == []


def test_a_target_that_leaves_within_a_head_is_told_of_as_ever() -> None:
    play = opened(request("GET /t/web/a"), with_token(OLD))
    play.target_sees()
    play.target(b"HTTP/1.1 401 Unauthor")
    play.machine.target_gone()
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")


def over_h2(asks: int, lasts: float | None = 600.0, body: bytes = b"some") -> Tunnel:
    tunnel = Tunnel().agreed(replace(H2_DIAL, headers={"Authorization": f"Bearer {OLD}"}, lasts=lasts))
    for number in range(asks):
        near = tunnel.asks(f"/{number}", "POST", ends=False)
        for piece in in_pieces(body, 16_000):
            tunnel.near.connection.send_data(near, piece)
        tunnel.near.connection.end_stream(near)
        tunnel.go()
        tunnel.answers(tunnel.asked()[f"/{number}"], b"expired", status="401")
    return tunnel


def test_over_http_2_all_that_were_refused_are_sent_again_on_streams_of_their_own() -> None:
    tunnel = over_h2(2)
    assert tunnel.needs == [AskRenewal(GRANT.session)]
    assert tunnel.near.of(ResponseReceived, 1) == []
    tunnel.answer(Renewed(replace(H2_DIAL, headers={"Authorization": f"Bearer {NEW}"}, lasts=600.0)))
    tunnel.go()
    again = [one for one in tunnel.far.events if isinstance(one, RequestReceived)][2:]
    assert [dict(one.headers)["authorization"] for one in again] == [f"Bearer {NEW}"] * 2  # type: ignore[arg-type]
    assert [tunnel.far.content(one.stream_id) for one in again] == [b"some"] * 2
    for near, one in zip((1, 3), again, strict=True):
        tunnel.answers(one.stream_id, f"you are {NEW}".encode())
        assert tunnel.near.content(near) == b"you are " + b"*" * len(NEW)
    events = tunnel.recorded()
    assert len(notes(events, "sent-again")) == 2
    assert NEW not in str(events)
    assert OLD not in str(events)


def test_over_http_2_an_answer_goes_on_as_it_came_where_there_is_no_other_token() -> None:
    tunnel = over_h2(1)
    tunnel.answer(Renewed(None))
    tunnel.go()
    assert (tunnel.near.head(1)[":status"], tunnel.near.content(1)) == ("401", b"expired")
    # nor is anything asked for, for what can't be sent again or by a credential of another kind
    for more in ({"body": b"x" * 70_000}, {"lasts": None}):
        tunnel = over_h2(1, **more)  # type: ignore[arg-type]
        assert (tunnel.near.head(1)[":status"], tunnel.needs) == ("401", [])
    # or once the target has closed
    tunnel = over_h2(1)
    tunnel.machine.target_gone()
    tunnel.go()
    assert tunnel.near.head(1)[":status"] == "401"
    tunnel.answer(Renewed(replace(H2_DIAL, lasts=600.0)))
    assert [one[1:3] for one in tunnel.finished()] == [("error", "401")]


def test_over_http_2_a_second_401_goes_on_and_who_gave_up_is_asked_for_no_more() -> None:
    tunnel = over_h2(2)
    tunnel.near.connection.reset_stream(1, 8)
    tunnel.go()
    tunnel.answer(Renewed(replace(H2_DIAL, headers={"Authorization": f"Bearer {NEW}"}, lasts=600.0)))
    tunnel.go()
    (again,) = [one for one in tunnel.far.events if isinstance(one, RequestReceived)][2:]
    tunnel.answers(again.stream_id, b"still not", status="401")
    assert (tunnel.near.content(3), tunnel.needs) == (b"still not", [])


def test_a_target_of_http_1_that_is_asked_over_http_2_is_asked_again_on_the_same_connection() -> None:
    named = Named()
    near = named.asks("/t/web/a", "POST", body=b"some")
    named.admits(plain=True, dial=with_token(OLD))
    named.target_sees()
    named.tells(REFUSED)
    assert named.needs == [AskRenewal(GRANT.session)]
    named.answer(Renewed(with_token(NEW)))
    # all of its answer has come, so that the connection is as good as another
    assert (named.dropped, named.needs) == (0, [])
    seen = named.target_sees()
    assert f"Bearer {NEW}".encode() in seen
    assert b"4\r\nsome\r\n" in seen
    named.tells(OK)
    assert named.near.content(near).startswith(b"you are ***")
