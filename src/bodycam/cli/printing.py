"""What goes to standard output and standard error: JSON, tables, plain lines."""

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bodycam.cli.visible import visible

_PIPE_WIDTH = 10_000


def print_json(value: object) -> None:
    """One JSON document on standard output; ASCII only, so that nothing in it can drive a terminal."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def print_json_line(value: object) -> None:
    """One JSON document on a line of its own, sent at once."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def print_line(text: str = "") -> None:
    """One line on standard output, made harmless."""
    sys.stdout.write(visible(text) + "\n")


def print_raw(text: str) -> None:
    """Text that was made harmless already, sent at once."""
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(text: str) -> None:
    """One line for the person at the terminal, on standard error; never part of a command's output."""
    sys.stderr.write(visible(text, keep="\n") + "\n")
    sys.stderr.flush()


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str, sparse: Collection[str] = ()
) -> None:
    """A table without borders; without rows, `empty` is said on standard error instead.

    Columns in `sparse` are left out where none of the rows has anything in them.
    """
    rows = list(rows)
    kept = [at for at, name in enumerate(columns) if name not in sparse or any(row[at] for row in rows)]
    table = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for at in kept:
        table.add_column(columns[at], overflow="fold")
    for row in rows:
        table.add_row(*(Text(visible(_text(row[at]))) for at in kept))
    if table.row_count == 0:
        tell(empty)
        return
    terminal = sys.stdout.isatty()
    # in a pipe there is no screen to fit: every row keeps its line
    console = Console(highlight=False, width=None if terminal else _PIPE_WIDTH)
    console.print(table)


def print_facts(facts: Mapping[str, object]) -> None:
    """Names and values under each other; empty values are left out."""
    width = max((len(name) for name in facts), default=0)
    for name, value in facts.items():
        if value not in (None, "", [], {}):
            print_line(f"{name:<{width}}  {_text(value)}")


def when(value: Any) -> str:
    """A time of the API (seconds of the Unix epoch, or ISO 8601 text) as local time."""
    if value is None or value == "":
        return ""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    return str(value)


def labels_text(labels: Any) -> str:
    """Labels as k=v, sorted."""
    return " ".join(f"{k}={v}" for k, v in sorted(labels.items())) if isinstance(labels, dict) else ""


def took(microseconds: Any) -> str:
    """A duration for people."""
    if not isinstance(microseconds, int | float):
        return ""
    if microseconds < 1000:
        return f"{microseconds:.0f} us"
    return f"{microseconds / 1e3:.1f} ms" if microseconds < 1e6 else f"{microseconds / 1e6:.2f} s"


def size(count: int) -> str:
    """A number of bytes for people."""
    if count < 1024:
        return f"{count} B"
    return f"{count / 1024:.1f} KiB" if count < 1024 * 1024 else f"{count / 1024 / 1024:.1f} MiB"


def _text(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dict():
            return labels_text(value)
        case list() | tuple():
            return ", ".join(_text(one) for one in value)
        case _:
            return str(value)
