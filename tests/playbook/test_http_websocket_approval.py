"""Messages of a WebSocket that a person has to approve: held with what comes behind, and the other way goes on."""

import struct
from typing import Any

import pytest

from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Terms, Verdict
from bodycam.protocols.http.frames import Code, Opcode, closing, frame
from bodycam.protocols.http.queue import QUEUED_MOST
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.link import AskApproval
from tests.playbook.http_play import notes
from tests.playbook.http_stage import APPROVED, DENIED, PENDING
from tests.playbook.play import GRANT, Judging, Play
from tests.playbook.test_http_websocket import KEY, operations, outcomes, talking, text


def asking(operation: Operation) -> Verdict:
    if operation.verb == "message" and "drop" in operation.text:
        terms = Terms(by=("dba",), wait=30.0)
        return Verdict(Decision.PENDING, "ask", GRANT.policy, "a person decides", "Wait for it.", terms=terms)
    return Verdict(Decision.ALLOW, "access", GRANT.policy)


def waiting(*behind: bytes) -> tuple[Play, AskApproval]:
    play = talking(policy=Judging(asking))
    play.client(text("drop it") + b"".join(behind))
    need = play.needs.pop()
    assert isinstance(need, AskApproval)
    return play, need


def said(play: Play, answer: ApprovalSaid) -> None:
    play.machine.answer(answer)


def test_a_message_waits_for_a_person_and_goes_on_once_approved_with_those_behind_it() -> None:
    play, need = waiting(text("list"), text("more"))
    assert (need.wait, need.wanted.text, need.wanted.by) == (30.0, "drop it", ("dba",))
    # whoever approves sees on which socket it is said, and approves it there only
    (where,) = need.wanted.parameters
    assert where.endswith("/chat?room=1")
    play.machine.waits(PENDING)
    assert play.target_sees() == b""
    # the other way goes on, and so does what keeps the connection alive
    play.target(frame(Opcode.TEXT, b"news"), frame(Opcode.PING, b"?"))
    assert play.client_gets() == frame(Opcode.TEXT, b"news") + frame(Opcode.PING, b"?")
    play.client(frame(Opcode.PONG, b"?", KEY))
    assert play.target_sees() == frame(Opcode.PONG, b"?", KEY)
    play.client(text("last"))
    assert play.target_sees() == b""
    said(play, APPROVED)
    assert play.target_sees() == text("drop it") + text("list") + text("more") + text("last")
    assert not play.closed
    events = play.recorded()
    assert [one["approval"] for one in notes(events, "approval-pending")] == ["apr_1"]
    assert [one["by"] for one in notes(events, "approval-approved")] == ["ada@corp"]
    assert [one[:2] for one in outcomes(events)] == [(2, "ok"), (3, "ok"), (4, "ok"), (5, "ok")]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (DENIED, "approval apr_1 was denied by ada@corp: not on a Friday"),
        (PENDING, "pending approval apr_1: a person decides"),
        (ApprovalSaid("apr_1", ApprovalState.EXPIRED), "approval apr_1 was not given in time"),
    ],
)
def test_one_that_nobody_approves_ends_the_connection_and_says_why(answer: ApprovalSaid, why: str) -> None:
    play, _ = waiting(text("list"))
    said(play, answer)
    assert play.client_gets() == frame(Opcode.CLOSE, closing(Code.POLICY, why))
    seen = play.target_sees()
    assert seen[:1] == b"\x88"
    assert b"list" not in seen
    assert play.closed
    events = play.recorded()
    (message,) = [one for one in outcomes(events) if one[0] == 2]
    assert (message[1], message[3]["code"], message[3]["message"]) == ("denied", "1008", why)


def test_what_comes_behind_has_a_bound_and_the_client_is_read_again_afterwards() -> None:
    play, _ = waiting()
    sent = 0
    while not play.held:
        play.client(text("x" * 10_000))
        sent += 1
    assert QUEUED_MOST - 11_000 < sent * 10_000 <= QUEUED_MOST
    play.client(text("one that was on its way"))
    said(play, APPROVED)
    assert not play.held
    assert play.target_sees().endswith(text("one that was on its way"))
    assert len(operations(play)) == sent + 2


def test_a_second_one_behind_the_first_is_asked_for_in_its_turn() -> None:
    play, first = waiting(text("drop that"), text("list"))
    said(play, APPROVED)
    assert play.target_sees() == text("drop it")
    (second,) = play.needs
    assert isinstance(second, AskApproval)
    assert (second.wanted.text, second.wanted.binding != first.wanted.binding) == ("drop that", True)
    said(play, APPROVED)
    assert play.target_sees() == text("drop that") + text("list")


def test_nobody_can_be_shown_a_message_that_is_no_text() -> None:
    play = talking(policy=Judging(asking))
    play.client(frame(Opcode.BINARY, b"\x00\xff drop", KEY))
    assert play.needs == []
    why = "rule ask wants an approval, and nobody can be shown a message that is no text"
    assert play.client_gets() == frame(Opcode.CLOSE, closing(Code.POLICY, why))
    assert play.closed


CLOSE = frame(Opcode.CLOSE, struct.pack("!H", 1000), KEY)


def test_a_goodbye_behind_it_waits_too_and_the_target_is_told_of_the_end_all_the_same() -> None:
    play, _ = waiting(CLOSE)
    assert play.target_sees() == b""
    said(play, APPROVED)
    assert play.target_sees() == text("drop it") + CLOSE
    play, _ = waiting(CLOSE)
    said(play, DENIED)
    assert play.target_sees()[:1] == b"\x88"


@pytest.mark.parametrize("who", ["client", "target", "gateway", "nonsense"])
def test_nothing_of_it_is_done_once_the_connection_has_ended(who: str) -> None:
    play, need = waiting()
    ends: dict[str, Any] = {
        "client": play.machine.client_gone,
        "target": play.machine.target_gone,
        "gateway": lambda: play.machine.cut("the run was revoked"),
        "nonsense": lambda: play.client(b"\xff\xff"),
    }
    ends[who]()
    assert need.given_up()
    assert b"drop it" not in play.target_sees()
    (message,) = [one for one in outcomes(play.recorded()) if one[0] == 2]
    assert message[1] == "cancelled"
    said(play, APPROVED)
    assert b"drop it" not in play.target_sees()
