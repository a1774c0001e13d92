"""Holding exchanges against the terms of a question: what their statement says, and what each says itself."""

from collections.abc import Sequence

from sqlalchemy import Connection

from bodycam.catalog import documents
from bodycam.catalog.unrolling import Row
from bodycam.catalog.words import Term, words

_CHUNK = 400


class Matcher:
    """Judges bundles and their exchanges; every statement is read once.

    Attributes:
        fitted: how many bundles had an exchange that fits, so far.
    """

    def __init__(self, connection: Connection, terms: Sequence[Term]) -> None:
        self._connection, self._terms = connection, terms
        self.fitted = 0
        self._open: dict[int, tuple[Term, ...]] = {}
        """Of each statement that was read, the terms that it does not hold."""

    def likely(self, rows: Sequence[Row]) -> list[Row]:
        """Those of the bundles in which there can be an exchange that holds all terms, in the same order."""
        fresh = sorted({row.statement for row in rows} - self._open.keys())
        for at in range(0, len(fresh), _CHUNK):
            self._read(fresh[at : at + _CHUNK])
        return [row for row in rows if row.wordy or not self._missing(row)]

    def fitting(self, row: Row, picked: Sequence[int]) -> Sequence[int]:
        """Those of the picked exchanges of a likely bundle that hold all terms."""
        for term in self._missing(row):
            if not picked:
                break
            picked = _holding(row, term, picked)
        self.fitted += bool(picked)
        return picked

    def _missing(self, row: Row) -> Sequence[Term]:
        """The terms that its statement does not hold; one that stands for own texts says nothing itself."""
        found = None if row.owned else self._open.get(row.statement)
        return self._terms if found is None else found

    def _read(self, fresh: Sequence[int]) -> None:
        for statement, text in documents.among(self._connection, "statements", "id, text", "id", fresh):
            possible = [term for term in self._terms if _possible(term, text)]
            said = words(text) if possible else []
            held = {term for term in possible if term.found(said) is not None}
            self._open[statement] = tuple(term for term in self._terms if term not in held)


def _holding(row: Row, term: Term, picked: Sequence[int]) -> list[int]:
    """Those of the picked exchanges whose own text, values, error or output hold the term."""
    inside = row.inside
    texts: set[str] = set()
    for column in (inside.own, inside.values, inside.errors, inside.outputs):
        if _possible(term, "\0".join(column)):
            texts.update(text for text in set(column) if _possible(term, text))
    if not texts:
        return []
    own, values, errors, outputs = inside.own, inside.values, inside.errors, inside.outputs
    return [
        at
        for at in picked
        if (own and own[at] in texts and term.found(words(own[at])) is not None)
        or (
            (values[at] in texts or errors[at] in texts or outputs[at] in texts)
            and term.found(words(values[at], errors[at], outputs[at])) is not None
        )
    ]


def _possible(term: Term, text: str) -> bool:
    """Whether a look at the letters alone does not rule the term out."""
    if not text.isascii():
        return True
    plain = text.lower()
    return all(word in plain for word in term.words)
