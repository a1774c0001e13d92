"""What rules say of operations: the strictest wins, what raises denies, and nothing is remembered too long."""

import pytest

from bodycam.model.identity import Grade
from bodycam.model.operation import Operation
from bodycam.model.target import Target
from bodycam.model.verdict import Decision
from bodycam.policy.decision import DecisionPoint
from bodycam.policy.rules.compiling import compile_rules
from tests.unit.policy.rules.cases import Clock, Subject, point, query, settings, told

NO_DROP = "  - {name: no-drop, when: 'op.sql.kinds.exists(k, k == \"drop\")', then: deny, message: stop, hint: ask}\n"


def test_without_rules_everything_is_allowed_under_the_version_that_opened_the_session() -> None:
    verdict = DecisionPoint().open(Subject()).decide(query("drop table t"))

    assert (verdict.decision, verdict.rule, verdict.policy) == (Decision.ALLOW, "access", "p1")


def test_a_rule_denies_and_says_why() -> None:
    judge = point(NO_DROP).open(Subject())
    verdict = judge.decide(query("drop table t"))

    assert (told(verdict), verdict.message, verdict.hint) == ("deny no-drop", "stop", "ask")
    assert told(judge.decide(query("select 1"))) == "allow"
    assert told(judge.decide(query("DROP VIEW v"))) == "deny no-drop"


def test_the_strictest_wins_whatever_the_order() -> None:
    rules = [
        "  - {name: watch, when: 'true', then: alert}\n",
        "  - {name: ask, when: 'op.sql.writes.size() > 0', then: require_approval, by: [dba], minimum: 2}\n",
        NO_DROP,
    ]
    for order in (rules, rules[::-1]):
        judge = point("".join(order)).open(Subject())
        read, written, dropped = (
            judge.decide(query(text)) for text in ("select 1", "insert into t values (1)", "drop table t")
        )
        assert [told(one) for one in (read, written, dropped)] == ["allow", "pending ask", "deny no-drop"]
        assert {one.alerts for one in (read, written, dropped)} == {("watch",)}
        assert written.terms is not None
        assert (written.terms.by, written.terms.minimum) == (("dba",), 2)


def test_an_exception_takes_an_operation_out() -> None:
    judge = point(
        "  - {name: r, when: 'op.sql.kinds.exists(k, k == \"drop\")', "
        "unless: 'op.sql.objects.all(o, o.startsWith(\"table:tmp_\"))', then: deny}\n"
    ).open(Subject())

    assert told(judge.decide(query("drop table tmp_1"))) == "allow"
    assert told(judge.decide(query("drop table tmp_1, t"))) == "deny r"


def test_a_rule_that_reads_the_text_is_asked_of_no_text_that_is_not_utf_8() -> None:
    judge = point("  - {name: r, when: 'op.text.contains(\"secret\")', then: deny}\n").open(Subject())
    verdict = judge.decide(query("select 'caf\udce9'"))

    assert told(verdict) == "deny unknown-effect"
    assert (verdict.message, "UTF8" in verdict.hint) == ("its text is not UTF-8, and a rule reads it", True)
    assert told(judge.decide(query("select 'café'"))) == "allow"


def test_a_rule_that_raises_denies_what_it_is_about() -> None:
    judge = point("  - {name: r, when: 'run.labels.change == \"yes\"', then: alert}\n").open(Subject())
    verdict = judge.decide(query("select 1"))

    assert told(verdict) == "deny r"
    assert "there is no run.labels.change to read" in verdict.message


