"""Requests that policy judges: denied, held for a person, and what becomes of their bodies meanwhile."""

import zlib

import pytest

from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Terms, Verdict
from bodycam.protocols.http.trip import SPOOL_MOST
from bodycam.session.link import AskApproval
from tests.playbook.http_stage import APPROVED, DENIED, OK, PENDING, PROVED, HttpPlay, grant, request
from tests.playbook.play import Judging

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
GO_ON = request("GET http://api.test/after")


def rules(operation: Operation) -> Verdict:
    """/no is denied, /ask is for a person to decide, a tool named `drop` is denied."""
    if (
        "/no" in operation.text
        or operation.facts.get("mcp.tool") == "drop"
        or operation.facts.get("mcp.unknown")
    ):
        return Verdict(Decision.DENY, "never", "p1", "not that", "ask for something else")
    if "/ask" in operation.text:
        return Verdict(
            Decision.PENDING, "writes", "p1", "a person must agree", terms=Terms(("dba",), 1, 30, 60)
        )
    return Verdict(Decision.ALLOW, "access", "p1")


@pytest.fixture
def play() -> HttpPlay:
    return HttpPlay(policy=Judging(rules))


def asked(play: HttpPlay) -> AskApproval:
    need = play.needs[-1]
    assert isinstance(need, AskApproval)
    return need


# -- denied ----------------------------------------------------------------------------------------------


def test_what_is_denied_never_reaches_the_target_and_the_connection_lives_on(play: HttpPlay) -> None:
    play.sends(request("GET http://api.test/no"), GO_ON)
    said = play.client_gets()
    assert said.startswith(b"HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\n")
    assert b'"detail": "denied by rule never: not that", "hint": "ask for something else"' in said
    assert play.target_sees().startswith(b"GET /after ")
    play.target(OK)
    assert play.client_gets() == OK
    assert play.outcomes() == ["finish denied 403: denied by rule never: not that", "finish ok 200"]
    play.check()


def test_a_head_that_is_denied_has_no_content(play: HttpPlay) -> None:
    play.sends(request("HEAD http://api.test/no"), GO_ON)
    said = play.client_gets()
    assert said.startswith(b"HTTP/1.1 403 ")
    assert said.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("read", [True, False])
