"""Columns of a result: what can be in them, and which settings speak of them."""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, final

from bodycam.config.masking import Then
from bodycam.policy.masking.json_text import PathMask

NO_NAMES: Final[frozenset[str]] = frozenset()


class CellKind(IntEnum):
    """What a cell's bytes are, and so how they are looked at."""

    TEXT = 0
    """The value's bytes as they are: text in any form, numbers written out, raw bytes."""
    JSON = 1
    """JSON text, of json or jsonb."""
    HEX = 2
    r"""Bytes written as `\x` and hexadecimal digits."""
    CANNOT_HOLD = 3
    """Nothing that a detector knows fits in: a boolean, a small number, a time, a UUID."""


@final
class ColumnMask:
    """What becomes of every value of a column."""

    __slots__ = ("then",)

    def __init__(self, then: Then) -> None:
        self.then = then


@final
class Column:
    """One column of a result. `holds_text` is whether a mask is a value of its type: where not, null is put.

    `exempt` names detectors that leave it alone; `paths` are the masks in its JSON.
    """

    __slots__ = ("exempt", "holds_text", "kind", "name", "paths", "rule")

    def __init__(
        self,
        name: str,
        kind: CellKind,
        holds_text: bool = True,
        rule: ColumnMask | None = None,
        exempt: frozenset[str] = NO_NAMES,
        paths: Sequence[PathMask] = (),
    ) -> None:
        self.name, self.kind, self.holds_text, self.rule = name, kind, holds_text, rule
        self.exempt, self.paths = exempt, tuple(paths)


@final
class Origin:
    """Where a column's values come from: a table's column, by name."""

    __slots__ = ("column", "schema", "table")

    def __init__(self, schema: str, table: str, column: str) -> None:
        self.schema, self.table, self.column = schema, table, column


@final
class Names:
    """Columns as settings name them: `table.column` or `schema.table.column`, with * for any letters."""

    __slots__ = ("_parts",)

    def __init__(self, names: Sequence[str]) -> None:
        self._parts = [[_part(part) for part in name.split(".")] for name in names]

    def __bool__(self) -> bool:
        return bool(self._parts)

    def match(self, origin: Origin) -> bool:
        """Whether a column is one of these."""
        whole = (origin.schema, origin.table, origin.column)
        return any(
            all(part.fullmatch(name) for part, name in zip(parts, whole[-len(parts) :], strict=True))
            for parts in self._parts
        )

    def touch(self, schema: str, table: str) -> bool:
        """Whether one of these may be a column of a table."""
        whole = (schema, table)
        return any(
            all(part.fullmatch(name) for part, name in zip(parts[:-1], whole[1 - len(parts) :], strict=True))
            for parts in self._parts
        )


def _part(name: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if sign == "*" else re.escape(sign) for sign in name), re.IGNORECASE)