@pytest.mark.parametrize(
    ("selectors", "said"),
    [
        ("agents: [bot]", "deny r"),
        ("agents: [other]", "allow"),
        ("targets: {names: [orders]}", "deny r"),
        ("targets: {labels: {env: lab}}", "allow"),
        ("agents: [bot], targets: {names: ['*']}", "deny r"),
    ],
)
def test_rules_are_for_some_agents_and_targets(selectors: str, said: str) -> None:
    judge = point(f"  - {{name: r, when: 'true', then: deny, {selectors}}}\n").open(Subject())

    assert told(judge.decide(query("select 1"))) == said


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("'dev' in principal.groups", "deny r"),
        ("principal.subject == 'ada' && principal.issuer == 'corp' && principal.kind == 'human'", "deny r"),
        ("run.agent == 'bot' && run.grade == 'advisory' && run.id.startsWith('run_')", "deny r"),
        ("run.labels.ticket == 'T-1'", "deny r"),
        ("target.name == 'orders' && target.protocol == 'postgres' && target.labels.env == 'prod'", "deny r"),
        ("session.database == 'orders'", "deny r"),
        ("op.parameters.exists(p, p == 'secret')", "deny r"),
        ("op.parameters.exists(p, p == null)", "allow"),
        ("op.facts.max_rows > 5", "deny r"),
        ("has(op.facts.portal)", "allow"),
        ("now.hour == 9 && now.weekday == 3 && now.unix > 0", "deny r"),
        ("has(op.sql) && op.verb == 'execute' && op.text == 'select $1'", "deny r"),
        ("usage.run.operations == 1 && usage.session.operations == 1 && usage.session.rows == 0", "deny r"),
    ],
)
def test_facts(condition: str, said: str) -> None:
    clock = Clock()
    clock.now = 1_795_599_000.0
    judge = point(f'  - {{name: r, when: "{condition}", then: deny}}\n', clock=clock).open(Subject())

    assert told(judge.decide(query("select $1", "secret", verb="execute", max_rows=7))) == said


def test_values_and_counts_are_asked_for_anew_each_time() -> None:
    judge = point(
        "  - {name: value, when: 'op.parameters.exists(p, p == \"7\")', then: deny}\n"
        "  - {name: rows, when: 'usage.run.rows > 100', then: deny}\n"
    ).open(Subject())

    assert told(judge.decide(query("select $1", "1", verb="execute"))) == "allow"
    assert told(judge.decide(query("select $1", "7", verb="execute"))) == "deny value"
    judge.moved(101)
    assert told(judge.decide(query("select $1", "1", verb="execute"))) == "deny rows"


def test_the_rate_is_of_the_run_over_all_its_sessions_and_of_the_last_minute() -> None:
    clock = Clock()
    decisions = point("  - {name: fast, when: 'usage.run.per_minute > 4', then: deny}\n", clock=clock)
    first, second = decisions.open(Subject()), decisions.open(Subject())

    said = [told(judge.decide(query("select 1"))) for judge in (first, second) * 3]
    assert said == ["allow"] * 4 + ["deny fast"] * 2
    clock.now += 61
    assert told(first.decide(query("select 1"))) == "allow"


def test_what_hides_its_effect_is_denied_where_a_rule_asks_for_effects() -> None:
    hidden = query("do $$ begin execute current_setting('x'); end $$")

    assert told(point(NO_DROP).open(Subject()).decide(hidden)) == "deny unknown-effect"
    assert told(point(NO_DROP, "judging: {unknown: allow}\n").open(Subject()).decide(hidden)) == "allow"
    about_time = point("  - {name: night, when: 'now.hour < 6', then: deny}\n")
    assert told(about_time.open(Subject()).decide(hidden)) == "allow"
    assert told(point(NO_DROP).open(Subject()).decide(query("selec 1"))) == "deny unknown-effect"
    assert told(point(NO_DROP).open(Subject()).decide(query("f", verb="function"))) == "deny unknown-effect"


@pytest.mark.parametrize(
    "text",
    [
        "set standard_conforming_strings = off",
        "set standard_conforming_strings to 'no'",
        "select set_config('standard_conforming_strings', 'off', false)",
        "set client_encoding to 'SJIS'",
        "set names 'big5'",
        "alter role app set standard_conforming_strings = off",
        "select set_config(name, setting, false) from pg_settings",
        "select set_config(name, 'of', false) from pg_settings",
        "select set_config(name, 'Shift_JIS', false) from pg_settings",
    ],
)
def test_what_changes_how_statements_are_read_is_denied(text: str) -> None:
    assert told(point(NO_DROP).open(Subject()).decide(query(text))) == "deny dialect"


def test_what_pg_dump_asks_for_changes_nothing_in_how_statements_are_read() -> None:
    text = (
        "select set_config(name, 'view, foreign-table', false) from pg_settings "
        "where name = 'restrict_nonsystem_relation_kind'"
    )
    assert told(point(NO_DROP).open(Subject()).decide(query(text))) == "allow"


