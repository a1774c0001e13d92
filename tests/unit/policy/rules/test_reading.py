"""Which facts a condition reads, and what is said of names that there are not."""

import pytest

from bodycam.policy.rules.reading import UnknownName, clauses, paths


@pytest.mark.parametrize(
    ("condition", "read"),
    [
        ("op.sql.kinds.exists(k, k in ['drop'])", {"op.sql.kinds"}),
        ("op.sql.reads.size() > 0 && target.labels.env == 'prod'", {"op.sql.reads", "target.labels.env"}),
        ("target.labels['env'] == \"op.text\"", {"target.labels.env"}),
        ("has(target.labels.env) ? op.verb == 'query' : false", {"target.labels.env", "op.verb"}),
        ("has(op.sql)", {"op.sql"}),
        ("has(op.sql) && op.sql.ddl", {"op.sql", "op.sql.ddl"}),
        ("size(op.sql.writes) > 1 // op.nothing.here", {"op.sql.writes"}),
        ("op.text.startsWith(r'principal.\\d')", {"op.text"}),
        ('op.text == """a "op.verb" b"""', {"op.text"}),
        ("op.sql.kinds.filter(x, x != 'a').map(y, y + 'op.verb').size() > 0", {"op.sql.kinds"}),
        ("'dba' in principal.groups", {"principal.groups"}),
        ("usage.run.rows > 10 || now.hour < 6", {"usage.run.rows", "now.hour"}),
        ("run.labels == {'a': 'b'}", {"run.labels"}),
        ("op.facts['portal'] == 'x'", {"op.facts.portal"}),
        ("true", set()),
    ],
)
def test_what_is_read(condition: str, read: set[str]) -> None:
    assert paths(condition) == read


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("opp.verb == 'x'", "no such name: opp.verb (did you mean op.verb?)"),
        ("op.sql.kindz.size() > 0", "no such fact: op.sql.kindz (did you mean op.sql.kinds?)"),
        ("op.sql == null", "op.sql has many facts; name one of them, or ask has(op.sql)"),
        (
            "op.sql.kinds.exists(op, op == 'x')",
            "op is a fact already; call the variable of exists() otherwise",
        ),
        (
            "[1].exists(x, x == y)",
            "no such name: y; conditions read now, op, principal, run, session, target, usage",
        ),
    ],
)
def test_names_that_there_are_not(condition: str, said: str) -> None:
    with pytest.raises(UnknownName) as caught:
        paths(condition)
    assert said in str(caught.value)


def test_clauses() -> None:
    assert clauses("a && (b || !c(1, 2))") == [
        "a && (b || !c(1, 2))",
        "a",
        "(b || !c(1, 2))",
        "b || !c(1, 2)",
        "b",
        "!c(1, 2)",
    ]
    assert clauses("a ? b : c") == ["a ? b : c"]
