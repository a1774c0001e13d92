"""`bodycam redact`: a value that leaked is taken out of recordings and index."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from bodycam.cli.door import knock
from bodycam.cli.failure import NO, USAGE, Failure
from bodycam.cli.options import Json, RunFilter, Url
from bodycam.cli.printing import print_json, print_line, print_table, tell

REDACT_SECONDS = 3600.0
_MOST = 4096


def command(
    value_from: Annotated[
        str, typer.Option("--value-from", help="A file with the value, or - for standard input.")
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why; it enters the ledger's details.")],
    run: RunFilter = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say where it is; change nothing.")] = False,
    held: Annotated[bool, typer.Option("--held", help="Also in recordings that a legal hold keeps.")] = False,
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Take a value out of sealed recordings and the index; exits 1 if it stays in some.

    The value never stands on a command line: it is read from a file, without the line's end.
    """
    asked = {"value": _value(value_from), "run": run, "reason": reason, "plan": plan, "held": held}
    with knock(url) as client:
        answer = client.post("/v1/redactions", asked, seconds=REDACT_SECONDS)
    if as_json:
        print_json(answer)
    else:
        found = answer.get("sessions") or {}
        print_table(["session", "values"], list(found.items()), empty="it is in no recording")
        if found:
            print_line("it would be masked in these" if plan else "it is masked in these")
        for name, why in _LEFT.items():
            for session in answer.get(name) or []:
                print_line(f"{why}: {session}")
        if answer.get("unsealed"):
            tell(f"{answer['unsealed']} sessions are not sealed yet and were not looked into")
    if any(answer.get(name) for name in _LEFT):
        raise typer.Exit(NO)


_LEFT = {
    "held": "kept as it is by a legal hold",
    "unreadable": "can't be read",
    "waiting": "waits for the index: run it again",
    "named": "stays in what says whose recording it is",
}


def _value(source: str) -> str:
    try:
        data = sys.stdin.buffer.read(_MOST + 2) if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise Failure(f"{source} can't be read: {error.strerror}", code=USAGE) from error
    data = data.removesuffix(b"\n").removesuffix(b"\r")
    if not 6 <= len(data) <= _MOST:
        raise Failure(f"the value in {source} has not 6 to {_MOST} bytes", code=USAGE)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Failure(f"the value in {source} is no UTF-8", code=USAGE) from error
