"""docs/policy-facts.md and the facts of statements and command lines have the same names, both ways."""

import re
from pathlib import Path

from bodycam.policy.rules.condition import Condition
from bodycam.policy.shell import parser as shell_parser
from bodycam.policy.shell import reasons
from bodycam.policy.shell.facts import FACTS as SHELL_FACTS
from bodycam.policy.shell.facts import ShellFacts
from bodycam.policy.shell.files import FILES
from bodycam.policy.shell.special import SPECIAL
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


# -- command lines -----------------------------------------------------------------------------------------


def test_every_fact_of_command_lines_is_described_in_the_order_of_the_code() -> None:
    assert [cells[0].strip("`") for cells in rows("Facts of command lines")] == list(SHELL_FACTS)
    nothing = ShellFacts()
    for name, form, *_ in rows("Facts of command lines"):
        assert type(getattr(nothing, name.strip("`"))) is WORDS[form], name


def test_every_fact_of_command_lines_has_a_rule_over_it_that_compiles() -> None:
    for name, _, _, rule in rows("Facts of command lines"):
        condition = Condition(rule.strip("`"))
        assert condition.paths == {f"op.shell.{name.strip('`')}"}


def test_the_reasons_of_unknown_command_lines_are_those_that_the_code_gives() -> None:
    given = {value for name, value in vars(reasons).items() if name.isupper()}
    assert {cells[0].strip("`") for cells in rows("Unknown command lines")} == given
    assert f"{shell_parser.MAX_TEXT // 1024} KiB of text, or what it would become" in PAGE


def test_the_programs_whose_operands_are_known_are_in_the_code() -> None:
    named = set(re.findall(r"`([a-z]+)`", section("Programs whose operands are known")))
    assert named <= {*FILES, *SPECIAL}
