"""Command lines and the facts that they have: one file of tables/ a theme; facts that are not named there are empty."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bodycam.policy.shell.analysis import analyse
from bodycam.policy.shell.facts import FACTS

TABLES = sorted((Path(__file__).parent / "tables").glob("*.yaml"))
CASES = [(table.stem, case) for table in TABLES for case in yaml.safe_load(table.read_text())]


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=f"{theme}: {case['text'][:60]!r}") for theme, case in CASES]
)
def test_a_command_line_has_these_facts(case: dict[str, Any]) -> None:
    expected = {name: value for name, value in case.items() if name != "text"}
    if "programs" in expected:
        expected.setdefault("programs_written", expected["programs"])
    facts = analyse(case["text"])
    found = {name: value for name in FACTS if (value := getattr(facts, name))}
    assert {
        name: list(value) if isinstance(value, tuple) else value for name, value in found.items()
    } == expected


def test_the_tables_say_enough() -> None:
    assert len(TABLES) >= 7
    assert len(CASES) >= 700
    assert len({case["text"] for _, case in CASES}) == len(CASES)
