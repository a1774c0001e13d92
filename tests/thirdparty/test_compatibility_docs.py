"""docs/compatibility.md lists the differences that the suites allow, each with its reason, and no other."""

import re
from pathlib import Path

from tests.thirdparty.asyncpg_differences import DIFFERENCES

PAGE = (Path(__file__).parents[2] / "docs" / "compatibility.md").read_text()


def test_the_page_has_each_difference_with_its_reason_and_no_other() -> None:
    listed = dict(re.findall(r"^\| `(test_\w+::\w+::\w+)` \| (.+) \|$", PAGE, re.MULTILINE))

    assert listed == DIFFERENCES
