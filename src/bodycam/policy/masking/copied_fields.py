"""Which fields of copied data are masked: COPY describes none of its columns, its statement has to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from bodycam.model.column import Holds
from bodycam.policy.masking.columns import CellKind, ColumnMask
from bodycam.policy.masking.policy import Rules
from bodycam.policy.masking.relations import ALL, Known, MaskedRelations, parts
from bodycam.policy.masking.screen import Screen
from bodycam.policy.masking.transforms import COLUMN
from bodycam.policy.sql.facts import SqlFacts

_JSONB: Final = b"\x01"

_TOKENS: Final = frozenset({Holds.TEXT})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of each row: its mask, if it has one, and whether a mask's text is a value of its type."""

    name: str
    holds_text: bool = False
    mask: ColumnMask | None = None


@final
class BinaryFields:
    """The values of rows that are copied in binary, of which nobody says the types."""

    __slots__ = ("_documents", "_masked", "hits")

    def __init__(self, rules: Rules, fields: Sequence[Field]) -> None:
        self._masked = [place for place, one in enumerate(fields) if one.mask is not None]
        document = rules.column("", CellKind.UNTOLD, holds_text=True)
        self._documents = Screen([document], None, rules.then) if rules.by_path else None
        self.hits = rules.hits()

    def changed(self, values: Sequence[bytes | None]) -> dict[int, bytes | None] | None:
        """The values of one row that become others, by their place."""
        changed: dict[int, bytes | None] = {}
        if self._documents is not None:
            for place, value in enumerate(values):
                if value is not None:
                    self._document(place, value, self._documents, changed)
        for place in self._masked:
            value = values[place] if place < len(values) else None
            if value is not None:
                self.hits.add(COLUMN, value)
                changed[place] = None
        return changed or None

    @staticmethod
    def _document(place: int, value: bytes, screen: Screen, changed: dict[int, bytes | None]) -> None:
        # before jsonb's text stands its version: https://www.postgresql.org/docs/current/datatype-json.html
        version = value[:1] if value[:1] == _JSONB else b""
        put = screen.cells([value[len(version) :]])
        if put is not None:
            changed[place] = None if put[0] is None else version + put[0]


def copied_fields(
    relations: MaskedRelations | None, facts: SqlFacts | None, width: int
) -> Sequence[Field] | None:
    """The fields of rows that a statement copies out, `width` of them; None where none is masked.

    The columns of one relation are known by their names; of a query every field is masked if it looks at
    anything masked.
    """
    if relations is None:
        return None
    lost = relations.lost(facts)
    if lost is None:
        return None
    known = None
    if facts is not None and facts.kinds == ("copy",) and facts.statements == 1 and len(facts.reads) == 1:
        known = relations.table(facts.reads[0])
    if known is not None and facts is not None:
        fields = _of_relation(known, [parts(one)[-1] for one in facts.columns_read])
        if len(fields) == width:
            return fields
    return [Field(f"column {place}", mask=lost) for place in range(width)]


def _of_relation(known: Known, names: Sequence[str]) -> list[Field]:
    columns = [column for column in known.relation.columns.values() if not column.made]
    if list(names) != [ALL]:
        called = {column.name: column for column in known.relation.columns.values()}
        columns = [called[name] for name in names if name in called]
    return [Field(one.name, one.holds in _TOKENS, known.masks.get(one.name)) for one in columns]
