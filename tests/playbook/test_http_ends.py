"""Every end at every stage: cut, drained, a client that leaves, a target that leaves, time that runs out."""

from collections.abc import Callable

import pytest

from bodycam.protocols.http.conversation import PASS_SECONDS
from bodycam.session.link import AskDial
from tests.playbook.http_stage import APPROVED, CHALLENGE, OK, PROVED, HttpPlay, request
from tests.playbook.play import Judging
from tests.playbook.test_http_judged import called, rules


def nothing(play: HttpPlay) -> None:
    """Nobody has said anything."""


def half_a_head(play: HttpPlay) -> None:
    play.client(request()[:20])


def challenged(play: HttpPlay) -> None:
    play.client(request())


def opening(play: HttpPlay) -> None:
    challenged(play)
    play.answer(CHALLENGE)


def dialling(play: HttpPlay) -> None:
    opening(play)
    play.answer(play.given)
    assert isinstance(play.needs[-1], AskDial)


def asked(play: HttpPlay) -> None:
    play.sends(request())


def uploading(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/a", "Content-Length: 10", body=b"abc"))


def answering(play: HttpPlay) -> None:
    asked(play)
    play.target(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")


def idle(play: HttpPlay) -> None:
    asked(play)
    play.target(OK)


def discarding(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/no", "Content-Length: 10", body=b"abc"))


def spooling(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/ask", "Content-Length: 10", body=b"abc"))


def reading(play: HttpPlay) -> None:
    """A call of a tool, which is judged when all of it is there."""
    play.sends(called("look")[:-1])


def waiting(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/ask"))


def looking(play: HttpPlay) -> None:
    play.client(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n" + PROVED + b"\r\n")
    play.answer(CHALLENGE)
    play.answer(play.given)


def tunnelled(play: HttpPlay) -> None:
    looking(play)
    play.admit()


def upgraded(play: HttpPlay) -> None:
    play.sends(request("GET http://api.test/ws", "Connection: Upgrade", "Upgrade: websocket"))
    play.target(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")


STAGES = [nothing, half_a_head, challenged, opening, dialling, asked, uploading, answering, idle, discarding, spooling, reading,
          waiting, looking, tunnelled, upgraded]  # fmt: skip
Stage = Callable[[HttpPlay], None]
HAS_SESSION = {"dialling", "asked", "uploading", "answering", "idle", "discarding", "spooling", "reading", "waiting", "looking",
               "tunnelled", "upgraded"}  # fmt: skip
UNANSWERED = {"dialling", "asked", "uploading", "spooling", "reading", "waiting"}


@pytest.fixture
def play() -> HttpPlay:
    return HttpPlay(policy=Judging(rules))


def late(play: HttpPlay) -> None:
    """Whatever comes afterwards is not heard, and breaks nothing."""
    count = len(play.journal.entries)
    play.client(request("GET http://api.test/late"))
    play.target(OK)
    play.machine.target_gone()
    play.machine.alarm()
    play.machine.cut("again")
    play.machine.drain("again")
    play.machine.client_gone()
    while play.needs:
        play.answer(APPROVED)
    assert (play.target_sees(), play.client_gets()) == (b"", b"")
    assert len(play.journal.entries) == count


@pytest.mark.parametrize("stage", STAGES)
def test_a_session_is_cut(play: HttpPlay, stage: Stage) -> None:
    stage(play)
    before = play.client_gets()
    play.target_sees()
    play.machine.cut("revoked")
    said = play.client_gets()
    assert play.closed
    if stage.__name__ in UNANSWERED:
        assert before == b""
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"revoked" in said
    elif stage.__name__ in HAS_SESSION:
        # in the middle of an answer, or at rest, there is no place for another; a WebSocket has its own end
        assert said == (b"\x88\x09\x03\xe9revoked" if stage is upgraded else b"")
    if stage.__name__ in HAS_SESSION:
        assert play.outcomes()[-1] == "closed cut: revoked"
    play.target_sees()
    late(play)
    play.check()


@pytest.mark.parametrize("stage", STAGES)
def test_a_client_leaves(play: HttpPlay, stage: Stage) -> None:
    stage(play)
    play.client_gets(), play.target_sees()
    assert play.machine.client_gone() is False
    if stage.__name__ in HAS_SESSION:
        assert play.outcomes()[-1] == "closed ended: the client closed its connection"
    late(play)
    play.check()


@pytest.mark.parametrize(
    "stage", [asked, uploading, answering, idle, discarding, spooling, reading, waiting, upgraded]
)
def test_a_target_leaves(play: HttpPlay, stage: Stage) -> None:
    play.exchange()
    stage(play)
    play.client_gets(), play.target_sees(), play.recorded()
    play.machine.target_gone()
    said = play.client_gets()
    if stage in (asked, uploading):
        assert said.startswith(b"HTTP/1.1 502 ")
    else:
        assert said == b""
    # what has not gone to it yet goes to the next
    assert play.closed != (stage in (discarding, spooling, reading, waiting))
    play.check()


def test_a_request_that_waited_goes_to_another_connection_when_the_first_has_gone(play: HttpPlay) -> None:
    play.exchange()
    waiting(play)
    play.machine.target_gone()
    play.answer(APPROVED)
    assert isinstance(play.needs[-1], AskDial)
    assert play.admit().target_sees().startswith(b"POST /ask ")
    play.check()


@pytest.mark.parametrize("stage", [idle, tunnelled])
def test_a_drained_session_that_rests_ends(play: HttpPlay, stage: Stage) -> None:
    stage(play)
    play.machine.drain("its credential is over")
    assert play.closed
    assert play.outcomes()[-1] == "closed cut: its credential is over"
    play.check()


def test_a_drained_session_ends_behind_its_exchange(play: HttpPlay) -> None:
    answering(play)
    play.machine.drain("its credential is over")
    play.client(request("GET http://api.test/more"))
    assert not play.closed
    play.target(b"defghij")
    assert play.client_gets().endswith(b"abcdefghij")
    assert play.closed
    assert play.outcomes() == ["finish ok 200", "closed cut: its credential is over"]
    play.check()


def test_the_gateway_that_can_not_go_on_says_so_where_no_answer_has_begun(play: HttpPlay) -> None:
    asked(play)
    assert play.machine.farewell("the journal is full", "try later").startswith(b"HTTP/1.1 503 ")
    play.target(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
    assert play.machine.farewell("the journal is full", "try later") == b""


# -- time ------------------------------------------------------------------------------------------------


def test_a_head_has_to_come_in_time() -> None:
    play = HttpPlay(head_seconds=7)
    for one in request()[:40]:
        play.client(bytes((one,)))
    assert play.alarms == [7]
    play.machine.alarm()
    assert play.client_gets().startswith(b"HTTP/1.1 408 ")
    assert (play.closed, play.strangers) == (True, 1)


def test_a_later_head_has_to_come_in_time_too() -> None:
    play = HttpPlay(head_seconds=7)
    play.exchange()
    assert play.alarms == []
    play.client(b"GET")
    assert play.alarms == [7]
    play.client(request()[3:])
    assert play.alarms == [7, None]
    play.target(OK)
    play.client(b"GET http://api")
    play.machine.alarm()
    assert play.client_gets().endswith(b"}\n")
    assert (
        play.outcomes()[-1] == "closed broken: the client broke the protocol: the head took longer than 7 s"
    )
    play.check()


def test_a_client_at_rest_is_left_in_peace() -> None:
    play = HttpPlay(head_seconds=7)
    play.exchange()
    play.machine.alarm()
    assert not play.closed
    play.check()


def test_what_was_refused_has_to_end_in_time(play: HttpPlay) -> None:
    discarding(play)
    assert play.alarms[-1] == PASS_SECONDS
    play.client(b"more")
    play.machine.alarm()
    assert play.outcomes()[-1] == "closed ended: the client did not end in time what was refused"
    play.check()


# -- bounds ----------------------------------------------------------------------------------------------


def test_ten_thousand_tiny_chunks_are_one_piece_of_each_read(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/a", "Transfer-Encoding: chunked"))
    play.target_sees()
    play.client(b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")
    assert play.target_sees() == b"2710\r\n" + b"x" * 10_000 + b"\r\n0\r\n\r\n"
    play.target(OK)
    assert sum(line.startswith(">") for line in play.story()) == 2
    play.check()


def test_a_spooled_body_in_tiny_pieces_is_counted_once(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/ask", "Content-Length: 20000"))
    for _ in range(20_000):
        play.client(b"x")
    assert len(play.needs) == 1
    play.answer(APPROVED)
    assert len(play.admit().target_sees().partition(b"\r\n\r\n")[2]) == 20_000
    play.check()


def test_what_a_client_sends_ahead_is_bounded(play: HttpPlay) -> None:
    play.sends(request())
    sent = 0
    while not play.held:
        play.client(request("GET http://api.test/no") * 100)
        sent += 100
        assert sent < 10_000
    assert play.client_box.size == 0
    play.check()
