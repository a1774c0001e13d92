"""Facts are made once for each text."""

from bodycam.policy.sql.analysis import SqlAnalysis
from bodycam.policy.sql.facts import SqlFacts


def test_a_text_is_analysed_once() -> None:
    analysis = SqlAnalysis()
    first = analysis.facts("select a")
    assert analysis.facts("select a") is first
    assert (analysis.texts.hits, analysis.texts.misses) == (1, 1)


def test_the_form_for_conditions_is_made_once() -> None:
    facts = SqlAnalysis().facts("prepare p as select id from orders")
    assert facts.as_cel() is facts.as_cel()
    assert facts.as_cel()["prepares"] == [["p", "select id from orders"]]
    assert facts == SqlFacts(
        kinds=("prepare", "select"),
        statements=1,
        reads=("orders",),
        columns_read=("orders.id",),
        prepares=(("p", "select id from orders"),),
    )


def test_what_does_not_parse_is_remembered_too() -> None:
    analysis = SqlAnalysis()
    assert analysis.facts("selekt 1").unknown == ("does not parse",)
    assert analysis.facts("selekt 1").unknown == ("does not parse",)
    assert (analysis.texts.hits, analysis.texts.misses) == (1, 1)
