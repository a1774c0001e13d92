"""Facts are made once for each text, and what is kept is bounded."""

from bodycam.policy.sql.analysis import SqlAnalysis
from bodycam.policy.sql.facts import SqlFacts


def test_a_text_is_analysed_once() -> None:
    analysis = SqlAnalysis()
    first = analysis.facts("select 1")
    assert analysis.facts("select 1") is first
    assert (analysis.hits, analysis.misses) == (1, 1)
    assert analysis.seconds > 0


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


def test_the_longest_unused_goes_first() -> None:
    analysis = SqlAnalysis(max_count=2)
    kept = analysis.facts("select 1")
    analysis.facts("select 2")
    analysis.facts("select 1")
    analysis.facts("select 3")
    assert analysis.kept == (2, len("select 1select 3"))
    assert analysis.facts("select 1") is kept
    analysis.facts("select 2")
    assert analysis.misses == 4


def test_what_is_kept_is_bounded_by_size() -> None:
    analysis = SqlAnalysis(max_bytes=100)
    for number in range(50):
        analysis.facts(f"select {number}")
    count, size = analysis.kept
    assert size <= 100
    assert count == 100 // len("select 49")


def test_a_long_text_pushes_nothing_out() -> None:
    analysis = SqlAnalysis(max_text=20)
    analysis.facts("select 1")
    assert analysis.facts("select 1, 2, 3, 4, 5, 6").kinds == ("select",)
    assert analysis.kept == (1, 8)


def test_what_does_not_parse_is_remembered_too() -> None:
    analysis = SqlAnalysis()
    assert analysis.facts("selekt 1").unknown == ("does not parse",)
    assert analysis.facts("selekt 1").unknown == ("does not parse",)
    assert (analysis.hits, analysis.misses) == (1, 1)
