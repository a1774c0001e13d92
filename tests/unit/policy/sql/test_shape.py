"""A text has the facts of its shape: proved on every statement of the tables, with other numbers, and on heaps of words."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bodycam.policy.sql.analysis import SqlAnalysis, analyse
from bodycam.policy.sql.shape import LONGEST, shape, tells
from tests.unit.policy.sql.test_tables import CASES

NUMBERS = ("0", "1", "7", "00", "2147483647", "999999999", "000000000", "54", "123456")
NUMBER = re.compile(r"[0-9]+")
WORDS = sorted(
    {
        word
        for _, case in CASES
        for word in re.sub(r"([(),;=<>\[\]:.*+-])", r" \1 ", case["sql"]).split()
        if not set(word) & set("'\"$\\")
    }
)
PIECES = (
    "1", "23", "1.5", ".5", "5.", "1e5", "1e-5", "0x1F", "0b1", "0o7", "1_000", "a1", "t2.c3", "12ab", "e1", "-1",
    "(3)", "[1]", "[2:3]", "numeric(10,2)", "float(24)", "float(0)", "varchar(4)", "int[3]", "interval(3)", "bit(0)",
    "limit 5", "offset 5", "order by 1", "group by 2", "fetch first 3 rows only", "::", "cast(", "as", "=", "@1", "1..2",
    "set_config(1, 2, true)", "query_to_xml(1)", "nextval(5)", "lo_import(3)", "pg_read_file(1)", "from t1", ";",
)  # fmt: skip


def holds(text: str) -> None:
    """The shape's facts are the text's, or say that they are not to be used."""
    shaped = shape(text)
    if shaped is None:
        return
    assert shape(shaped) == shaped
    facts = analyse(shaped)
    if tells(facts):
        assert facts == analyse(text), text


@pytest.mark.parametrize("number", NUMBERS)
def test_the_tables_with_other_numbers(number: str) -> None:
    for _, case in CASES:
        holds(case["sql"])
        holds(NUMBER.sub(number, case["sql"]))
        # numbers where none were: beside names, and in the place of constants
        holds(re.sub(r"\$[0-9]+|'[^']*'", number, case["sql"]))
        holds(re.sub(r"\b(id|name|total)\b", number, case["sql"]))


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(
        ("select", "insert into t", "update t set a =", "delete from t where", "with w as (select")
    ),
    st.lists(st.sampled_from(WORDS) | st.sampled_from(PIECES) | st.sampled_from(NUMBERS), max_size=12),
    st.sampled_from((" ", "", "\n")),
)
def test_heaps_of_words(begins: str, words: list[str], between: str) -> None:
    holds(f"{begins} {between.join(words)}")


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([case["sql"] for _, case in CASES]), st.data())
def test_statements_with_a_number_put_in(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    piece = data.draw(st.sampled_from(PIECES) | st.sampled_from(NUMBERS))
    holds(text[:at] + data.draw(st.sampled_from(("", " "))) + piece + text[at:])


@pytest.mark.parametrize(
    ("text", "shaped"),
    [
        ("select a from t where id = 42;", "select a from t where id = 1;"),
        ("SELECT a1 FROM t2 WHERE e3=7 AND x IN(8,900)", "SELECT a1 FROM t2 WHERE e3=1 AND x IN(1,1)"),
        ("select 1.5, .5, 5., 1e5, 0x1F, 1_000, 12345678901", "select 1.5, .5, 5., 1e5, 0x1F, 1_000, 12345678901"),
        ("insert into t values (-3, 1::bigint)", "insert into t values (-1, 1::bigint)"),
        ("select a from t where id = 'x1'", None),
        ('select "1" from t', None),
        ("select $1", None),
        ("select 1 -- 2", None),
        ("select 1 /* 2 */", None),
        ("select cast(a as float(9))", None),
        ("select 1; set x = 2", None),
        ("set x = 2", None),
        ("execute p(1)", None),
        ("select 1 as ÿ2", None),
        ("select " + "1," * LONGEST + "1", None),
    ],
)  # fmt: skip
def test_what_has_a_shape(text: str, shaped: str | None) -> None:
    assert shape(text) == shaped


@pytest.mark.parametrize(
    "text",
    [
        "select set_config(1, {}, true)",
        "select query_to_xml({}, true, true, true)",
        "select 1 from ({}",
        "select {} into t",
    ],
)
def test_what_a_number_can_tell_is_looked_at_itself(text: str) -> None:
    analysis = SqlAnalysis()
    for number in (1, 22, 333):
        assert analysis.facts(text.format(number)) == analyse(text.format(number))


def test_statements_of_one_shape_are_parsed_once() -> None:
    analysis = SqlAnalysis()
    found = [analysis.facts(f"select abalance from accounts where aid = {number}") for number in range(1000)]
    assert all(one is found[0] for one in found)
    assert (analysis.texts.hits, analysis.texts.misses) == (999, 1)
    assert analysis.texts.kept[0] == 1
