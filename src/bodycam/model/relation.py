"""The relations of a database, as far as those who mask columns have to know them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, final

from bodycam.model.column import Holds

Place = tuple[int, int]
"""A relation's number in its database, and a column's number in that; 0 for all of its columns."""

ANYTHING: Final[Place] = (0, 0)
"""What a view uses that calls a function which looks at these relations."""


@final
@dataclass(frozen=True, slots=True)
class RelationColumn:
    """One column; `made` says that the database computes it, so that it is in no copy of the relation."""

    name: str
    holds: Holds
    made: bool = False


@final
@dataclass(frozen=True, slots=True)
class Relation:
    """A table, or a view on others.

    `columns` are in their order, by their numbers. `parents` are the relations that it is a part of or
    inherits from. Of a view `sources` has where a column comes from unchanged, and `uses` every column of
    others that it looks at.
    """

    number: int
    schema: str
    name: str
    columns: Mapping[int, RelationColumn]
    parents: Sequence[int] = ()
    sources: Mapping[int, Place] = field(default_factory=dict)
    uses: Sequence[Place] = ()


@final
@dataclass(frozen=True, slots=True)
class Relations:
    """What is to be known of a database in which columns are masked.

    `newest` is the highest number that any relation had then; `functions` are the names of those that look
    at one of these relations, as far as their text tells.
    """

    relations: Sequence[Relation] = ()
    newest: int = 0
    functions: frozenset[str] = frozenset()
