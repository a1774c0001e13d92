"""docs/adding-a-protocol.md shows the contract as it is."""

import ast
import dataclasses
import re
import typing
from pathlib import Path

from bodycam.net import opening
from bodycam.protocols import Protocol
from bodycam.session import link, session

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "bodycam"
PAGE = (ROOT / "docs" / "adding-a-protocol.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_example_gives_each_field_of_a_protocol() -> None:
    calls = [
        node
        for example in EXAMPLES
        for node in ast.walk(ast.parse(example))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Protocol"
    ]
    assert len(calls) == 1
    assert [keyword.arg for keyword in calls[0].keywords] == [
        field.name for field in dataclasses.fields(Protocol)
    ]


def test_the_registry_has_the_line_that_the_page_shows() -> None:
    source = (SOURCE / "registry.py").read_text()
    line = next(line for line in EXAMPLES[1].splitlines() if line.startswith("PROTOCOLS"))
    assert line.replace(", ECHO)", ")") in source


def test_the_answers_to_a_look_are_all_there() -> None:
    table = PAGE.split("| answer | when |")[1].split("\n\n")[0]
    shown = dict(re.findall(r"^\| `(\w+)\(([^)]*)\)`", table, re.MULTILINE))
    for answer in typing.get_args(opening.Look):
        fields = [field.name for field in dataclasses.fields(answer)]
        assert shown.pop(answer.__name__) == ", ".join(fields)
    assert not shown


def test_what_a_machine_is_told_to_call_exists() -> None:
    source = (SOURCE / "session" / "session.py").read_text()
    owners = {
        "link": set(dir(link.Link)),
        "session": set(dir(session.Session)),
        "exchange": set(dir(session.Exchange)),
    }
    owners["session"] |= set(re.findall(r"self\.(\w+) = ", source))
    calls = set(re.findall(r"`[^`]*\b(link|session|exchange)\.([a-z]\w*)", re.sub(r"\]\([^)]*\)", "", PAGE)))
    for owner, name in calls - {("link", "py")}:
        assert name in owners[owner], f"{owner}.{name}"
    assert len(calls) >= 10
    for name in set(re.findall(r"\bAsk\w+", PAGE)):
        assert hasattr(link, name)
    for name in ("client_gone", "target_gone", "cut", "cancel", "from_client", "answer"):
        assert name in PAGE
        assert hasattr(link.Machine, name)
