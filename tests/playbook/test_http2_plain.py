"""Requests that come over HTTP/2, for a target that speaks HTTP/1.1 alone."""

from bodycam.protocols.http.h2.endpoint import STREAM_WINDOW
from bodycam.session.link import AskDial
from tests.playbook.http2_named_play import Named


def answer(*fields: str, body: bytes = b"", status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *fields, "", ""]).encode() + body


def test_a_target_of_http_1_is_asked_one_thing_after_the_other() -> None:
    play = Named()
    first = play.asks("/t/web/a", "POST", ("te", "trailers"), body=b"some", ends=False)
    play.admits(plain=True)
    second = play.asks("/t/web/b", "POST")
    seen = play.target_sees()
    assert seen.startswith(b"POST /a HTTP/1.1\r\nhost: api.example\r\n")
    assert seen.endswith(b"transfer-encoding: chunked\r\n\r\n4\r\nsome\r\n")
    assert b"te:" not in seen
    play.near.connection.send_data(first, b"more", end_stream=True)
    play.go()
    assert play.target_sees() == b"4\r\nmore\r\n0\r\n\r\n"
    play.tells(
        answer("Content-Length: 4", "Connection: keep-alive, X-Hop", "X-Hop: 1", "X-End: 2", body=b"done")
    )
    assert play.near.content(first) == b"done"
    head = play.near.head(first)
    assert (head["content-length"], head["x-end"]) == ("4", "2")
    assert head.keys().isdisjoint({"connection", "x-hop", "keep-alive"})
    # who sends nothing says so
    assert play.target_sees() == b"POST /b HTTP/1.1\r\nhost: api.example\r\ncontent-length: 0\r\n\r\n"
    play.tells(
        b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer("Transfer-Encoding: chunked", body=b"3\r\nab")
    )
    play.tells(b"c\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert (play.near.content(second), play.near.trailers(second)) == (b"abc", {"x-sum": "1"})
    assert [one[1:3] for one in play.finished()] == [("ok", "200"), ("ok", "200")]
    assert not play.closed


def test_what_a_target_of_http_1_says_is_taken_to_the_letter() -> None:
    for said in (
        answer("Content-Length: 4", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        answer("Upgrade: h2c", status="101 Switching Protocols"),
        answer("Bad Name: 1", "Content-Length: 0"),
    ):
        play = Named()
        near = play.asks("/t/web/a")
        play.admits(plain=True)
        play.target_sees()
        play.tells(said)
        assert play.status(near) == "502"
        assert play.dropped == 1
        # the next is asked on another connection
        after = play.asks("/t/web/b")
        play.admits(plain=True)
        assert play.target_sees().startswith(b"GET /b HTTP/1.1\r\n")
        play.tells(answer("Content-Length: 2", body=b"ok"))
        assert play.near.content(after) == b"ok"


def test_a_target_of_http_1_that_says_more_than_it_was_asked_ends_the_session() -> None:
    play = Named()
    near = play.asks("/t/web/a")
    play.admits(plain=True)
    play.tells(answer("Content-Length: 2", body=b"ok") + answer("Content-Length: 4", body=b"evil"))
    assert play.near.content(near) == b"ok"
    assert play.end() == ("broken", "the target broke the protocol: it sent more than its answer")


def test_an_answer_that_ends_with_the_connection_and_one_that_is_cut_short() -> None:
    play = Named()
    near = play.asks("/t/web/a")
    play.admits(plain=True)
    play.tells(answer("Connection: close", body=b"all of "))
    play.tells(b"it")
    play.machine.target_gone()
    play.go()
    assert play.near.content(near) == b"all of it"
    assert [one[1:3] for one in play.finished()] == [("ok", "200")]
    near = play.asks("/t/web/b", "POST", body=b"x")
    play.admits(plain=True)
    play.tells(answer("Content-Length: 10", body=b"some"))
    play.machine.target_gone()
    play.go()
    assert play.near.reset(near) is not None
    assert [one[1] for one in play.finished()] == ["error"]


def test_a_client_that_gives_up_or_a_target_that_did_not_wait_costs_the_connection_and_nothing_else() -> None:
    play = Named()
    near = play.asks("/t/web/a")
    play.admits(plain=True)
    play.near.connection.reset_stream(near, 8)
    play.go()
    assert play.dropped == 1
    early = play.asks("/t/web/b", "POST", body=b"begun", ends=False)
    play.admits(plain=True)
    play.target_sees()
    play.tells(answer("Content-Length: 3", body=b"no!", status="413 Too Long"))
    assert (play.status(early), play.near.content(early), play.near.reset(early)) == ("413", b"no!", 0)
    assert play.dropped == 2
    assert play.target_sees() == b""
    after = play.asks("/t/web/c")
    play.admits(plain=True)
    assert play.target_sees().startswith(b"GET /c ")
    play.tells(answer("Content-Length: 0"))
    assert play.status(after) == "200"


def test_a_body_shorter_than_it_said_never_lets_another_request_follow_it() -> None:
    play = Named()
    near = play.asks("/t/web/a", "POST", ("content-length", "50"), body=b"short", ends=False)
    play.admits(plain=True)
    assert play.target_sees().endswith(b"content-length: 50\r\n\r\nshort")
    play.near.connection.reset_stream(near, 8)
    play.go()
    play.asks("/t/web/b")
    assert (play.dropped, isinstance(play.needs[0], AskDial)) == (1, True)


def test_a_client_that_takes_nothing_holds_a_target_of_http_1_up() -> None:
    play = Named()
    play.near.hungry = False
    near = play.asks("/t/web/big")
    play.admits(plain=True)
    play.tells(answer("Content-Length: 1000000", "Content-Type: image/png", body=b"x" * STREAM_WINDOW))
    assert play.target_held
    taken = len(play.near.content(near))
    play.near.connection.acknowledge_received_data(taken, near)
    play.go()
    play.near.connection.acknowledge_received_data(len(play.near.content(near)) - taken, near)
    play.go()
    assert not play.target_held
