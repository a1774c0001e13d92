"""`bodycam doctor`: what would keep a gateway from starting or recording, each with its fix."""

from pathlib import Path

import typer

from bodycam.cli.checks import Check, State, examine
from bodycam.cli.failure import NO
from bodycam.cli.options import Json, Settings
from bodycam.cli.printing import print_json, print_line

_SIGNS = {State.GOOD: "ok  ", State.WARNING: "warn", State.BAD: "BAD "}


def command(settings: Settings = "bodycam.yaml", as_json: Json = False) -> None:
    """Examine settings, keys, disk, sockets, catalog, control API, targets, clock; exits 1 if one is bad."""
    checks = examine(Path(settings))
    bad = any(one.state is State.BAD for one in checks)
    if as_json:
        found = [{"name": c.name, "state": c.state, "found": c.found, "fix": c.fix} for c in checks]
        print_json({"ok": not bad, "checks": found})
    else:
        for check in checks:
            _print(check)
    if bad:
        raise typer.Exit(NO)


def _print(check: Check) -> None:
    print_line(f"{_SIGNS[check.state]}  {check.name}: {check.found}")
    if check.fix:
        print_line(f"        fix: {check.fix}")