def test_a_tunnel_that_is_read_asks_for_nothing_by_itself(read: bool) -> None:
    seen: list[Operation] = []

    def looks(operation: Operation) -> Verdict:
        seen.append(operation)
        return Verdict(Decision.ALLOW, "access", "p1")

    play = HttpPlay(policy=Judging(looks), given=grant(intercept=read))
    play.sends(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n" + PROVED + b"\r\n")

    assert [(one.verb, one.inert) for one in seen] == [("connect", read)]


@pytest.mark.parametrize("framing", ["Content-Length: 30", "Transfer-Encoding: chunked"])
def test_the_body_of_what_was_denied_is_passed_over(play: HttpPlay, framing: str) -> None:
    hidden = b"GET http://api.test/smuggled HTTP"[:30]
    body = hidden if framing.startswith("Content") else b"1e\r\n" + hidden + b"\r\n0\r\n\r\n"
    asked = request("POST http://api.test/no", framing, body=body) + GO_ON
    for one in asked:
        play.sends(bytes((one,)))
    assert play.client_gets().count(b"HTTP/1.1 403 ") == 1
    assert play.target_sees().startswith(b"GET /after ")
    play.target(OK)
    assert [line for line in play.story() if line.startswith(("GET", "POST"))] == [
        "POST http://api.test/no deny by never", "GET http://api.test/after",
    ]  # fmt: skip
    play.check()


def test_a_client_that_waits_for_leave_is_denied_and_the_connection_ends(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/no", "Content-Length: 3", "Expect: 100-continue"))
    said = play.client_gets()
    assert said.startswith(b"HTTP/1.1 403 ")
    assert b"\r\nConnection: close\r\n" in said
    assert play.closed


def test_a_body_that_never_ends_behind_a_denial_is_given_up(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/no", "Transfer-Encoding: chunked"))
    piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    count = 0
    while not play.closed:
        play.client(piece)
        count += 1
        assert count < 200
        assert len(play.target_sees()) == 0
    assert play.outcomes()[-1] == "closed ended: the client went on sending what was refused"
    play.check()


def test_a_broken_body_behind_a_denial_gets_no_second_answer(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/no", "Transfer-Encoding: chunked"))
    assert play.client_gets().startswith(b"HTTP/1.1 403 ")
    play.client(b"zz\r\n")
    assert play.client_gets() == b""
    assert play.closed
    assert play.outcomes()[-1].startswith("closed broken: ")


# -- a person decides ------------------------------------------------------------------------------------


def test_it_waits_is_approved_and_goes_on_with_what_came_behind(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/ask", "Content-Length: 3", body=b"ab"))
    assert play.needs == []
    play.client(b"c" + GO_ON)
    need = asked(play)
    assert (need.wait, need.wanted.by, need.wanted.text, need.wanted.parameters) == (
        30, ("dba",), "http://api.test/ask", ("abc",),
    )  # fmt: skip
    play.machine.waits(PENDING)
    assert (play.target_sees(), play.client_gets()) == (b"", b"")
    play.answer(APPROVED)
    assert play.target_sees() == b""
    play.admit()
    assert play.target_sees().endswith(b"\r\n\r\nabc")
    play.target(OK)
    assert play.target_sees().startswith(b"GET /after ")
    assert [line for line in play.story() if line.startswith("note")] == [
        "note approval-pending", "note approval-approved",
    ]  # fmt: skip
    play.check()


def test_it_is_denied_by_a_person(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/ask"), GO_ON)
    play.answer(DENIED)
    assert b"approval apr_1 was denied by ada@corp: not on a Friday" in play.client_gets()
    assert play.admit().target_sees().startswith(b"GET /after ")


def test_it_comes_too_late_and_a_retry_goes_through(play: HttpPlay) -> None:
    play.sends(request("DELETE http://api.test/ask"))
    play.answer(PENDING)
    said = play.client_gets()
    assert said.startswith(b"HTTP/1.1 403 ")
    assert b'"approval": "apr_1", "url": "https://gate/approvals/apr_1"' in said
    play.sends(request("DELETE http://api.test/ask"))
    play.answer(APPROVED)
    assert play.admit().target_sees().startswith(b"DELETE /ask ")
    play.target(OK)
    assert play.client_gets() == OK
    play.check()


def test_a_client_that_leaves_while_it_waits_consumes_nothing(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/ask"))
    need = asked(play)
    assert play.machine.client_gone() is False
    assert need.given_up()
    play.answer(APPROVED)
    assert play.target_sees() == b""
    assert play.outcomes() == ["finish unknown -", "closed ended: the client closed its connection"]
    play.check()


def test_a_client_that_waits_for_leave_is_told_to_send_what_a_person_is_to_see(play: HttpPlay) -> None:
    play.sends(request("POST http://api.test/ask", "Content-Length: 3", "Expect: 100-continue"))
    assert play.client_gets() == CONTINUE
    play.client(b"abc")
    assert asked(play).wanted.parameters == ("abc",)
    play.answer(APPROVED)
    play.admit()
    seen = play.target_sees()
    assert b"Expect" not in seen
    assert seen.endswith(b"\r\n\r\nabc")
    play.check()


def test_nobody_approves_what_nobody_can_be_shown(play: HttpPlay) -> None:
    play.sends(
        request("POST http://api.test/ask", "Content-Length: 3", "Content-Encoding: odd", body=b"abc"), GO_ON
    )
    assert play.client_gets().startswith(b"HTTP/1.1 415 ")
    cut = zlib.compress(b"x" * 100)[:-3]
    for coding in ("deflate", "gzip"):
        play.sends(request("POST http://api.test/ask", f"Content-Length: {len(cut)}", f"Content-Encoding: {coding}",
                           body=cut))  # fmt: skip
    play.target(OK)
    assert play.client_gets().count(b"HTTP/1.1 415 ") == 2
    play.sends(request("POST http://api.test/ask", "Content-Length: 1000", body=b"x" * 1000))
    assert len(asked(play).wanted.parameters[0]) == 1000
    play.answer(DENIED)
    assert play.client_gets().startswith(b"HTTP/1.1 403 ")
    much = bytes(SPOOL_MOST + 1)
    play.sends(request("POST http://api.test/ask", f"Content-Length: {len(much)}", body=much))
    assert play.client_gets().startswith(b"HTTP/1.1 413 ")
    play.check()


# -- judged by its content -------------------------------------------------------------------------------


def called(tool: str, *fields: str, padding: int = 0) -> bytes:
    body = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "%b"}}' % tool.encode()
    body += b" " * padding
    return request("POST http://api.test/mcp", "Content-Type: application/json", "Accept: application/json, text/event-stream",
                   f"Content-Length: {len(body)}", *fields, body=body)  # fmt: skip


@pytest.mark.parametrize(("tool", "goes"), [("look", True), ("drop", False)])
def test_a_call_of_a_tool_is_judged_when_all_of_it_is_there(play: HttpPlay, tool: str, goes: bool) -> None:
    whole = called(tool)
    play.sends(whole[:-1])
    assert play.target_sees() == b""
    play.sends(whole[-1:])
    assert play.target_sees().endswith(b'{"name": "look"}}') == goes
    assert play.client_gets().startswith(b"HTTP/1.1 403 ") != goes
    play.check()


def test_one_that_waits_for_leave_gets_it_from_the_gateway(play: HttpPlay) -> None:
    whole = called("look", "Expect: 100-continue")
    head = whole[: whole.index(b"\r\n\r\n") + 4]
    play.sends(head)
    assert play.client_gets() == CONTINUE
    play.sends(whole[len(head) :])
    assert play.target_sees()
    play.check()


def test_a_call_too_long_to_be_read_is_not_read_in_part(play: HttpPlay) -> None:
    play.sends(called("look", padding=SPOOL_MOST))
    assert play.client_gets().startswith(b"HTTP/1.1 403 ")
    facts = next(body[3] for kind, _, body in play.recorded() if kind.name == "REQUEST")
    assert facts["mcp.unknown"] == "it is longer than 8 MiB"
    assert "mcp.tool" not in facts


def test_a_call_whose_coding_is_cut_off_is_not_read_in_part(play: HttpPlay) -> None:
    body = zlib.compress(called("look").partition(b"\r\n\r\n")[2])[:-2]
    play.sends(request("POST http://api.test/mcp", "Content-Type: application/json", "Content-Encoding: deflate",
                       "Accept: application/json, text/event-stream", f"Content-Length: {len(body)}", body=body))  # fmt: skip
    assert play.client_gets().startswith(b"HTTP/1.1 403 ")
    assert play.target_sees() == b""
