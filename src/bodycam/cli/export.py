"""`bodycam export`: exchanges, transcripts, terminals or evidence, to a file or standard output."""

import csv
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from bodycam.cli.cast_files import FOR_EXPORT, write_casts
from bodycam.cli.door import kind_of, knock
from bodycam.cli.evidence import write_bundle
from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.options import Since, Until, Url, moment
from bodycam.cli.printing import tell
from bodycam.net.control_client import ControlClient


class Format(StrEnum):
    """What is written."""

    JSONL = "jsonl"
    CSV = "csv"


COLUMNS = (
    "id",
    "run",
    "session",
    "agent",
    "principal",
    "target",
    "number",
    "verb",
    "text",
    "parameters",
    "started",
    "duration_us",
    "status",
    "rows",
    "bytes",
    "code",
    "error",
)
ENTRY_COLUMNS = ("session", "at", "exchange", "type", "entry")


def command(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Runs or sessions; none: all.")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="jsonl or csv.")] = Format.JSONL,
    transcripts: Annotated[
        bool, typer.Option("--transcripts", help="Everything that was said, not a line an exchange.")
    ] = False,
    asides: Annotated[bool, typer.Option("--asides", help="Connections' own housekeeping too.")] = False,
    since: Since = None,
    until: Until = None,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="One run's bundle of evidence, for `bodycam verify`.")
    ] = False,
    asciicast: Annotated[
        str | None,
        typer.Option(
            "--asciicast",
            metavar="FILE",
            help="A recorded terminal as asciicast v3; with / at the end a folder for all of them.",
        ),
    ] = None,
    exchange: Annotated[
        int | None, typer.Option("--exchange", min=1, help="The number of the terminal that is wanted.")
    ] = None,
    with_input: Annotated[
        bool, typer.Option("--with-input", help="What was typed at the terminal too, seen or unseen.")
    ] = False,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", help="A file; - is standard output, the default but of a bundle."),
    ] = None,
    url: Url = None,
) -> None:
    """Export what was recorded. A file is written whole or not at all, and never overwritten."""
    if evidence:
        _evidence(ids or [], output, url)
        return
    if asciicast is not None:
        with knock(url) as client:
            write_casts(client, ids or [], asciicast, exchange=exchange, with_input=with_input)
        return
    output = output or "-"
    wanted = {"since": moment(since, "--since"), "until": moment(until, "--until")}
    with knock(url) as client:
        for identifier in ids or []:
            # a listing of what is not there is empty, which would pass for a run in which nothing happened
            client.get(f"/v1/{'runs' if kind_of(identifier) == 'run' else 'sessions'}/{identifier}")
        if transcripts:
            records = _entries(client, ids or [], wanted)
        else:
            records = _exchanges(client, ids or [], wanted, asides)
        count = _write(records, form, transcripts, output)
    tell(f"{count} {'entries' if transcripts else 'exchanges'}" + ("" if output == "-" else f" in {output}"))


def _evidence(ids: list[str], output: str | None, url: str | None) -> None:
    if len(ids) != 1 or kind_of(ids[0]) != "run":
        raise Failure(
            "a bundle of evidence is of one run", hint="bodycam export --evidence run_...", code=USAGE
        )
    with knock(url) as client:
        tell(f"the evidence is in {write_bundle(client, ids[0], output)}")


def _write(records: Iterator[dict[str, Any]], form: Format, transcripts: bool, output: str) -> int:
    columns, count = ENTRY_COLUMNS if transcripts else COLUMNS, 0
    with _destination(output) as file, _progress(output) as advance:
        table = csv.writer(file) if form is Format.CSV else None
        if table:
            table.writerow(columns)
        for record in records:
            if table:
                table.writerow(
                    [_cell(record.get(name)) for name in columns] if not transcripts else _flat(record)
                )
            else:
                file.write(json.dumps(record) + "\n")
            count += 1
            advance()
    return count


def _exchanges(
    client: ControlClient, ids: list[str], wanted: dict[str, float | None], asides: bool
) -> Iterator[dict[str, Any]]:
    if not ids:
        ids = _sessions(client, [], wanted)
    for identifier in ids:
        name = "run" if kind_of(identifier) == "run" else "session"
        for one in client.pages(
            "/v1/exchanges", "exchanges", {name: identifier, "asides": asides, **FOR_EXPORT}
        ):
            if _within(one, wanted):
                yield one


def _within(exchange: dict[str, Any], wanted: dict[str, float | None]) -> bool:
    started = float(exchange.get("started") or 0)
    since, until = wanted["since"], wanted["until"]
    return (since is None or started >= since) and (until is None or started < until)


def _entries(
    client: ControlClient, ids: list[str], wanted: dict[str, float | None]
) -> Iterator[dict[str, Any]]:
    for session in _sessions(client, ids, wanted):
        for entry in client.lines(f"/v1/sessions/{session}/transcript", FOR_EXPORT):
            yield {"session": session, **entry}


def _sessions(client: ControlClient, ids: list[str], wanted: dict[str, float | None]) -> list[str]:
    if not ids:
        return [str(one["id"]) for one in client.pages("/v1/sessions", "sessions", wanted)]
    found: list[str] = []
    for identifier in ids:
        if kind_of(identifier) == "ses":
            found.append(identifier)
        else:
            found += [str(one["id"]) for one in client.pages("/v1/sessions", "sessions", {"run": identifier})]
    return found


def _flat(entry: dict[str, Any]) -> list[Any]:
    rest = {name: value for name, value in entry.items() if name not in ENTRY_COLUMNS[:4]}
    return [entry.get(name) for name in ENTRY_COLUMNS[:4]] + [json.dumps(rest)]


def _cell(value: Any) -> Any:
    # a spreadsheet runs what begins like a formula; the quote makes it text (OWASP, CSV injection)
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


@contextmanager
def _destination(output: str) -> Iterator[TextIO]:
    if output == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    path = Path(output)
    if path.exists():
        raise Failure(f"{path} is there already", hint="choose another name or remove it", code=USAGE)
    # recordings are as sensitive as the data in them: mkstemp makes the file 0600
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        os.link(name, path)
    except FileExistsError as error:
        raise Failure(
            f"{path} is there already", hint="choose another name or remove it", code=USAGE
        ) from error
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def _progress(output: str) -> Iterator[Any]:
    console = Console(stderr=True)
    quiet = output == "-" or not console.is_terminal
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.completed} written"),
        console=console,
        disable=quiet,
        transient=True,
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda: progress.advance(task)
