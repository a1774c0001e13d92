"""An operation for which a rule wants a person: it waits, what comes behind it waits, and nobody is late."""

import pytest

from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Terms, Verdict
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.link import AskApproval
from tests.playbook import wire
from tests.playbook.conftest import log_in
from tests.playbook.play import Judging, Play
from tests.playbook.test_postgres_denials import ends, told

PENDING = ApprovalSaid("apr_1", ApprovalState.PENDING, url="https://gate/approvals/apr_1")
APPROVED = ApprovalSaid("apr_1", ApprovalState.APPROVED, by=("ada@corp",), reason="go")
DENIED = ApprovalSaid("apr_1", ApprovalState.DENIED, by=("ada@corp",), reason="not on a Friday")


def writes_wait(operation: Operation) -> Verdict:
    if "delete" not in operation.text:
        return Verdict(Decision.ALLOW, "access", "p1")
    if operation.verb == "prepare":
        return Verdict(Decision.ALLOW, "access", "p1")
    return Verdict(
        Decision.PENDING, "writes", "p1", "a person must agree", "", terms=Terms(("dba",), 2, 30, 60)
    )


@pytest.fixture
def watched(play: Play) -> Play:
    play.policy = Judging(writes_wait)
    log_in(play)
    play.client_gets(), play.target_sees(), play.recorded()
    return play


def asked(play: Play) -> AskApproval:
    need = play.needs[-1]
    assert isinstance(need, AskApproval)
    return need


def test_it_waits_is_approved_and_goes_on_with_what_came_behind(watched: Play) -> None:
    watched.client(wire.query("delete from t"), wire.query("select 1"))

    assert watched.target_sees() == b""
    need = asked(watched)
    assert (need.wait, need.wanted.by, need.wanted.minimum, need.wanted.text) == (
        30,
        ("dba",),
        2,
        "delete from t",
    )
    watched.machine.waits(PENDING)
    assert b"https://gate/approvals/apr_1" in watched.client_gets()

    watched.client(wire.query("select 2"))
    assert watched.target_sees() == b""

    watched.answer(APPROVED)
    assert watched.target_sees() == b"".join(
        wire.query(sql) for sql in ("delete from t", "select 1", "select 2")
    )
    watched.target(wire.complete("DELETE 3"), wire.ready())
    assert told(watched) == ["C", "Z"]
    notes = [body["note"] for kind, _, body in watched.recorded() if kind is Kind.NOTE]
    assert notes == ["approval-pending", "approval-approved"]


def test_what_came_in_pieces_while_it_waited_is_read_whole(watched: Play) -> None:
    behind = wire.query("select 'x'") + wire.query("select 'y'")
    watched.client(wire.query("delete from t") + behind[:3])
    for place in range(3, len(behind)):
        watched.client(behind[place : place + 1])
    watched.answer(APPROVED)

    assert watched.target_sees() == wire.query("delete from t") + behind


def test_it_is_denied_by_a_person_and_the_connection_lives_on(watched: Play) -> None:
    watched.client(wire.query("delete from t"))
    watched.answer(DENIED)

    assert b"delete" not in watched.target_sees()
    watched.target(wire.error("42601", "syntax error"), wire.ready())
    said = told(watched)
    assert said == [
        "E 42501 denied by rule writes: approval apr_1 was denied by ada@corp: not on a Friday", "Z",
    ]  # fmt: skip
    assert ends(watched) == [(2, "denied")]
    watched.client(wire.query("select 1"))
    assert watched.target_sees() == wire.query("select 1")


def test_nobody_decides_in_time_and_the_client_is_told_to_come_again(watched: Play) -> None:
    watched.client(wire.query("delete from t"))
    watched.machine.waits(PENDING)
    watched.client_gets()
    watched.answer(PENDING)
    watched.target(wire.error("42601", "syntax error"), wire.ready())

    assert "pending approval apr_1" in told(watched)[0]


def test_in_a_transaction_nobody_waits(watched: Play) -> None:
    watched.client(wire.query("begin"))
    watched.target(wire.complete("BEGIN"), wire.ready("T"))
    watched.client(wire.query("delete from t"))

    assert asked(watched).wait == 0


def test_with_answers_under_way_nobody_waits_either(watched: Play) -> None:
    watched.client(wire.query("select 1"), wire.query("delete from t"))

    assert asked(watched).wait == 0


