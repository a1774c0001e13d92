"""What policy denies: the target refuses something else in its place, and all goes on as after any error."""

import struct

import pytest

from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Verdict
from bodycam.protocols.postgres import frontend
from tests.playbook import wire
from tests.playbook.conftest import log_in
from tests.playbook.play import Judging, Play


def no_drop(operation: Operation) -> Verdict:
    told = operation.text + "".join(str(value) for _, _, value in operation.parameters)
    dropped = "drop" in told
    return Verdict(
        Decision.DENY if dropped else Decision.ALLOW,
        "no-drop" if dropped else "access",
        "p1",
        "not here",
        "ask",
    )


@pytest.fixture
def guarded(play: Play) -> Play:
    """A connection whose policy denies whatever says `drop`."""
    play.policy = Judging(no_drop)
    log_in(play)
    play.client_gets(), play.target_sees(), play.recorded()
    return play


def ends(play: Play) -> list[tuple[int, str]]:
    return [(exchange, body[0]) for kind, exchange, body in play.journal.entries if kind is Kind.FINISH][1:]


def told(play: Play) -> list[str]:
    """The tags of what the client gets, an error with its code."""
    from bodycam.protocols.postgres import backend
    from bodycam.protocols.postgres.codec import Framer

    framer = Framer(limit=1 << 20, streamed=frozenset())
    buffer, frames = framer.feed(play.client_gets())
    said = []
    for tag, start, end, _ in frames:
        if tag == ord("E"):
            error = backend.error_map(buffer[start:end])
            said.append(f"E {error['code']} {error['message']}")
        else:
            said.append(chr(tag))
    return said


SYNTAX = wire.error("42601", "syntax error")
NO_STATEMENT = wire.error("26000", "prepared statement does not exist")


def test_a_denied_query_is_a_syntax_error_at_the_target_and_ours_for_the_client(guarded: Play) -> None:
    guarded.client(wire.query("drop table t"))
    seen = guarded.target_sees()

    assert b"drop table" not in seen
    assert frontend.query(seen) == 'denied by bodycam: rule "no-drop"'

    guarded.target(SYNTAX, wire.ready())
    assert told(guarded) == ["E 42501 denied by rule no-drop: not here", "Z"]
    assert ends(guarded) == [(2, "denied")]

    guarded.client(wire.query("select 1"))
    guarded.target(wire.columns(("n", 23)), wire.row(b"1"), wire.complete("SELECT 1"), wire.ready())
    assert told(guarded) == ["T", "D", "C", "Z"]
    assert ends(guarded) == [(2, "denied"), (3, "ok")]


def test_in_a_transaction_the_status_is_what_the_target_says(guarded: Play) -> None:
    guarded.client(wire.query("begin"))
    guarded.target(wire.complete("BEGIN"), wire.ready("T"))
    guarded.client_gets()

    guarded.client(wire.query("drop table t"))
    guarded.target(SYNTAX, wire.ready("E"))

    assert guarded.client_gets().endswith(wire.ready("E"))


def test_a_denied_parse_is_one_of_the_same_name_and_what_is_behind_it_is_passed_over(guarded: Play) -> None:
    guarded.client(
        wire.parse("drop table t", "s"),
        wire.bind(statement="s"),
        wire.execute(),
        wire.SYNC,
        wire.query("select 1"),
    )
    seen = guarded.target_sees()
    assert b"drop table" not in seen
    assert frontend.parse(seen[: 1 + int.from_bytes(seen[1:5], "big")])[0] == "s"

    guarded.target(SYNTAX, wire.ready())
    guarded.target(wire.complete("SELECT 0"), wire.ready())

    assert told(guarded) == ["E 42501 denied by rule no-drop: not here", "Z", "C", "Z"]
    assert ends(guarded) == [(2, "denied"), (3, "skipped"), (4, "ok")]


def test_a_denied_parse_leaves_the_statement_that_had_its_name(guarded: Play) -> None:
    guarded.client(wire.parse("select 1", "s"), wire.SYNC)
    guarded.target(wire.PARSED, wire.ready())
    guarded.client(wire.parse("drop table t", "s"), wire.SYNC)
    guarded.target(SYNTAX, wire.ready())
    guarded.recorded()

    guarded.client(wire.bind(statement="s"), wire.execute(), wire.SYNC)

    assert [body[1] for kind, _, body in guarded.recorded() if kind is Kind.REQUEST] == ["select 1"]


