"""Rules that can't be used are named by place before anything of them is."""

import pytest

from bodycam.policy.rules.compiling import BadRules, compile_rules
from tests.unit.policy.rules.cases import settings


def faults(rules: str) -> list[str]:
    with pytest.raises(BadRules) as caught:
        compile_rules(settings(rules))
    return [f"{'.'.join(map(str, path))}: {said}" for path, said in caught.value.findings]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("op.verb ==", "rules.0.when: expected a condition in CEL: syntax error at 1:11: mismatched input"),
        ("op.verbb == 'x'", "rules.0.when: no such fact: op.verbb (did you mean op.verb?)"),
        ("op.verb == 'x' && op.sql.statements + 'a' == 'b'", "rules.0.when: No such overload"),
        ("op.verb == 'never' && op.sql.kinds > 3", "rules.0.when: No such overload"),
        ("op.verb", "rules.0.when: expected a condition that is true or false"),
        ("foo(op.verb)", "rules.0.when: Undefined variable or function: 'foo'"),
        ("op.text.matches('(')", "rules.0.when: "),
        ("target.labels.team == 'x'",
         "rules.0.when: expected every target that the rule is about to carry the label team, and orders does"),
    ],
)  # fmt: skip
def test_conditions(condition: str, said: str) -> None:
    (fault,) = faults(f'  - {{name: r, when: "{condition}", then: deny}}')
    assert fault.startswith(said)


def test_an_exception_is_tried_as_well() -> None:
    (fault,) = faults("  - {name: r, when: 'true', unless: 'op.nope', then: deny}")
    assert fault.startswith("rules.0.unless: no such fact: op.nope")


def test_a_label_may_be_asked_for_first_or_targets_selected() -> None:
    compile_rules(
        settings(
            "  - {name: a, when: 'has(target.labels.team) && target.labels.team == \"x\"', then: deny}\n"
            "  - {name: b, when: 'target.labels.env == \"x\"', then: deny}\n"
            "  - {name: c, when: 'has(run.labels.a) && run.labels.a == \"x\"', then: deny}\n"
        )
    )


def test_presets_that_are_not_there_and_presets_that_contradict() -> None:
    assert faults("  - {preset: read-mostly}") == [
        "rules.0.preset: expected one of no-bulk-export, no-destructive-sql, no-program, no-unclear-requests, read-only"
    ]
    (fault,) = faults("  - {preset: read-only}\n  - {preset: read-only, then: alert}")
    assert fault.startswith("rules.1.then: expected what rule 1 says")
    compile_rules(
        settings(
            "  - {preset: read-only, targets: {names: [orders]}}\n"
            "  - {preset: read-only, then: alert, targets: {names: [lab]}}\n"
            "  - {preset: no-program, agents: [bot]}\n"
            "  - {preset: no-program, agents: [other], then: alert}\n"
        )
    )


def test_every_fault_of_every_rule_is_told_at_once() -> None:
    assert len(faults("  - {name: a, when: '1', then: deny}\n  - {name: b, when: 'x', then: deny}")) == 2
