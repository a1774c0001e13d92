"""Rules over command lines: what they name, what hides from them, and what they say nothing of."""

import pytest

from bodycam.model.operation import ENVIRONMENT, Operation
from bodycam.model.target import Target
from bodycam.policy.decision import DecisionPoint, SessionJudge
from bodycam.policy.rules.compiling import compile_rules
from bodycam.policy.shell.analysis import COMMAND_LINE, ShellAnalysis
from bodycam.policy.trial import Bar, Change, Recorded, Trial, judged_again
from tests.unit.policy.rules.cases import Clock, Subject, query, settings, told

NO_RM = "  - {name: no-rm, when: 'op.shell.programs.exists(p, p == \"rm\")', then: deny}\n"


def judge(rules: str, more: str = "") -> SessionJudge:
    return point(rules, more).open(Subject(target=Target("orders", "postgres", {"env": "prod"})))


def point(rules: str, more: str = "") -> DecisionPoint:
    made = settings(rules, more)
    return DecisionPoint(
        compile_rules(made),
        "p1",
        deny_unknown=made.judging.unknown.value == "deny",
        languages={"postgres": ShellAnalysis()},
        clock=Clock(),
    )


def line(text: str, verb: str = COMMAND_LINE) -> Operation:
    return Operation(verb, text)


@pytest.mark.parametrize(
    ("condition", "text", "said"),
    [
        ('op.shell.programs.exists(p, p == "rm")', "ls; sudo r''m -rf /", "deny r"),
        ('op.shell.programs.exists(p, p == "rm")', "echo rm", "allow"),
        ('op.shell.programs.exists(p, p == "rm")', "$X rm", "deny unknown-effect"),
        ('!op.shell.programs.all(p, p in ["ls", "cat"])', "ls | cat", "allow"),
        ('!op.shell.programs.all(p, p in ["ls", "cat"])', "ls | wc", "deny r"),
        ('op.shell.programs_written.exists(p, p.startsWith("/tmp/"))', "/tmp/x", "deny r"),
        ('op.shell.argv.exists(a, a.startsWith("git push"))', "cd /x && git 'push' -f", "deny r"),
        ('op.shell.pipes.exists(p, p == "curl|sh")', "curl x | sudo sh -c 'cat'", "deny r"),
        ("op.shell.sudo.size() > 0", "nice sudo -u bob ls", "deny r"),
        ('op.shell.writes.exists(w, w.startsWith("/etc/"))', "echo x > /srv/../etc/passwd", "deny r"),
        ('!op.shell.deletes.all(d, d.startsWith("/tmp/"))', "rm /tmp/a", "allow"),
        ('!op.shell.deletes.all(d, d.startsWith("/tmp/"))', "ls | xargs rm", "deny r"),
        ("op.shell.interpreters.size() > 0", "python3 -c 'x'", "deny r"),
        ("op.shell.substitutions || op.shell.background", "echo $(ls)", "deny r"),
        ('op.shell.unknown.exists(u, u == "script is data")', "cat x | sh", "deny unknown-effect"),
        ("has(op.shell)", "ls", "deny r"),
        ("has(op.sql)", "ls", "allow"),
    ],
)
def test_conditions_over_command_lines(condition: str, text: str, said: str) -> None:
    assert told(judge(f"  - {{name: r, when: '{condition}', then: deny}}\n").decide(line(text))) == said


def test_what_hides_what_it_runs_is_denied_where_a_rule_asks_for_it() -> None:
    hidden = line("echo cm0= | base64 -d | sh")
    verdict = judge(NO_RM).decide(hidden)

    assert told(verdict) == "deny unknown-effect"
    assert "script is data" in verdict.message
    assert told(judge(NO_RM, "judging: {unknown: allow}\n").decide(hidden)) == "allow"
    assert told(judge("  - {name: night, when: 'now.hour < 6', then: deny}\n").decide(hidden)) == "allow"


def test_rules_over_command_lines_say_nothing_of_other_operations() -> None:
    for verb, text in (("shell", ""), ("sftp-open", "/etc/rm"), ("env", "rm")):
        assert told(judge(NO_RM).decide(line(text, verb))) == "allow"
    sql = DecisionPoint(compile_rules(settings(NO_RM)), "p1").open(Subject())
    assert told(sql.decide(query("select 1"))) == "allow"


def test_the_same_text_is_asked_about_once_and_another_one_anew() -> None:
    asked = judge(NO_RM)
    said = [told(asked.decide(line(text))) for text in ("ls 1", "rm 1", "ls 1", "ls 2", "rm 1")]
    assert said == ["allow", "deny no-rm", "allow", "allow", "deny no-rm"]


def test_facts_of_a_command_line_are_for_rules_alone_and_stay_out_of_what_is_recorded() -> None:
    asked = line("curl -H 'Authorization: x' https://x | sudo tee /etc/x")
    assert told(judge(NO_RM).decide(asked)) == "allow"
    assert dict(asked.facts) == {}


def test_an_approval_is_bound_to_the_very_text_and_to_the_verb() -> None:
    asked = judge(NO_RM)
    bound = [asked.binding(line(text, verb)) for text, verb in
             (("ls", "exec"), ("ls ", "exec"), ("l''s", "exec"), ("ls", "shell"), ("ls\udcff", "exec"))]  # fmt: skip
    assert len(set(bound)) == 5
    assert asked.binding(line("ls")) == bound[0]


def test_facts_of_a_text_that_was_redacted_are_not_at_hand() -> None:
    bar = Bar(settings(NO_RM), point(NO_RM))
    trial = Trial(agent="bot", target="orders", text="curl -H [bodycam:token] x", session="a", verb="exec")
    plain = Trial(agent="bot", target="orders", text="rm x", session="a", verb="exec")
    changes: list[Change] = list(
        judged_again(bar, [Recorded(trial, "allow", True, 1), Recorded(plain, "allow", False, 2)])
    )
    assert [(one.now, one.recorded.exchange) for one in changes] == [("undecidable", 1), ("deny", 2)]


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ((), "allow"),
        (("LANG=C", "LC_ALL=C"), "allow"),
        (("BASH_ENV=/tmp/rm",), "deny unknown-effect"),
        (("BASH_FUNC_ls%%=() { rm x; }",), "deny unknown-effect"),
        (("LANG=C", "1 more"), "deny unknown-effect"),
        (("GIT_SSH_COMMAND=rm x",), "deny r"),
    ],
)
def test_variables_that_a_client_asks_for_count_as_set_by_the_command_line(
    environment: tuple[str, ...], said: str
) -> None:
    judging = judge("  - {name: r, when: '\"GIT_SSH_COMMAND\" in op.shell.assigns', then: deny}\n")
    assert told(judging.decide(line("ls"))) == "allow"
    assert told(judging.decide(Operation(COMMAND_LINE, "ls", facts={ENVIRONMENT: environment}))) == said


def test_an_approval_is_bound_to_the_variables_that_were_asked_for() -> None:
    judging = judge(NO_RM)
    bound = [
        judging.binding(Operation(COMMAND_LINE, "git fetch", facts={ENVIRONMENT: environment}))
        for environment in [(), ("LANG=C",), ("GIT_SSH_COMMAND=rm x",)]
    ]
    assert len(set(bound)) == 3
