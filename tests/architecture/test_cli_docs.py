"""docs/command-line.md and the command line agree, both ways: commands, arguments, options, variables."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from bodycam.cli import failure
from bodycam.cli.main import COMMANDS, build
from bodycam.net import control_access
from bodycam.run.command import run

PAGE = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text()


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if not below:
        yield path, command
        return
    for name, one in below.items():
        yield from leaves(one, f"{path} {name}")


def documented() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        head, _, body = section.partition("\n")
        found[head.strip("` ")] = set(re.findall(r"^\| `([^`]+)` \|", body.split("\n## ")[0], re.MULTILINE))
    return found


def in_the_app() -> dict[str, set[str]]:
    root = typer.main.get_command(build({"run": run}))
    found = {}
    for path, command in leaves(root, "bodycam"):
        names = set()
        for parameter in command.params:
            if "--help" not in parameter.opts:
                option = parameter.param_type_name == "option"
                names.add(
                    ", ".join(parameter.opts) if option else (parameter.metavar or parameter.name.upper())
                )
        found[path] = names
    return found


def test_every_command_with_its_options_is_documented_and_nothing_else() -> None:
    assert documented() == in_the_app()


def test_each_command_has_its_module() -> None:
    folder = Path(__file__).parents[2] / "src" / "bodycam" / "cli"
    for module in COMMANDS.values():
        assert (folder / f"{module.replace('.', '/')}.py").exists()


def test_the_variables_are_documented() -> None:
    ours = {
        value for name, value in vars(control_access).items() if name.isupper() and str(value)[:4] == "BODY"
    }
    assert set(re.findall(r"`(BODYCAM_[A-Z_]+)`", PAGE)) == ours


def test_the_exit_codes_are_documented() -> None:
    codes = {value for name, value in vars(failure).items() if name.isupper()}
    table = PAGE.split("## Exit codes")[1].split("\n## ")[0]
    assert codes <= {int(one) for one in re.findall(r"^\| (\d+)", table, re.MULTILINE)}
