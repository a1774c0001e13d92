"""What a masked view shows of a recording: what was done, and no values.

The one place where it is decided, over the words that all protocols' transcripts are made of. Shown are
verbs, times, counts, outcomes, codes, verdicts, and names: of columns, and those in statements. Not shown are
constants in statements, parameters, rows, streams, what errors and notices say, and the details of notes.
What is no statement of a language that can be read is not shown at all.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from bodycam.model.transcript import (
    Asked,
    Body,
    Columns,
    Done,
    Entry,
    Frame,
    Message,
    Noted,
    Output,
    Rows,
    Shown,
    Terminal,
)

HIDDEN: Final = "[hidden]"

Literals = Callable[[str], str | None]
"""Takes the constants out of a statement; None for what it can't read."""

_TOLD_NOTES: Final = frozenset({"opened"})
"""Notes whose details are the gateway's own and say nothing but what listings do."""


def announcement(grant: str) -> Entry:
    """The first entry of a masked transcript."""
    return Entry(0, 0, Noted("masked", f"your view of this recording has no values (by the grant {grant})"))


def entry(one: Entry, literals: Literals | None) -> Entry | None:
    """An entry without values; None where nothing of it is left."""
    body = _body(one.body, literals)
    return None if body is None else Entry(one.at, one.exchange, body)


def statement(text: str, literals: Literals | None) -> str:
    """What was asked, without its constants."""
    if not text:
        return text
    said = None if literals is None else literals(text)
    return HIDDEN if said is None else said


def exchange(plain: Mapping[str, Any], literals: Literals | None) -> dict[str, Any]:
    """An exchange of the index as answers show it, without values."""
    return {
        **plain,
        "text": statement(plain["text"], literals),
        "parameters": HIDDEN if plain["parameters"] else "",
        "error": HIDDEN if plain["error"] else "",
        "trace": None,
    }


def _body(body: Body, literals: Literals | None) -> Body | None:
    match body:
        case Asked(parameters=parameters, verdict=verdict):
            return Asked(
                body.verb,
                statement(body.text, literals),
                tuple(Shown(one.type, HIDDEN) for one in parameters),
                body.aside,
                None if verdict is None else verdict.partition(": ")[0],
                body.redactions,
            )
        case Columns() | Done():
            return body
        case Terminal(columns=columns, rows=rows):
            return Terminal("", columns, rows)
        case Rows() | Output() | Frame():
            return None
        case Message(level=level, code=code):
            return Message(level, code, HIDDEN)
        case Noted(what=what):
            return body if what in _TOLD_NOTES else Noted(what, "")
        case _:
            assert_never(body)
