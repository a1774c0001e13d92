"""How exchanges are listed: one line each, for show, search, tail and the demo."""

from collections.abc import Mapping, Sequence
from typing import Any

from bodycam.cli.printing import print_table, took, when
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
    text = " ".join(str(exchange.get("text") or exchange.get("verb") or "").split())
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
    """Status, rows and error."""
    error = " ".join(str(exchange.get(name) or "") for name in ("code", "error")).strip()
    rows = exchange.get("rows")
    counted = f"{rows} row{'' if rows == 1 else 's'}" if rows is not None else ""
    return " ".join(part for part in (str(exchange.get("status") or ""), counted, error) if part)


def print_exchanges(exchanges: Sequence[Mapping[str, Any]], *, empty: str) -> None:
    """A table of exchanges in the order given."""
    print_table(
        ["time", "session", "#", "statement", "status", "took"],
        [
            (
                when(one.get("started")),
                one.get("session"),
                one.get("number"),
                statement(one),
                outcome(one),
                took(one.get("duration_us")),
            )
            for one in exchanges
        ],
        empty=empty,
    )
