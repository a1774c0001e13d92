"""The place in an exchange that a search matched, cut out for people."""

from collections.abc import Sequence
from dataclasses import dataclass

from bodycam.catalog.exchanges import ExchangeRecord
from bodycam.catalog.words import Term, located

_AROUND = 80
_LONGEST = 240


@dataclass(frozen=True, slots=True)
class Snippet:
    """The field, a piece of its text, and where in the piece the match begins and ends."""

    field: str
    text: str
    begin: int
    end: int


def cut(record: ExchangeRecord, terms: Sequence[Term]) -> Snippet:
    """The snippet of the field that holds most of the terms; the statement where it is a tie."""
    best: tuple[int, Snippet] = (0, Snippet("statement", record.text[:_LONGEST], 0, 0))
    texts = {
        "statement": record.text,
        "values": record.values,
        "error": record.error,
        "output": record.output,
    }
    for field, text in texts.items():
        plain, spans = located(text)
        found = [word for word, _, _ in spans]
        places = [(at, term) for term in terms if (at := term.found(found)) is not None]
        if len(places) > best[0]:
            at, term = places[0]
            begin, end = spans[at][1], spans[at + len(term.words) - 1][2]
            best = (len(places), _piece(field, plain, begin, end))
    return best[1]


def _piece(field: str, text: str, begin: int, end: int) -> Snippet:
    start = max(0, begin - _AROUND)
    stop = min(len(text), max(start + 2 * _AROUND, end + _AROUND), start + _LONGEST)
    head, tail = "…" if start else "", "…" if stop < len(text) else ""
    piece = head + text[start:stop] + tail
    shift = len(head) - start
    return Snippet(field, piece, begin + shift, min(end + shift, len(piece)))
