"""Which fields of copied data are masked: COPY describes none of its columns, its statement has to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bodycam.model.column import Holds
from bodycam.policy.masking.columns import ColumnMask
from bodycam.policy.masking.relations import ALL, Known, MaskedRelations, parts
from bodycam.policy.sql.facts import SqlFacts

_TOKENS: Final = frozenset({Holds.TEXT})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of each row: its mask, if it has one, and whether a mask's text is a value of its type."""

    name: str
    holds_text: bool = False
    mask: ColumnMask | None = None


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
