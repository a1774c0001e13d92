"""docs/access.md says what conditions may read, which acts and roles there are, and its examples load."""

import re
from pathlib import Path

import yaml

from bodycam.config import parse
from bodycam.config.viewing import Act
from bodycam.policy.access import Role
from bodycam.policy.viewing import VOCABULARY, check_viewing

PAGE = (Path(__file__).parents[2] / "docs" / "access.md").read_text()


def section(title: str) -> str:
    return re.split(r"\n##+ ", PAGE.split(f" {title}\n", 1)[1])[0]


def first_cells(title: str) -> list[str]:
    return re.findall(r"^\| `([^`]+)` \|", section(title), re.MULTILINE)


def test_the_facts_are_those_that_conditions_may_read() -> None:
    rows = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", section("What conditions read"), re.MULTILINE))
    known = {f"{one.path}.NAME" if one.open else one.path: one.meaning for one in VOCABULARY.known}
    assert rows == known


def test_the_acts_and_the_roles_are_those_that_there_are() -> None:
    assert first_cells("Grants") == [act.value for act in Act]
    assert first_cells("Roles") == [role.value for role in Role]


def test_the_example_loads() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    settings = parse(example, file="example", folder=Path("/x"), checks=[check_viewing])
    assert [grant.name for grant in settings.viewing] == [
        one["name"] for one in yaml.safe_load(example)["viewing"]
    ]
