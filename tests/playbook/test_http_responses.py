"""Responses on their way to the client: every way in which they come and end, and what is no response."""

import pytest

from bodycam.protocols.http import response as responses
from tests.playbook.http_play import notes
from tests.playbook.http_stage import OK, HttpPlay, request, response

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"


@pytest.fixture
def play() -> HttpPlay:
    return HttpPlay()


def asked(play: HttpPlay, line: str = "GET http://api.test/a", *fields: str) -> HttpPlay:
    play.sends(request(line, *fields))
    assert play.target_sees()
    return play


@pytest.mark.parametrize("answer", [OK, CHUNKED])
@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_it_is_passed_on_as_it_came_however_it_came(play: HttpPlay, answer: bytes, cut: int) -> None:
    asked(play)
    got = b""
    for at in range(0, len(answer), cut):
        play.target(answer[at : at + cut])
        got += play.client_gets()
    assert got == answer
    assert play.exchange() == OK
    recorded = "".join(line.partition("| ")[2] for line in play.story() if line.startswith("<"))
    assert recorded == ("ok" if answer is OK else "hello") + "ok"
    told = [(one["way"], one["fields"]) for one in notes(play.journal.entries, "trailers")]
    assert told == ([] if answer is OK else [("received", "X-Sum: 1")])
    play.check()


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("HEAD http://api.test/a", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ("HEAD http://api.test/a", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ("GET http://api.test/a", b"HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET http://api.test/a", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        ("GET http://api.test/a", b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"),
        ("GET http://api.test/a", b"HTTP/1.1 299 \xe9t\xe9\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_one_without_a_body_ends_with_its_head(play: HttpPlay, line: str, answer: bytes) -> None:
    assert asked(play, line).exchange_rest(answer) == answer
    assert play.exchange() == OK
    assert not play.closed
    play.check()


@pytest.mark.parametrize("minor", [0, 1])
def test_interim_heads_go_to_whoever_knows_them(play: HttpPlay, minor: int) -> None:
    play.sends(request().replace(b"HTTP/1.1", b"HTTP/1.%d" % minor))
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </s.css>\r\n\r\n"
    play.target(early + b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\n" + OK)
    interim = early + b"HTTP/1.1 100 Continue\r\n\r\n"
    assert play.client_gets() == (interim if minor else b"") + OK
    play.check()


def test_interim_heads_without_end_are_no_answer(play: HttpPlay) -> None:
    asked(play)
    for _ in range(responses.INTERIM_MOST + 1):
        play.target(b"HTTP/1.1 102 Processing\r\n\r\n")
    assert play.client_gets().count(b"HTTP/1.1 502 ") == 1
    assert play.closed
    play.check()


def test_another_protocol_goes_on_where_it_was_asked_for(play: HttpPlay) -> None:
    asked(
        play, "GET http://api.test/ws", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: AAAA"
    )
    play.target(
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x01a"
    )
    assert play.client_gets().endswith(b"\r\n\r\n\x81\x01a")
    play.client(b"\x81\x81mask" + b"\x0f")
    # a message is masked anew by whoever sends it on
    assert play.target_sees()[:2] == b"\x81\x81"
    play.machine.client_gone()
    assert play.outcomes()[-1] == "closed ended: the client closed its connection"
    play.check()


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("Connection: Upgrade", "Upgrade: h2c"),
        ("Connection: Upgrade", "Upgrade: websocket", "Content-Length: 0"),
    ],
)
def test_no_target_leaves_http_unless_it_was_asked_to(play: HttpPlay, fields: tuple[str, ...]) -> None:
    asked(play, "GET http://api.test/a", *fields)
    play.target(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")
    assert play.closed
    play.client(request("GET http://api.test/unseen"))
    assert play.target_sees() == b""
    play.check()


def test_one_that_lasts_until_the_connection_closes(play: HttpPlay) -> None:
    asked(play)
    play.target(b"HTTP/1.1 200 OK\r\n\r\nall ")
    play.target(b"of it")
    assert not play.closed
    play.machine.target_gone()
    assert play.client_gets() == b"HTTP/1.1 200 OK\r\n\r\nall of it"
    assert play.closed
    assert play.outcomes() == ["finish ok 200", "closed ended"]
    play.check()


def test_a_close_that_was_announced_closes_both_sides(play: HttpPlay) -> None:
    assert asked(play).exchange_rest(response("Connection: close", body=b"x")).endswith(b"x")
    assert play.closed
    play.check()


@pytest.mark.parametrize(
    ("answer", "missing"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "2 bytes of the body are missing"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "the end of a body in chunks is missing",
        ),
    ],
)
def test_one_that_is_cut_off_is_not_whole_for_the_client_either(
    play: HttpPlay, answer: bytes, missing: str
) -> None:
    asked(play)
    play.target(answer)
    play.machine.target_gone()
    assert play.client_gets() == answer
    assert play.closed
    assert play.outcomes() == [f"finish error 200: {missing}", f"closed broken: {missing}"]
    play.check()


def test_none_at_all_is_said(play: HttpPlay) -> None:
    asked(play)
    play.target(b"HTTP/1.1 200 O")
    play.machine.target_gone()
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")
    assert play.outcomes()[0] == "finish error 502: the target closed the connection before it answered"
    play.check()


def test_a_target_that_closes_at_rest_takes_the_client_along(play: HttpPlay) -> None:
    play.exchange()
    play.machine.target_gone()
    assert play.closed
    assert play.outcomes() == ["finish ok 200", "closed ended: the target closed the connection"]
    play.check()


def test_a_target_that_speaks_unasked_is_not_heard(play: HttpPlay) -> None:
    play.exchange()
    play.target(OK)
    assert play.client_gets() == b""
    assert play.closed
    assert play.outcomes()[-1] == "closed broken: the target spoke without having been asked"
    play.check()


def test_what_stands_behind_an_answer_is_no_answer_to_the_next(play: HttpPlay) -> None:
    asked(play)
    play.client(request("GET http://api.test/next"))
    play.target(OK + response(body=b"poison"))
    assert play.client_gets() == OK
    assert play.closed
    assert play.outcomes()[-1] == "closed broken: the target sent more than its answer"
    play.check()


def test_an_answer_before_the_upload_has_ended_lets_the_client_come_to_it(play: HttpPlay) -> None:
    asked(play, "POST http://api.test/a", "Content-Length: 100")
    play.target(response(status="413 Too Large"))
    assert play.client_gets().startswith(b"HTTP/1.1 413 ")
    assert (play.drops, play.closed) == (1, False)
    play.client(b"x" * 99)
    play.sends(b"x" + request("GET http://api.test/next"))
    # on a connection of its own: the first has seen half a request
    assert play.target_sees().startswith(b"GET /next ")
    play.target(OK)
    assert play.client_gets() == OK
    assert play.outcomes() == ["finish error 413: Too Large", "finish ok 200"]
    play.check()


def test_an_early_answer_that_closes_does_so_behind_the_upload(play: HttpPlay) -> None:
    asked(play, "POST http://api.test/a", "Content-Length: 100")
    play.target(response("Connection: close", status="413 Too Large"))
    play.machine.target_gone()
    assert play.client_gets().startswith(b"HTTP/1.1 413 ")
    assert not play.closed
    play.client(b"x" * 100 + request())
    assert play.closed
    assert play.target_sees() == b""
    assert play.outcomes() == ["finish error 413: Too Large", "closed ended"]
    play.check()


def test_an_early_answer_to_one_that_waits_for_leave_is_the_last(play: HttpPlay) -> None:
    asked(play, "POST http://api.test/a", "Content-Length: 100", "Expect: 100-continue")
    play.target(response(status="417 No"))
    assert play.client_gets().startswith(b"HTTP/1.1 417 ")
    assert play.closed
    play.check()


BAD_HEADS = [
    b"HTTP/0.9 200 OK\r\n\r\n", b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.2 200 OK\r\n\r\n", b"<html>\n",
    b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1 2000 OK\r\n\r\n", b"HTTP/1.1  200 OK\r\n\r\n", b"HTTP/1.1 099 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", b"HTTP/1.1 200 O\0K\r\n\r\n", b"\r\nHTTP/1.1 200 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\nx", b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent_Length: 5\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 70_000,
    b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(1000)) + b"\r\n",
]  # fmt: skip


@pytest.mark.parametrize("answer", BAD_HEADS)
@pytest.mark.parametrize("cut", [1, 100_000])
def test_what_is_no_response_to_the_letter_is_none(play: HttpPlay, answer: bytes, cut: int) -> None:
    asked(play)
    for at in range(0, len(answer), cut if len(answer) < 1000 else 1000):
        play.target(answer[at : at + cut] if len(answer) < 1000 else answer[at : at + 1000])
    said = play.client_gets()
    assert said.startswith(b"HTTP/1.1 502 ")
    assert said.count(b"\r\n\r\n") == 1
    assert b"\r\nConnection: close\r\n" in said
    assert play.closed
    assert play.drops == 1
    play.check()


def test_a_head_that_never_ends_is_given_up(play: HttpPlay) -> None:
    asked(play)
    play.target(b"HTTP/1.1 200 OK\r\n")
    count = 0
    while not play.closed:
        play.target(b"X-More: " + b"a" * 1000 + b"\r\n")
        count += 1
        assert count < 100
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")


@pytest.mark.parametrize("chunk", [b"-1\r\n", b"0x5\r\n", b"5_0\r\n", b"1" * 16 + b"\r\n", b"5\n", b"5;a=\"\r\n\"\r\n",
                                   b"5\r\nhelloX\r\n", b"5\r\nhello\n", b"5;" + b"a" * 2000])  # fmt: skip
def test_chunks_that_are_none_end_the_response_where_they_stand(play: HttpPlay, chunk: bytes) -> None:
    asked(play)
    play.target(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    play.target(chunk)
    got = play.client_gets()
    assert got.startswith(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    assert not got.endswith(b"0\r\n\r\n")
    assert b" 502 " not in got
    assert play.closed
    assert play.outcomes()[-1].startswith("closed broken: ")
    play.check()


@pytest.mark.parametrize("cut", [1, 3, 1000])
def test_no_chunks_for_one_of_http_1_0(play: HttpPlay, cut: int) -> None:
    play.sends(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
    for at in range(0, len(CHUNKED), cut):
        play.target(CHUNKED[at : at + cut])
    assert play.client_gets() == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello"
    assert play.closed
    assert play.outcomes() == ["finish ok 200", "closed ended"]
    play.check()


def test_nor_in_a_coding_that_nobody_here_knows(play: HttpPlay) -> None:
    play.sends(request().replace(b"HTTP/1.1", b"HTTP/1.0"))
    play.target(CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: odd\r\n\r\n", 1))
    assert play.client_gets().startswith(b"HTTP/1.1 502 ")
    play.check()


def test_ways_past_the_gateway_are_not_told(play: HttpPlay) -> None:
    got = asked(play).exchange_rest(response('Alt-Svc: h3=":443"', "X: 1", body=b"x"))
    assert got == b"HTTP/1.1 200 OK\r\nX: 1\r\nContent-Length: 1\r\n\r\nx"


@pytest.mark.parametrize("cut", [1, 1000])
def test_what_a_client_sends_behind_a_body_is_on_the_record(play: HttpPlay, cut: int) -> None:
    wire = request(
        "POST http://api.test/a", "Transfer-Encoding: chunked",
        body=b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Api-Token: hunter2\r\n\r\n",
    )  # fmt: skip
    for at in range(0, len(wire), cut):
        play.sends(wire[at : at + cut])
    assert play.target_sees().endswith(b"0\r\nX-Sum: 1\r\nX-Api-Token: hunter2\r\n\r\n")
    assert [(one["way"], one["fields"]) for one in notes(play.journal.entries, "trailers")] == [
        ("sent", "X-Sum: 1\nX-Api-Token: [redacted]")
    ]
