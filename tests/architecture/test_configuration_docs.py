"""docs/configuration.md lists exactly the settings that there are, with their defaults; its examples load."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bodycam.config import parse, schema
from bodycam.registry import WANTS

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"
SCHEMA = schema()
ROW = re.compile(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \| (.+) \|$", re.MULTILINE)
EXAMPLE = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def resolved(node: Mapping[str, Any]) -> Mapping[str, Any]:
    for branch in node.get("anyOf", ()):
        if branch.get("type") not in ("null", "string") or "properties" in branch:
            return resolved(branch)
    reference = node.get("$ref")
    return node if reference is None else resolved(SCHEMA["$defs"][reference.rpartition("/")[2]])


def settings(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every setting with its place, as `section.key`, `section.NAME.key` or `list[].key`."""
    for name, field in node.get("properties", {}).items():
        path, inner = f"{prefix}{name}", resolved(field)
        yield path, field
        yield from settings(inner, f"{path}.")
        for key in ("additionalProperties", "patternProperties"):
            value = inner.get(key)
            if isinstance(value, dict):
                value = next(iter(value.values())) if key == "patternProperties" else value
                yield from settings(resolved(value), f"{path}.NAME.")
        if isinstance(inner.get("items"), dict):
            yield from settings(resolved(inner["items"]), f"{path}[].")


KNOWN = {path: field for path, field in settings(SCHEMA) if "properties" not in resolved(field)}


def documented() -> dict[str, tuple[str, str]]:
    return {path: (default.strip(), meaning) for path, _, default, meaning in ROW.findall(PAGE.read_text())}


def test_every_setting_is_documented_and_every_documented_setting_exists() -> None:
    pages = {path for path in documented() if path != "listen.PROTOCOL"}
    assert sorted(KNOWN) == sorted(pages)


@pytest.mark.parametrize("path", sorted(KNOWN))
def test_the_documented_default_is_the_default(path: str) -> None:
    field, (default, meaning) = KNOWN[path], documented()[path]
    assert len(meaning) > 10
    if path == "roles.admin.groups":
        # the one default that belongs to the place and not to the type
        groups = parse("", file="x", folder=Path("/x")).roles.admin.groups
        assert default == f"`{json.dumps(groups)}`"
    elif field.get("default") is not None:
        value = field["default"] if field["default"] != "" else None
        shown = value if isinstance(value, str) else json.dumps(value)
        assert default == ("empty" if value is None else f"`{shown}`")


EXAMPLES = [
    example
    for page in (PAGE, PAGE.parent / "http.md", PAGE.parent / "ssh.md")
    for example in EXAMPLE.findall(page.read_text())
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_loads(example: str) -> None:
    parse(example, file="example.yaml", folder=Path("/srv/bodycam"), protocols=WANTS)


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3
