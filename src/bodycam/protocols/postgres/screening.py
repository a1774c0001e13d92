"""Masks on what the target sends: rows, copied data, errors and notices, before they are recorded and released.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from typing import Final, final

from bodycam.model.operation import Operation
from bodycam.protocols.postgres import looking
from bodycam.protocols.postgres.cells import copies_with, copy_cells, row_cells, rows_with
from bodycam.session.masks import Cell, Masks, Screens

REMEMBERED: Final = 256
"""Results whose screens are kept, by their description and the operation's text."""

Passed = tuple[bytes, bytes | None]
"""What the client gets, and what the record gets where that is something else."""


@final
class Screening:
    """The masks of one connection."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._known: dict[tuple[bytes, str], tuple[Screens | None, int]] = {}
        self._screens: Screens | None = None
        self._columns = 0

    def described(self, description: bytes, operation: Operation | None) -> None:
        """The rows that follow have these columns."""
        text = "" if operation is None else operation.text
        key = (description, text)
        known = self._known.get(key)
        if known is None:
            columns = looking.columns(description)
            known = (self._masks.screens(columns, operation), len(columns))
            if len(text) + len(description) < 8192:
                if len(self._known) >= REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        self._screens, self._columns = known

    def undescribed(self, operation: Operation | None) -> None:
        """Rows follow, and nobody said which: each is looked into as what it is, some text."""
        self._screens, self._columns = self._masks.copied(operation), 0

    def rows(self, data: bytes) -> Passed:
        """Whole DataRow messages, masked."""
        screens, columns = self._screens, self._columns
        if screens is None:
            return data, None
        if columns == 0:
            if len(data) == 7 or data == data[:7] * (len(data) // 7):
                return data, None  # rows without columns
            columns = data[5] << 8 | data[6]
        cells = row_cells(data, 0, len(data), columns)
        return self._passed(data, cells, screens, columns)

    def copies(self, data: bytes, operation: Operation | None) -> Passed:
        """Whole CopyData messages, masked."""
        screens = self._masks.copied(operation)
        if screens is None:
            return data, None
        return self._passed(data, copy_cells(data, 0, len(data)), screens, 0)

    def _passed(self, data: bytes, cells: list[Cell], screens: Screens, columns: int) -> Passed:
        """Rows of so many columns, or with 0 the payloads of CopyData."""
        released, recorded = data, None
        if screens.both is not None:
            changed = screens.both.cells(cells)
            if changed:
                released = _with(data, cells, changed, columns)
                cells = [changed.get(place, cell) for place, cell in enumerate(cells)]
        if screens.record is not None:
            changed = screens.record.cells(cells)
            if changed:
                recorded = _with(released, cells, changed, columns)
        return released, recorded


def _with(data: bytes, cells: list[Cell], changed: object, columns: int) -> bytes:
    assert isinstance(changed, dict)
    if columns:
        return rows_with(data, 0, len(data), columns, cells, changed)
    return copies_with(cells, changed)
