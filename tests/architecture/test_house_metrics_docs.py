"""docs/operations.md and the table of metrics have the same names, both ways."""

import re
from pathlib import Path

from bodycam.api.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
LISTED = PAGE.split("| metric | means |")[1].split("\n\n")[0]


def test_every_metric_is_described_once_and_every_described_one_exists() -> None:
    first_cells = [line.split("|")[1] for line in LISTED.splitlines() if line.startswith("| `")]
    described = re.findall(r"`(bodycam_\w+)`", " ".join(first_cells))
    assert sorted(described) == sorted(one.name for one in METRICS)


def test_no_other_place_on_the_page_names_a_metric_that_is_not() -> None:
    assert set(re.findall(r"\bbodycam_\w+", PAGE)) <= {one.name for one in METRICS}


def test_counters_end_in_total_and_gauges_do_not() -> None:
    for one in METRICS:
        assert one.name.endswith("_total") == one.counter
