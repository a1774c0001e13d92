"""docs/policy-facts.md and the facts have the same names, both ways."""

import re
from pathlib import Path

from bodycam.policy.sql import analysis, bodies, parser
from bodycam.policy.sql.facts import FACTS, SqlFacts
from tests.unit.policy.sql.test_tables import CASES

PAGE = (Path(__file__).parents[2] / "docs" / "policy-facts.md").read_text()
WORDS = {"list": tuple, "truth": bool, "number": int}


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_fact_is_described_once_in_the_order_of_the_code_and_none_that_is_not() -> None:
    assert [cells[0].strip("`") for cells in rows("The facts")] == list(FACTS)


def test_the_form_of_each_fact_is_the_one_described() -> None:
    nothing = SqlFacts()
    for name, form, _ in rows("The facts"):
        assert type(getattr(nothing, name.strip("`"))) is WORDS[form], name


def test_the_kinds_are_those_that_statements_have() -> None:
    described = re.findall(r"`([a-z-]+)`", section("Kinds").strip().split("\n\n")[0])
    assert described == sorted(set(described))
    assert set(described) == {kind for _, case in CASES for kind in case.get("kinds", ())}


def test_the_reasons_are_those_that_the_code_gives() -> None:
    reasons = {
        parser.TOO_LARGE,
        parser.TOO_DEEP,
        parser.INVALID_ENCODING,
        parser.DOES_NOT_PARSE,
        parser.DYNAMIC_SQL,
        analysis.PARSER_FAILED,
        analysis.UNKNOWN_STATEMENT,
    }
    assert {cells[0].strip("`") for cells in rows("Unknown")} == reasons
    assert f"{parser.MAX_TEXT // 1024} KiB of text" in PAGE
    assert f"{parser.MAX_TREE // 1024 // 1024} MiB" in PAGE
    assert f"{bodies.MAX_BODIES:,} pieces of code" in PAGE
