"""Errors and notices that may quote a masked value: what happened stays, what is quoted goes.

The server puts values into texts of all kinds: `invalid input syntax for type integer: "..."`,
`Key (ssn)=(...) already exists`, `Failing row contains (...)`, whatever a function raises.
https://www.postgresql.org/docs/current/protocol-error-fields.html
"""

from typing import Final

from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.reading import message, text

MASKED: Final = "the text of this is masked, because it may quote values of masked columns"

_NAMES: Final = {"s": "schema", "t": "table", "c": "column", "d": "type", "n": "constraint"}

_KEPT: Final = frozenset("SVCPstcdnFLR")
"""Fields without values: severity, code, position, the names of objects, places in the server's source."""

_POSITION, _CONTEXT, _INNER = "P", "W", frozenset("pq")

# of these the server makes the text out of names and states, unless a function raised them, which shows in
# the context: https://www.postgresql.org/docs/current/errcodes-appendix.html
_WITHOUT_VALUES: Final = ("08", "0A", "25", "28", "40", "53", "55", "57", "58", "42501", "00000")


def hushed(tag: int, raw: bytes) -> bytes:
    """An ErrorResponse or NoticeResponse without any text that may quote a value."""
    fields = backend.error_fields(raw)
    letters = {letter for letter, _ in fields}
    code = dict(fields).get("C", "")
    raised = _CONTEXT in letters or not letters.isdisjoint(_INNER)
    # a position is in the client's own text, which the server was still reading
    if not raised and (_POSITION in letters or code.startswith(_WITHOUT_VALUES)):
        return raw
    kept = [(letter, value) for letter, value in fields if letter in _KEPT]
    about = "".join(f", {_NAMES[letter]} {value}" for letter, value in kept if letter in _NAMES)
    kept.append(("M", f"{code}{about}: {MASKED}"))
    parts = [letter.encode("latin-1") + text(value) for letter, value in kept]
    return message(bytes((tag,)), *parts, b"\0")