def test_a_connection_that_reads_statements_in_another_way_is_denied_all_of_them() -> None:
    judge = point(NO_DROP).open(Subject())
    assert told(judge.decide(query("select 1"))) == "allow"

    assert (
        told(judge.decide(query("select 1", dialect="standard_conforming_strings is off"))) == "deny dialect"
    )


def test_what_runs_by_a_name_is_judged_by_all_that_was_prepared_under_it() -> None:
    judge = point(NO_DROP, "judging: {unknown: deny}\n").open(Subject())

    assert told(judge.decide(query("execute p"))) == "deny unknown-effect"
    assert told(judge.decide(query("prepare p as select 1"))) == "allow"
    assert told(judge.decide(query("execute p"))) == "allow"
    assert told(judge.decide(query("", verb="execute", named="p"))) == "allow"
    assert told(judge.decide(query("", verb="execute", named="q"))) == "deny unknown-effect"
    assert told(judge.decide(query("select 2", verb="prepare", statement="w"))) == "allow"
    assert told(judge.decide(query("execute w"))) == "allow"


def test_a_name_that_may_stand_for_another_text_is_judged_by_both() -> None:
    judge = point(
        "  - {name: no-delete, when: 'op.sql.kinds.exists(k, k == \"delete\")', unless: "
        "'op.sql.kinds.exists(k, k == \"prepare\")', then: deny}\n"
    ).open(Subject())
    assert told(judge.decide(query("select 1", verb="prepare", statement="s"))) == "allow"
    assert told(judge.decide(query("deallocate s; prepare s as delete from t"))) == "allow"

    doubted = query("select 1", verb="execute", doubt="another may be there", statement="s")
    assert told(judge.decide(doubted)) == "deny no-delete"


def test_approval_is_for_what_acts_and_not_for_preparing_it() -> None:
    judge = point("  - {name: ask, when: 'op.sql.writes.size() > 0', then: require_approval}\n").open(
        Subject()
    )

    assert told(judge.decide(query("delete from t", verb="prepare", statement="s"))) == "allow"
    assert told(judge.decide(query("delete from t", verb="execute"))) == "pending ask"


def test_housekeeping_is_not_judged() -> None:
    from bodycam.model.operation import Operation, Weight

    judge = point("  - {name: all, when: 'true', then: deny}\n").open(Subject())
    assert told(judge.decide(Operation("sync", "", weight=Weight.ASIDE, inert=True))) == "allow"


def test_changed_rules_hold_in_sessions_that_are_open() -> None:
    decisions = point(NO_DROP)
    judge = decisions.open(Subject())
    assert told(judge.decide(query("truncate t"))) == "allow"
    decisions.adopt(compile_rules(settings("  - {preset: no-destructive-sql}\n")), "p2")
    verdict = judge.decide(query("truncate t"))

    assert (told(verdict), verdict.policy) == ("deny no-destructive-sql", "p2")
    assert judge.decide(query("select 1")).policy == "p2"


def test_an_approval_is_bound_to_who_what_and_where() -> None:
    decisions = point(NO_DROP)
    judge = decisions.open(Subject())
    plain = judge.binding(query("delete from t where a = $1", "1"))

    assert plain == decisions.open(Subject()).binding(
        query("delete from t where a = $1", "1", verb="execute")
    )
    others = [
        judge.binding(query("delete from t where a = $1", "2")),
        judge.binding(query("delete from t where a = $1 ", "1")),
        decisions.open(Subject(database="x")).binding(query("delete from t where a = $1", "1")),
        decisions.open(Subject(target=Target("lab", "postgres", {"env": "lab"}))).binding(
            query("delete from t where a = $1", "1")
        ),
    ]
    judge.decide(query("set search_path to evil"))
    others.append(judge.binding(query("delete from t where a = $1", "1")))
    judge.decide(query("set role boss"))
    others.append(judge.binding(query("delete from t where a = $1", "1")))
    assert len({plain, *others}) == len(others) + 1


