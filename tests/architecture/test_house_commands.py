"""Every `bodycam ...` and `./dev ...` that a page names exists, with its options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from bodycam.cli.main import build
from bodycam.run.command import run

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
PROGRAM = typer.main.get_command(build({"run": run}))
TASKS = set(re.findall(r"^([a-z]+)\)$", (ROOT / "dev").read_text(), re.MULTILINE))


def spoken(page: Path) -> Iterator[str]:
    """What stands in backticks and in blocks of shell, line by line."""
    text = page.read_text()
    for block in re.findall(r"^```(?:sh|ini)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for span in re.findall(r"`([^`]+)`", prose):
        yield " ".join(span.split())


def calls(page: Path, program: str) -> list[str]:
    """Each command line of a program that the page names, from the program's arguments on."""
    found = re.compile(rf"(?:^|(?<=[\s(/]))(?:[\w./$-]*/)?{re.escape(program)} ([a-z][^|;&>)]*)")
    return [match.group(1).strip() for line in spoken(page) for match in found.finditer(line)]


def check(line: str) -> None:
    try:
        given = shlex.split(line)
    except ValueError:
        given = line.split()
    command: Any = PROGRAM
    while given and getattr(command, "commands", None):
        name = given.pop(0)
        alternatives = name.split("|")
        for one in alternatives:
            assert one in command.commands, f"there is no bodycam {line}"
        command = command.commands[alternatives[0]]
    options = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in given:
        if word == "--":
            break
        if re.match(r"--?[a-z]", word):
            assert word.partition("=")[0] in options, f"bodycam {line}: there is no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_exists(page: Path) -> None:
    for line in calls(page, "bodycam"):
        check(line)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_task_exists(page: Path) -> None:
    for line in calls(page, "./dev"):
        for task in line.split()[0].split("|"):
            assert task in TASKS, f"there is no ./dev {line}"


def test_every_task_is_in_the_usage_of_dev() -> None:
    usage = (ROOT / "dev").read_text().split("<<'TEXT'")[1].split("TEXT")[0]
    assert {one for one in TASKS if re.search(rf"^  {one}\b", usage, re.MULTILINE)} == TASKS


def test_something_is_found_at_all() -> None:
    assert len(calls(ROOT / "README.md", "bodycam")) > 10
    assert {"demo", "test"} <= {line.split()[0] for line in calls(ROOT / "README.md", "./dev")}


@pytest.mark.parametrize("line", ["fly", "runs fly", "verify --flying", "run --agent x --flying -- psql"])
def test_what_does_not_exist_is_noticed(line: str) -> None:
    with pytest.raises(AssertionError):
        check(line)
