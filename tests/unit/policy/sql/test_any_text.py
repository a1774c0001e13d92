"""Any text has facts, or a reason why it has none; nothing is raised."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from bodycam.policy.sql.analysis import PARSER_FAILED, UNKNOWN_STATEMENT, analyse
from bodycam.policy.sql.facts import FACTS
from tests.unit.policy.sql.test_tables import CASES

WORDS = sorted(
    {word for _, case in CASES for word in case["sql"].replace("(", " ( ").replace(",", " , ").split()}
)
statement = st.sampled_from([case["sql"] for _, case in CASES])


@settings(max_examples=400, deadline=None)
@given(st.text(st.characters(), max_size=200))
@example("\x00")
@example("\udc80")
@example("")
def test_any_text(text: str) -> None:
    assert set(analyse(text).as_cel()) == set(FACTS)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join))
def test_any_words_of_sql(text: str) -> None:
    told(text)


@settings(max_examples=600, deadline=None)
@given(statement, st.data())
def test_a_statement_with_a_piece_cut_out(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    told(text[:start] + text[data.draw(st.integers(start, len(text))) :])


@settings(max_examples=400, deadline=None)
@given(statement, statement)
def test_two_statements_have_the_facts_of_both(first: str, second: str) -> None:
    one, two, both = analyse(first), analyse(second), analyse(f"{first}\n;{second}")
    if "does not parse" in (*one.unknown, *two.unknown) or both.unknown == ("does not parse",):
        return
    assert both.statements == one.statements + two.statements
    for name in (
        "kinds",
        "reads",
        "writes",
        "functions",
        "objects",
        "settings",
        "roles",
        "executes",
        "unknown",
    ):
        assert set(getattr(both, name)) == {*getattr(one, name), *getattr(two, name)}, name
    assert (both.ddl, both.program) == (one.ddl or two.ddl, one.program or two.program)


def told(text: str) -> None:
    facts = analyse(text)
    assert PARSER_FAILED not in facts.unknown
    assert UNKNOWN_STATEMENT not in facts.unknown
    if not facts.unknown and facts.statements:
        assert facts.kinds