def test_what_is_no_statement_is_bound_to_its_verb_too() -> None:
    judge = point(NO_DROP).open(Subject(target=Target("api", "other", {})))
    url = "https://api.example.com/items/1"

    assert judge.binding(Operation("GET", url)) != judge.binding(Operation("DELETE", url))
    assert judge.binding(Operation("GET", url)) == judge.binding(Operation("GET", url))


@pytest.mark.parametrize(
    ("preset", "denied", "allowed"),
    [
        ("read-only",
         ["insert into t values (1)", "with x as (delete from t returning *) select * from x",
          "select 1 into t", "explain analyze update t set a = 1", "select nextval('s')", "create table t (a int)",
          "grant select on t to x", "copy t from stdin", "copy t to program 'x'", "call p()", "truncate t",
          "select lo_import('/etc/passwd')", "vacuum t", "lock table t in access exclusive mode; delete from t"],
         ["select * from t", "explain select 1", "show all", "begin", "commit", "set search_path = x",
          "copy t to stdout", "declare c cursor for select 1", "fetch 3 from c", "values (1)"]),
        ("no-destructive-sql",
         ["drop table t", "truncate t", "select 1; drop schema s cascade", "DROP/**/TABLE t", "drop database d",
          "prepare p as select 1; drop view v"],
         ["delete from t", "select 'drop table t'", "create table t (a int)"]),
        ("no-program",
         ["copy t from program 'curl x'", "copy t to '/tmp/x'", "load 'x'", "create extension dblink",
          "alter system set x = 1", "select pg_read_file('x')"],
         ["copy t to stdout", "copy t from stdin", "select 1"]),
        ("no-bulk-export",
         ["copy t to stdout", "copy (select * from t) to stdout"],
         ["select * from t", "copy t from stdin"]),
    ],
)  # fmt: skip
def test_presets(preset: str, denied: list[str], allowed: list[str]) -> None:
    judge = point(f"  - {{preset: {preset}}}\n").open(Subject())

    assert [text for text in denied if told(judge.decide(query(text))) != f"deny {preset}"] == []
    assert [
        (text, told(judge.decide(query(text))))
        for text in allowed
        if told(judge.decide(query(text))) != "allow"
    ] == []


def test_grades_are_facts() -> None:
    from dataclasses import replace

    subject = Subject()
    subject.run = replace(subject.run, grade=Grade.ISOLATED)
    judge = point("  - {name: r, when: 'run.grade != \"isolated\"', then: deny}\n").open(subject)
    assert told(judge.decide(query("select 1"))) == "allow"


def test_a_mask_written_back_is_denied_where_results_are_masked() -> None:
    decisions = point(NO_DROP)
    judge = decisions.open(Subject())
    written = query("update t set a = '[bodycam:pii.card]'")
    assert told(judge.decide(written)) == "allow"
    decisions.adopt((), "p2", masks=True)

    assert told(judge.decide(written)) == "deny mask-written-back"
    assert (
        told(judge.decide(query("update t set a = $1", "x [Bodycam:pii.card:1234]")))
        == "deny mask-written-back"
    )
    assert told(judge.decide(query("update t set a = $1", "bodycam"))) == "allow"


def test_a_name_with_too_many_meanings_hides_its_effect() -> None:
    judge = point(NO_DROP).open(Subject())
    for number in range(200):
        assert (
            told(judge.decide(query(f"select {number} from t{number}", verb="prepare", statement="s")))
            == "allow"
        )
    assert told(judge.decide(query("execute s"))) == "deny unknown-effect"


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (b"\0drop", "deny contains"),
        (b"a\0b", "deny nul"),
        (b"\xff\xfe drop", "deny contains"),
        (b"\xff", "allow"),
        (b"x" * 1_000_000, "allow"),
        (b"x" * 1_000_000 + b"drop", "deny contains"),
    ],
)
def test_parameters_of_any_bytes_get_a_clear_verdict(value: bytes, wanted: str) -> None:
    judge = point(
        "  - {name: contains, when: 'op.parameters.exists(p, p.contains(\"drop\"))', then: deny}\n"
        "  - {name: nul, when: 'op.parameters.exists(p, p.matches(\"a.b\"))', then: deny}\n"
    ).open(Subject())
    operation = Operation("execute", "select $1", ((25, 0, value), (17, 1, value)))
    assert told(judge.decide(operation)) == wanted