def test_what_is_prepared_in_the_same_read_is_no_transaction(watched: Play) -> None:
    watched.client(wire.parse("delete from t"), wire.bind(), wire.describe("P"), wire.execute(), wire.SYNC)

    assert asked(watched).wait == 30


def test_what_was_executed_and_not_synced_is_one(watched: Play) -> None:
    watched.client(wire.parse("insert into t values (1)"), wire.bind(), wire.execute(), wire.FLUSH)
    watched.target(wire.PARSED, wire.BOUND, wire.complete("INSERT 0 1"))
    watched.client(wire.parse("delete from t"), wire.bind(), wire.execute(), wire.SYNC)

    assert asked(watched).wait == 0


def test_an_execution_waits_with_its_values_and_its_group_is_forwarded_whole(watched: Play) -> None:
    watched.client(wire.parse("delete from t where a = $1", "s"), wire.SYNC)
    watched.target(wire.PARSED, wire.ready())
    watched.target_sees()
    group = wire.bind(b"7", statement="s") + wire.execute() + wire.SYNC
    watched.client(group + wire.query("select 1"))

    assert watched.target_sees() == b""
    assert asked(watched).wanted.parameters == ("7",)
    watched.answer(APPROVED)
    assert watched.target_sees() == group + wire.query("select 1")


def test_a_client_that_left_is_never_executed_late(watched: Play) -> None:
    watched.client(wire.query("delete from t"))
    need = asked(watched)
    watched.machine.client_gone()

    assert need.over
    watched.machine.answer(APPROVED)
    assert b"delete" not in watched.target_sees()
    assert ends(watched) == [(2, "denied")]


def test_a_session_that_is_cut_is_never_executed_late(watched: Play) -> None:
    watched.client(wire.query("delete from t"))
    watched.machine.cut("revoked")
    watched.machine.answer(APPROVED)

    assert b"delete" not in watched.target_sees()
    assert watched.closed


def test_a_cancel_gives_it_up(watched: Play) -> None:
    watched.client(wire.query("delete from t"))
    need = asked(watched)
    watched.machine.cancel()

    assert need.over
    assert watched.knocks == []
    watched.target(wire.error("42601", "syntax error"), wire.ready())
    assert told(watched) == ["E 42501 denied by rule writes: the client cancelled it", "Z"]
    watched.machine.answer(APPROVED)
    assert b"delete" not in watched.target_sees()


def test_a_client_that_sends_on_and_on_is_refused_and_read_on(watched: Play) -> None:
    # one that is not read can't be seen to leave, and would have been executed late
    watched.client(wire.query("delete from t"))
    need = asked(watched)
    watched.client(wire.query("select '" + "x" * 600_000 + "'"))
    assert not need.over
    watched.client(wire.query("select '" + "y" * 600_000 + "'"))

    assert (need.over, watched.held) == (True, False)
    sent = watched.target_sees()
    assert (b"delete" in sent, len(sent) > 1_200_000) == (False, True)
    watched.target(wire.error("42601", "syntax error"), wire.ready())
    assert told(watched)[0].startswith(
        "E 42501 denied by rule writes: the client sent more than 1048576 bytes"
    )
    watched.machine.answer(APPROVED)
    assert watched.target_sees() == b""


def test_all_that_wants_a_person_is_refused_to_a_client_that_sends_on_and_on(watched: Play) -> None:
    many = 5_000
    watched.client(*[wire.query("delete from t")] * many)
    needs = len(watched.needs)
    watched.client(wire.query("select '" + "x" * (1 << 20) + "'"))

    assert len(watched.needs) == needs
    assert watched.machine._client.waiting is None  # type: ignore[attr-defined]
    assert b"delete" not in watched.target_sees()


def test_one_after_the_other_each_is_asked_for(watched: Play) -> None:
    watched.client(wire.query("delete from t"), wire.query("delete from u"))
    assert asked(watched).wanted.text == "delete from t"
    watched.answer(APPROVED)
    assert watched.target_sees() == wire.query("delete from t")
    assert asked(watched).wanted.text == "delete from u"
    watched.answer(DENIED)

    assert b"delete from u" not in watched.target_sees()


def test_nonsense_behind_what_waits_ends_the_session_once_it_is_read(watched: Play) -> None:
    watched.client(wire.query("delete from t") + b"\xff\0\0\0\4")
    watched.answer(APPROVED)

    assert watched.closed
    assert ends(watched)[0] == (2, "unknown")
