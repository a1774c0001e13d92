"""`bodycam redact`: a value that leaked is taken out of recordings and index."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from bodycam.cli.door import knock
from bodycam.cli.failure import NO, USAGE, Failure
from bodycam.cli.options import Json, RunFilter, Settings, Url, span
from bodycam.cli.printing import print_json, print_line, print_table, tell

REDACT_SECONDS = 3600.0
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{32}")
_MOST = 4096


def command(
    reason: Annotated[str, typer.Option("--reason", help="Why; it enters the ledger's details.")],
    value_from: Annotated[
        str | None, typer.Option("--value-from", help="A file with the value, or - for standard input.")
    ] = None,
    fingerprint: Annotated[
        str | None, typer.Option("--fingerprint", help="Instead of the value: its fingerprint in leaks.")
    ] = None,
    hunt: Annotated[
        Path | None,
        typer.Option("--hunt", metavar="RULES", help="With --fingerprint: by which detectors it is found."),
    ] = None,
    run: RunFilter = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say where it is; change nothing.")] = False,
    held: Annotated[bool, typer.Option("--held", help="Also in recordings that a legal hold keeps.")] = False,
    wait: Annotated[
        str | None, typer.Option("--wait", help="Until open sessions are sealed, at most so long: 10m.")
    ] = None,
    settings: Settings = "bodycam.yaml",
    as_json: Json = False,
    url: Url = None,
) -> None:
    """Take a value out of sealed recordings, the index and the catalog; exits 1 if it stays in some.

    The value never stands on a command line: it is read from a file, without the line's end, or found in
    recordings by its fingerprint, on the gateway's machine.
    """
    if (value_from is None) == (fingerprint is None):
        raise Failure("expected one of --value-from and --fingerprint", code=USAGE)
    seconds = 0.0 if wait is None else span(wait, "--wait")
    value = _value(value_from) if value_from is not None else ""
    if fingerprint is not None:
        value = _found(fingerprint, hunt, run, settings, url)
    asked = {"value": value, "run": run, "reason": reason, "plan": plan, "held": held}
    with knock(url) as client:
        answer = client.post("/v1/redactions", asked | {"wait": seconds}, seconds=REDACT_SECONDS + seconds)
    if as_json:
        print_json(answer)
    else:
        found = {**(answer.get("sessions") or {}), **(answer.get("records") or {})}
        empty = "it is in no recording and no record of the catalog"
        print_table(["session or record", "values"], list(found.items()), empty=empty)
        if found:
            print_line("it would be masked in these" if plan else "it is masked in these")
        for name, why in _LEFT.items():
            for session in answer.get(name) or []:
                print_line(f"{why}: {session}")
        unsealed = answer.get("unsealed") or []
        for session in unsealed:
            print_line(f"not sealed yet, and not looked into: {session}")
        if unsealed:
            tell("run it again when they have ended, or wait for them with --wait")
    if any(answer.get(name) for name in _LEFT) or (wait is not None and answer.get("unsealed")):
        raise typer.Exit(NO)


_LEFT = {
    "held": "kept as it is by a legal hold",
    "unreadable": "can't be read",
    "waiting": "waits for the index: run it again",
    "named": "stays in what says whose recording it is",
}


def _found(fingerprint: str, rules: Path | None, run: str | None, settings: str, url: str | None) -> str:
    """The value with that fingerprint, which is never shown."""
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise Failure("a fingerprint is 32 hexadecimal digits, as bodycam leaks shows it", code=USAGE)
    # only this needs the archive's modules
    from bodycam.cli.hunting import value_of

    value = value_of(fingerprint.lower(), rules, run=run, jobs=None, settings=settings, url=url)
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Failure("the value with that fingerprint is no text", code=NO) from error


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
