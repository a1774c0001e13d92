"""Statements and the facts that they have: one file of tables/ a theme, all facts that are not named there are empty."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from bodycam.policy.sql.analysis import analyse

TABLES = sorted((Path(__file__).parent / "tables").glob("*.yaml"))
CASES = [(table.stem, case) for table in TABLES for case in yaml.safe_load(table.read_text())]


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{theme}: {case['sql'][:60]}") for theme, case in CASES],
)
def test_a_statement_has_these_facts(case: dict[str, Any]) -> None:
    expected = {name: value for name, value in case.items() if name != "sql"}
    if "unknown" not in expected or "kinds" in expected:
        expected.setdefault("statements", 1)
    found = {name: value for name, value in analyse(case["sql"]).as_cel().items() if value}
    assert found == expected


def test_the_tables_say_enough() -> None:
    assert len(TABLES) >= 10
    assert len(CASES) >= 600
    assert len({case["sql"] for _, case in CASES}) == len(CASES)
