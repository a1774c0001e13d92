"""Masks on what the target sends, rows and copied data, before it is recorded and released.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from typing import Final, final

from bodycam.model.column import Column, Holds
from bodycam.model.operation import Operation
from bodycam.protocols.postgres import backend, looking
from bodycam.protocols.postgres.cells import (
    check_rows,
    columns_of,
    copied_through,
    row_cells,
    rows_with,
    stretch,
)
from bodycam.protocols.postgres.copied_rows import row_with
from bodycam.protocols.postgres.reading import message
from bodycam.session.masks import Copier, Copiers, Masks, Screen, Screens

_ONE: Final = b"\0\1"
"""How many columns a DataRow of one has."""

REMEMBERED: Final = 256
"""Results whose screens are kept, by their description and the operation's text."""

Passed = tuple[bytes, bytes | None]
"""What the client gets, and what the record gets where that is something else."""


@final
class Screening:
    """The masks of one connection."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self.keeps_rows = masks.keeps_rows
        self._clean: set[bytes] = set()
        self._known: dict[tuple[bytes, str], tuple[Screens | None, int]] = {}
        self._version = masks.version
        self._screens: Screens | None = None
        self._copiers: Copiers | None = None
        self._undescribed: Operation | None = None
        self._columns = 0
        self._hearsay = False
        self._texts: dict[int, Screens | None] = {}

    def described(self, description: bytes, operation: Operation | None, *, hearsay: bool = False) -> None:
        """The rows that follow have these columns; `hearsay`: the server said so earlier, of their name.

        SQL can put another statement or cursor under a name, in DO and in functions out of sight. Where
        columns are masked by name that is denied.
        """
        self._hearsay = hearsay and not self._masks.by_name
        text = "" if operation is None else operation.text
        if self._version != self._masks.version:
            self._version = self._masks.version
            self._known.clear()
        key = (description, text)
        known = self._known.get(key)
        if known is None:
            columns = looking.columns(description)
            known = (self._masks.screens(columns, operation), len(columns))
            if len(text) + len(description) < 8192 and self._masks.repeats(operation):
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        self._screens, self._columns = known

    def shown(self, description: bytes) -> bytes:
        """A RowDescription as it is released: a name may be a secret. The same object where none is."""
        if description in self._clean:
            return description
        released = backend.renamed(description, self._masks.said)
        if released is description and len(description) < 8192:
            if len(self._clean) >= REMEMBERED:
                self._clean.clear()
            self._clean.add(description)
        return released

    def undescribed(self, operation: Operation | None) -> None:
        """Rows follow, and nobody said which: each value is looked into as some text."""
        self._screens, self._columns, self._undescribed = None, 0, operation
        self._hearsay = False

    def copying(self, response: bytes, operation: Operation | None) -> None:
        """Data is copied out, as this CopyOutResponse says."""
        columns = response[6] << 8 | response[7] if len(response) > 7 else 0
        self._copiers = self._masks.copied(columns, operation, binary=response[5:6] == b"\x01")

    def rows(self, data: bytes) -> Passed:
        """Whole DataRow messages, masked."""
        screens, columns = self._screens, self._columns
        if screens is None and columns == 0:
            columns = columns_of(data)
            screens = self._some(columns)
        released, recorded = self._row_by(screens, data, columns)
        if not self._hearsay:
            return released, recorded
        if columns not in self._texts:
            self._texts[columns] = self._some(columns)
        some = self._texts[columns]
        if some is None:
            return released, recorded
        # once more, as the text that each value may be after all
        again, kept = self._row_by(some, released, columns)
        if recorded is not None:
            shown, less = self._row_by(some, recorded, columns)
            kept = shown if less is None else less
        return again, kept

    def _some(self, columns: int) -> Screens | None:
        """For so many columns of which nothing is known."""
        some = [Column(f"column {place}", Holds.OTHER) for place in range(columns)]
        return self._masks.screens(some, self._undescribed)

    @staticmethod
    def _row_by(screens: Screens | None, data: bytes, columns: int) -> Passed:
        if screens is None:
            if columns == 0:
                # none of them may have values, then
                row_cells(data, 0, len(data), columns)
            return data, None
        released = data if screens.both is None else _through(screens.both, data, columns)
        if screens.record is None:
            return released, None
        recorded = _through(screens.record, released, columns)
        return released, None if recorded is released else recorded

    def result(self, response: bytes) -> Passed:
        """A FunctionCallResponse, masked as a row whose only value has no origin and no type."""
        self.undescribed(None)
        row = message(b"D", _ONE, response[5:])
        released, recorded = self.rows(row)
        return (
            response if released is row else _response(released),
            None if recorded is None else _response(recorded),
        )

    def copies(self, data: bytes) -> Passed:
        """Whole CopyData messages, masked."""
        copiers = self._copiers
        if copiers is None:
            return data, None
        released, recorded = data, None
        if copiers.both is not None:
            released = _copied(data, copiers.both)
        if copiers.record is not None:
            recorded = _copied(released, copiers.record)
        return released, recorded


def _response(row: bytes) -> bytes:
    return message(b"V", row[5 + len(_ONE) :])


def _copied(data: bytes, copier: Copier) -> bytes:
    if copier.fields is not None:
        fields = copier.fields
        data = copied_through(data, lambda row: row_with(row, fields))
    return data if copier.through is None else copied_through(data, copier.through)


def _through(screen: Screen, data: bytes, columns: int) -> bytes:
    """Whole rows, masked; the same object where nothing changes."""
    if screen.clean_among(data):
        check_rows(data, columns)
        return data
    parts: list[bytes] = []
    at = kept = 0
    size = len(data)
    while at < size:
        end = stretch(data, at, size)
        cells = row_cells(data, at, end, columns)
        changed = screen.cells(cells)
        if changed:
            parts += (data[kept:at], rows_with(data, at, end, columns, cells, changed))
            kept = end
        at = end
    if not parts:
        return data
    parts.append(data[kept:])
    return b"".join(parts)
