"""How exchanges are listed: one line each, for show, search, tail and the demo."""

from collections.abc import Mapping, Sequence
from typing import Any

from bodycam.cli.asked import asked
from bodycam.cli.printing import print_table, size, took, when
from bodycam.cli.visible import visible

_TEXT_WIDTH = 160


def one_line(exchange: Mapping[str, Any]) -> str:
    """When, where, what, and how it went; harmless text."""
    parts = [
        when(exchange.get("started")),
        str(exchange.get("session") or ""),
        f"#{exchange.get('number')}" if exchange.get("number") is not None else "",
        statement(exchange),
        outcome(exchange),
        took(exchange.get("duration_us")),
    ]
    return visible("  ".join(part for part in parts if part))


def statement(exchange: Mapping[str, Any]) -> str:
    """The text with its parameters, on one line and cut."""
    text = " ".join(asked(exchange.get("verb"), exchange.get("text")).split())
    values = parameters_text(exchange.get("parameters"))
    shown = text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + "…"
    return f"{shown} [{values}]" if values else shown


def parameters_text(parameters: Any) -> str:
    """Parameters for people, from the API's text or from a list of values."""
    if isinstance(parameters, list):
        shown = [one.get("text") if isinstance(one, dict) else one for one in parameters]
        text = ", ".join("NULL" if one is None else str(one) for one in shown)
    else:
        # the index has one value a line
        text = ", ".join(str(parameters or "").split("\n"))
    return text if len(text) <= _TEXT_WIDTH else text[: _TEXT_WIDTH - 1] + "…"


def outcome(exchange: Mapping[str, Any]) -> str:
    """Status, rows or bytes, and error."""
    error = " ".join(str(exchange.get(name) or "") for name in ("code", "error")).strip()
    rows = exchange.get("rows")
    counted = f"{rows} row{'' if rows == 1 else 's'}" if rows is not None else ""
    if not rows and exchange.get("bytes"):
        # of what has no rows, or a result without any: how much it was
        counted = size(exchange["bytes"])
    return " ".join(part for part in (str(exchange.get("status") or ""), counted, error) if part)


def print_exchanges(exchanges: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """A table of exchanges in the order given; of their traces only where one claims any."""
    traced = any(one.get("trace") for one in exchanges)
    print_table(
        ["time", "session", "#", "operation", "status", "took", *(["trace"] if traced else [])],
        [
            (
                when(one.get("started")),
                one.get("session"),
                one.get("number"),
                statement(one),
                outcome(one),
                took(one.get("duration_us")),
                *([str(one.get("trace") or "")[3:35]] if traced else []),
            )
            for one in exchanges
        ],
        empty=empty,
    )
