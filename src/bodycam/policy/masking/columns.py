"""Columns of a result: what can be in them, and which settings speak of them."""

import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, final

from bodycam.config.masking import Then
from bodycam.policy.masking.json_text import PathMask

NO_NAMES: Final[frozenset[str]] = frozenset()

SAMPLES: Final = (
    "pg_catalog.pg_statistic.stavalues*",
    "pg_catalog.pg_statistic_ext_data.stxd*",
    "pg_catalog.pg_stats*.most_common_vals",
    "pg_catalog.pg_stats*.most_common_elems",
    "pg_catalog.pg_stats*.histogram_bounds",
    "pg_catalog.pg_stats*.range_*_histogram",
)
"""Where a database keeps samples of its columns' values: masked wherever any column is.

PostgreSQL notes no dependencies of its own views, so that these are named as well.
https://www.postgresql.org/docs/current/view-pg-stats.html
"""


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
    UNTOLD = 4
    """Text of any kind, maybe JSON: nobody said."""


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

    __slots__ = ("_parts", "written")

    def __init__(self, names: Sequence[str]) -> None:
        self.written = tuple(tuple(name.split(".")) for name in names)
        self._parts = [[_part(part) for part in name] for name in self.written]

    def __bool__(self) -> bool:
        return bool(self._parts)

    def match(self, origin: Origin) -> bool:
        """Whether a column is one of these."""
        whole = (origin.schema, origin.table, origin.column)
        return any(
            all(part.fullmatch(name) for part, name in zip(parts, whole[-len(parts) :], strict=True))
            for parts in self._parts
        )

    def may_be(self, origin: Origin) -> bool:
        """Whether a column may be one of these, of which what is empty is not known.

        Of those only whose table is said in full: which tables `*` stands for, the database has to tell.
        """
        whole = (origin.schema, origin.table, origin.column)
        return any(
            "*" not in written[-2]
            and all(
                not name or part.fullmatch(name)
                for part, name in zip(parts, whole[-len(parts) :], strict=True)
            )
            for written, parts in zip(self.written, self._parts, strict=True)
        )


def _part(name: str) -> re.Pattern[str]:
    return re.compile("".join(".*" if sign == "*" else re.escape(sign) for sign in name), re.IGNORECASE)
