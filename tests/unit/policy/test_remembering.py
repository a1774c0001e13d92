"""Verdicts are remembered by the shape of a text, where nothing else than its facts can have made them."""

from bodycam.model.operation import PREPARES, Operation
from bodycam.policy.decision import DecisionPoint, SessionJudge
from bodycam.policy.rules.compiling import compile_rules
from bodycam.policy.sql.analysis import SqlAnalysis
from bodycam.policy.sql.facts import SqlFacts
from tests.unit.policy.rules.cases import Subject, query, settings, told

NO_PAYROLL = "  - {name: no-payroll, when: 'op.sql.reads.exists(t, t == \"payroll\")', then: deny}\n"


class Counting:
    """The analysis, and for which texts it was asked for facts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._inner = SqlAnalysis()

    def facts(self, text: str) -> SqlFacts:
        self.asked.append(text)
        return self._inner.facts(text)

    def shape(self, text: str) -> str | None:
        return self._inner.shape(text)


def judging(rules: str) -> tuple[SessionJudge, Counting]:
    analysis = Counting()
    point = DecisionPoint(compile_rules(settings(rules)), "p1", languages={"postgres": analysis})
    return point.open(Subject()), analysis


def test_one_verdict_serves_all_statements_of_a_shape() -> None:
    judge, analysis = judging(NO_PAYROLL)
    first = judge.decide(query("select a from payroll where id = 1"))
    asked = len(analysis.asked)
    again = [judge.decide(query(f"select a from payroll where id = {number}")) for number in range(2, 200)]

    assert told(first) == "deny no-payroll"
    assert all(verdict is first for verdict in again)
    assert len(analysis.asked) == asked
    assert told(judge.decide(query("select a from orders where id = 1"))) == "allow"
    assert (
        told(judge.decide(query("select a from payroll where id = 1", verb="execute"))) == "deny no-payroll"
    )


def test_a_rule_that_reads_the_text_reads_every_text() -> None:
    judge, _ = judging("  - {name: r, when: 'op.text.contains(\"666\")', then: deny}\n" + NO_PAYROLL)

    said = [told(judge.decide(query(f"select a from t where id = {n}"))) for n in (1, 666, 2, 666)]
    assert said == ["allow", "deny r", "allow", "deny r"]


def test_what_a_number_tells_is_judged_by_itself() -> None:
    judge, _ = judging("  - {name: r, when: 'op.sql.settings.exists(s, s == \"1=7\")', then: deny}\n")

    said = [told(judge.decide(query(f"select set_config(1, {n}, true)"))) for n in (1, 7, 2, 7)]
    assert said == ["allow", "deny r", "allow", "deny r"]


def test_a_parse_under_no_name_is_judged_once() -> None:
    judge, analysis = judging(NO_PAYROLL)
    text = "select a from payroll where id = $1"
    first = judge.decide(query(text, verb="prepare"))
    asked = len(analysis.asked)

    assert told(first) == "deny no-payroll"
    assert judge.decide(query(text, verb="prepare")) is first
    assert len(analysis.asked) == asked


def test_a_parse_under_no_name_needs_no_person_though_its_execution_does() -> None:
    judge, _ = judging("  - {name: ask, when: 'op.sql.writes.size() > 0', then: require_approval}\n")
    text = "insert into t values ($1)"

    for _ in range(2):
        assert told(judge.decide(query(text, verb="prepare"))) == "allow"
        assert told(judge.decide(query(text, verb="execute"))) == "pending ask"


def test_what_is_put_under_a_name_is_learnt_each_time() -> None:
    judge, _ = judging(NO_PAYROLL)

    def prepare(name: str, text: str) -> Operation:
        return query(text, verb="prepare", **{PREPARES: name})

    for name in ("one", "two"):
        assert told(judge.decide(prepare(name, "select a from t where id = $1"))) == "allow"
        assert told(judge.decide(query(f"execute {name}(5)"))) == "allow"
