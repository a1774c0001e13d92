"""Which columns of a database are masked: through views and parts, and by a statement's facts."""

import re
from collections import deque
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, final

from bodycam.config.masking import Then
from bodycam.model.relation import ANYTHING, Place, Relation, Relations
from bodycam.policy.masking.columns import ColumnMask, Origin
from bodycam.policy.masking.policy import Rules, stricter
from bodycam.policy.sql.facts import SqlFacts

ALL: Final = "*"

_PART: Final = re.compile(r'"((?:[^"]|"")*)"|([^.]+)')

ORIGINS_MOST: Final = 2048
"""Columns that one column is followed to; one that has more counts as the strictest that there is."""

_MAINTAINS: Final = frozenset(("analyze", "vacuum", "cluster", "reindex", "refresh"))


@final
class Known:
    """One relation with the masks of its columns, by name; `whole` is the strictest of them."""

    __slots__ = ("masks", "names", "relation", "whole")

    def __init__(self, relation: Relation, masks: dict[str, ColumnMask]) -> None:
        self.relation, self.masks = relation, masks
        self.names = {column.name for column in relation.columns.values()}
        self.whole = strictest(masks.values())


@final
class _Came:
    """Where values come from: columns, and the entries that name one; whether there is `more`."""

    __slots__ = ("entries", "more", "origins")

    def __init__(self, origins: list[Origin], rules: Rules, *, more: bool) -> None:
        self.origins, self.more = origins, more
        self.entries = rules.entries(origins)