def test_values_that_are_denied_bind_nothing(guarded: Play) -> None:
    guarded.client(wire.parse("select $1", "s"), wire.SYNC)
    guarded.target(wire.PARSED, wire.ready())
    guarded.target_sees(), guarded.client_gets()

    guarded.client(wire.bind(b"drop it", statement="s"), wire.describe("P"), wire.execute(), wire.SYNC)
    seen = guarded.target_sees()
    first = seen[: 1 + int.from_bytes(seen[1:5], "big")]
    assert b"drop it" not in seen
    assert frontend.bind(first)[1].startswith("denied by bodycam ")
    assert seen[len(first) :] == wire.describe("P") + wire.execute() + wire.SYNC

    guarded.target(NO_STATEMENT, wire.ready())
    assert told(guarded) == ["E 42501 denied by rule no-drop: not here", "Z"]


def test_a_portal_bound_before_and_denied_at_its_execution_runs_nothing(guarded: Play) -> None:
    held = []

    def later(operation: Operation) -> Verdict:
        denied = operation.verb == "execute"
        held.append(operation.verb)
        return Verdict(Decision.DENY if denied else Decision.ALLOW, "late", "p1", "no")

    guarded.policy._said = later
    guarded.client(wire.parse("select 1"), wire.bind(portal="c"), wire.SYNC)
    guarded.target(wire.PARSED, wire.BOUND, wire.ready())
    guarded.target_sees()

    guarded.client(wire.execute("c"), wire.SYNC)

    assert frontend.execute(guarded.target_sees()[:-5])[0].startswith("denied by bodycam ")
    assert held == ["prepare", "bind", "execute"]


def test_a_denied_function_call_calls_none(guarded: Play) -> None:
    guarded.policy._said = lambda operation: Verdict(Decision.DENY, "no", "p1", "no")
    guarded.client(wire.message(b"F", struct.pack(">IHH", 1234, 0, 0), struct.pack(">H", 0)))

    assert frontend.function_call(guarded.target_sees()) == (0, ())
    guarded.target(wire.error("42883", "no such function"), wire.ready())
    assert told(guarded) == ["E 42501 denied by rule no: no", "Z"]


def test_a_target_that_refuses_for_another_reason_says_so_itself(guarded: Play) -> None:
    guarded.client(wire.query("drop table t"))
    guarded.target(wire.error("57014", "cancelled"), wire.ready())

    assert told(guarded) == ["E 57014 cancelled", "Z"]
    assert ends(guarded) == [(2, "cancelled")]


def test_a_target_that_takes_what_nobody_could_take_ends_the_session(guarded: Play) -> None:
    guarded.client(wire.parse("drop table t"), wire.SYNC)
    guarded.target(wire.PARSED, wire.ready())

    assert guarded.closed


def test_one_denial_in_a_pipeline_denies_what_follows_up_to_the_sync_and_no_more(guarded: Play) -> None:
    def run(sql: str) -> bytes:
        return wire.parse(sql) + wire.bind() + wire.execute()

    guarded.client(
        run("select 1"), run("drop table t"), run("select 2"), wire.SYNC, run("select 3"), wire.SYNC
    )
    assert b"drop table" not in guarded.target_sees()

    guarded.target(wire.PARSED, wire.BOUND, wire.complete("SELECT 1"), SYNTAX, wire.ready())
    guarded.target(wire.PARSED, wire.BOUND, wire.complete("SELECT 3"), wire.ready())

    assert told(guarded) == [
        "1", "2", "C", "E 42501 denied by rule no-drop: not here", "Z", "1", "2", "C", "Z",
    ]  # fmt: skip
    outcomes = [outcome for _, outcome in ends(guarded)]
    assert outcomes.count("denied") == 1
    assert "unknown" not in outcomes


def test_an_alert_is_noted_with_the_exchange_that_it_is_about(guarded: Play) -> None:
    guarded.policy._said = lambda operation: Verdict(Decision.ALLOW, "access", "p1", alerts=("watch",))
    guarded.client(wire.query("select 1"))

    notes = [(exchange, body) for kind, exchange, body in guarded.recorded() if kind is Kind.NOTE]
    assert notes == [(2, {"note": "alert", "rule": "watch", "policy": "p1"})]


def test_rules_that_change_in_mid_session_are_noted_once(guarded: Play) -> None:
    guarded.policy._said = lambda operation: Verdict(Decision.ALLOW, "access", "p2")
    guarded.client(wire.query("select 1"), wire.query("select 2"))

    notes = [body for kind, _, body in guarded.recorded() if kind is Kind.NOTE]
    assert notes == [{"note": "policy", "version": "p2"}]


def test_the_dialect_that_the_target_reports_is_a_fact_of_what_is_asked_next(guarded: Play) -> None:
    guarded.client(wire.query("set standard_conforming_strings = off"))
    guarded.target(wire.complete("SET"), wire.status("standard_conforming_strings", "off"), wire.ready())
    guarded.recorded()
    guarded.client(wire.query("select 1"), wire.parse("select 2"))

    facts = [body[3] for kind, _, body in guarded.recorded() if kind is Kind.REQUEST]
    assert [fact["dialect"] for fact in facts] == ["standard_conforming_strings is off"] * 2