@final
class MaskedRelations:
    """The relations of one database in which something is masked, for one audience."""

    def __init__(self, rules: Rules, found: Relations) -> None:
        self._rules, self._newest, self.functions = rules, found.newest, found.functions
        relations = found.relations
        self._of = {relation.number: relation for relation in relations}
        self._parts: dict[int, list[int]] = {}
        for relation in relations:
            for number in relation.parents:
                self._parts.setdefault(number, []).append(relation.number)
        self._used: dict[int, _Came] = {}
        self._places: dict[Place, ColumnMask] = {}
        # columns whose values show less masked, or not at all, as a column of something else
        self._open: set[tuple[str, str, str]] = set()
        self._names: dict[str, list[Known]] = {}
        for relation in relations:
            masks: dict[str, ColumnMask] = {}
            for number, column in relation.columns.items():
                came = self._origins(relation, number)
                own, entries, more = came[0].origins[0], 0, False
                for one in came:
                    entries, more = entries | one.entries, more or one.more
                mask = rules.strictest if more else rules.mask(own, entries)
                if rules.opens(own, entries):
                    self._open.update((at.schema, at.table, at.column) for one in came for at in one.origins)
                if mask is not None:
                    masks[column.name] = self._places[relation.number, number] = mask
            known = Known(relation, masks)
            if known.whole is not None:
                self._places[relation.number, 0] = known.whole
            self._names.setdefault(relation.name, []).append(known)

    def mask(self, place: Place) -> ColumnMask | None:
        """The mask of a column, or of a whole row."""
        return self._places.get(place)

    def untold(self, place: Place) -> bool:
        """Whether nobody can say where a column comes from: from no relation, or one made since."""
        return place[0] == 0 or (place[0] > self._newest and place[0] not in self._of)

    def lost(self, facts: SqlFacts | None) -> ColumnMask | None:
        """The mask of values whose origin is lost, in what a statement gives.

        Never a part of a value, because what was made of it may have moved what a part shows. A plan holds
        no values.
        """
        if facts is not None and facts.statements == 1 and facts.kinds[:1] == ("explain",):
            # but for what a function gave while the plan was made
            return None if self.called(facts) is None else self._rules.strictest
        found = self.read(facts)
        return None if found is None else ColumnMask(stricter(Then.REDACT, found.then))

    def origin(self, place: Place) -> Origin | None:
        """A column's own name, if it is known."""
        relation = self._of.get(place[0])
        column = None if relation is None else relation.columns.get(place[1])
        if relation is None or column is None:
            return None
        return Origin(relation.schema, relation.name, column.name)

    def read(self, facts: SqlFacts | None) -> ColumnMask | None:
        """The strictest mask of what a statement may look at; None where it looks at nothing masked."""
        if facts is None or facts.unknown:
            return self._rules.strictest
        if self.called(facts) is not None:
            return self._rules.strictest
        return strictest(self._masks(facts.columns_read, facts))

    def called(self, facts: SqlFacts) -> str | None:
        """The first function of a statement that looks at a masked relation."""
        for function in facts.functions:
            if parts(function)[-1] in self.functions:
                return function
        return None

    def maintains(self, facts: SqlFacts | None) -> bool:
        """Whether a statement may work out what is defined over a masked relation, and speak of it."""
        if facts is None or _MAINTAINS.isdisjoint(facts.kinds):
            return False
        named = (*facts.reads, *facts.writes)
        return not named or any(self._whole(*_table(name)) for name in named)

    def hides(self, column: str, facts: SqlFacts, least: Then) -> bool:
        """Whether a column of a statement is hidden at least so much, wherever its values can be seen."""
        *qualifier, name = parts(column)
        tables = [_table(one) for one in facts.reads]
        if qualifier:
            tables = [(qualifier[-2] if len(qualifier) > 1 else "", qualifier[-1])]
        for schema, table in tables:
            called = self._called(schema, table)
            if not called:
                return False
            for known in called:
                for each in known.names if name == ALL else (name,):
                    mask = known.masks.get(each)
                    if mask is None or stricter(mask.then, least) is not mask.then:
                        return False
                    if (known.relation.schema, known.relation.name, each) in self._open:
                        return False
        return bool(tables)

    def in_schema(self, schema: str) -> bool:
        """Whether a schema has a relation in which something is masked."""
        return any(
            known.whole is not None and known.relation.schema == parts(schema)[-1]
            for named in self._names.values()
            for known in named
        )

    def changes(self, facts: SqlFacts | None) -> bool:
        """Whether a statement may write to a relation with a masked column."""
        if facts is None or facts.unknown:
            return self._rules.strictest is not None
        return any(self._whole(*_table(name)) for name in facts.writes)

    def table(self, name: str) -> Known | None:
        """The one relation of that name, if there is one."""
        schema, table = _table(name)
        found = self._called(schema, table)
        return found[0] if len(found) == 1 else None

    def named(self, columns: Iterable[str], facts: SqlFacts) -> str | None:
        """The first of these columns of a statement that may be a masked one."""
        for column in columns:
            if self._column(column, facts) is not None:
                return column
        return None

    def _masks(self, columns: Iterable[str], facts: SqlFacts) -> list[ColumnMask]:
        found = (self._column(column, facts) for column in columns)
        return [mask for mask in found if mask is not None]

    def _column(self, name: str, facts: SqlFacts) -> ColumnMask | None:
        *qualifier, column = parts(name)
        tables = [_table(one) for one in facts.reads]
        # an alias that nobody could tell the table of may be any of them
        if qualifier and any(table == qualifier[-1] for _, table in tables):
            schema = qualifier[-2] if len(qualifier) > 1 else ""
            return self._in(schema, qualifier[-1], column, qualified=True)
        masks = [self._in(schema, table, column, qualified=False) for schema, table in tables]
        return strictest(mask for mask in masks if mask is not None)

    def _in(self, schema: str, table: str, column: str, *, qualified: bool) -> ColumnMask | None:
        called = self._called(schema, table)
        if not called:
            return self._rules.guess(Origin(schema, table, "" if column == ALL else column))
        masks: list[ColumnMask | None] = []
        for known in called:
            if column == ALL or (qualified and column not in known.names):
                # `row.function` calls a function with all of the row
                masks.append(known.whole)
            else:
                masks.append(known.masks.get(column))
        return strictest(mask for mask in masks if mask is not None)

    def _whole(self, schema: str, table: str) -> bool:
        called = self._called(schema, table)
        if not called:
            return self._rules.guess(Origin(schema, table, "")) is not None
        return any(known.whole is not None for known in called)

    def _called(self, schema: str, table: str) -> list[Known]:
        called = self._names.get(table, [])
        return called if not schema else [known for known in called if known.relation.schema == schema]

    def _origins(self, relation: Relation, column: int) -> "list[_Came]":
        """What a column is called, itself first, then wherever its values come from.

        What a relation inherits from says what is masked in it. Its own parts do as well, because their rows
        are among its own, but those of what it inherits from are not.
        """
        number = relation.number
        if column in relation.sources or not relation.uses:
            return [self._followed([((number, column), True)], set())]
        # what it looks at is the same for all such columns of a relation, of which there may be very many
        used = self._used.get(number)
        if used is None:
            todo = [(each, True) for each in relation.uses]
            used = self._used[number] = self._followed(todo, {number})
        return [self._followed([((number, column), True)], {number}), used]

    def _followed(self, todo: list[tuple[Place, bool]], used: set[int]) -> "_Came":
        """All that these columns are called; what the relations in `used` look at is left out."""
        found: list[Origin] = []
        seen: set[Place] = set()
        waiting = deque(todo)
        while waiting:
            at, with_parts = waiting.popleft()
            number, column = at
            relation = self._of.get(number)
            if at == ANYTHING or len(found) >= ORIGINS_MOST:
                return _Came(found, self._rules, more=True)
            if at in seen or relation is None:
                continue
            seen.add(at)
            if column == 0:
                waiting.extend(((number, each), with_parts) for each in relation.columns)
                continue
            described = relation.columns.get(column)
            if described is None:
                continue
            found.append(Origin(relation.schema, relation.name, described.name))
            waiting.extend((each, False) for each in self._called_so(relation.parents, described.name))
            if with_parts:
                parts = self._parts.get(number, ())
                waiting.extend((each, True) for each in self._called_so(parts, described.name))
            if column in relation.sources:
                waiting.append((relation.sources[column], True))
            elif number not in used:
                used.add(number)
                waiting.extend((each, True) for each in relation.uses)
        return _Came(found, self._rules, more=False)

    def _called_so(self, numbers: Iterable[int], name: str) -> list[Place]:
        places = []
        for number in numbers:
            other = self._of.get(number)
            if other is not None:
                places += [(number, at) for at, column in other.columns.items() if column.name == name]
        return places


def strictest(masks: Iterable[ColumnMask]) -> ColumnMask | None:
    """The strictest of some masks."""
    found = None
    for mask in masks:
        found = stricter(found, mask.then)
    return None if found is None else ColumnMask(found)


@lru_cache(maxsize=4096)
def parts(name: str) -> tuple[str, ...]:
    """The parts of a name as facts spell it; a star is ALL, quoted or not."""
    return tuple(
        quoted.replace('""', '"') if quoted or not plain else plain for quoted, plain in _PART.findall(name)
    )


def _table(name: str) -> tuple[str, str]:
    *schema, table = parts(name)
    return (schema[-1] if schema else "", table)
