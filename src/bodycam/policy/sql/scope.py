"""Which names a place in a statement sees, and what a column's name there stands for."""

from typing import Any, Final

from bodycam.policy.sql.gathering import Gathering, spelled

# a source of rows that is no relation by itself: a subquery, a CTE, a function, a join's alias
DERIVED: Final = None
# a source whose columns are read from nothing: EXCLUDED of ON CONFLICT, NEW of a trigger
NOT_READ: Final = ""


class Scope:
    """The names of one query level and, behind it, those of the levels around.

    `names` says for each alias which relation it is (or DERIVED, or NOT_READ); `aside` are those that no bare
    column comes from (OLD, NEW, EXCLUDED); `tables` are the WITH queries defined here; `target` is the
    relation that the statement changes, which is read once a column of it is. `calls` has for each function
    among the sources its columns, as far as they are named; without an alias it is under the empty name.
    """

    __slots__ = ("_relations", "_starred", "aside", "calls", "names", "outer", "tables", "target")

    def __init__(self, outer: "Scope | None" = None) -> None:
        self.outer = outer
        self.names: dict[str, str | None] = {}
        self.aside: dict[str, str | None] | None = None
        self.calls: dict[str, set[str]] | None = None
        self.tables: set[str] | None = None
        self.target: str | None = None
        self._relations: set[str | None] = set()
        self._starred = 0

    def is_common_table(self, name: str) -> bool:
        """Whether a bare name is a WITH query that is visible here."""
        scope: Scope | None = self
        while scope is not None:
            if scope.tables is not None and name in scope.tables:
                return True
            scope = scope.outer
        return False

    def alone(self) -> str | None:
        """The one relation that a bare column must belong to, if there is but one source of rows in sight."""
        if len(self.names) != 1:
            return None
        scope = self.outer
        while scope is not None:
            if scope.names:
                return None
            scope = scope.outer
        for relation in self.names.values():
            return relation
        return None

    def may_call(self, alias: str, name: str) -> bool:
        """Whether `alias.name` may be a call: of a function on what a function among the sources gives."""
        scope: Scope | None = self
        while scope is not None:
            calls = scope.calls
            if alias in scope.names:
                return calls is not None and alias in calls and name not in calls[alias]
            if calls is not None and "" in calls:
                return True
            scope = scope.outer
        return False

    def has(self, relation: str) -> bool:
        """Whether a relation is a source of rows at this level, whatever its alias."""
        if len(self._relations) != len(self.names):
            self._relations = set(self.names.values())
        return relation in self._relations

    def starred(self) -> bool:
        """Whether a star was read here already: many stars over many sources take no longer than one."""
        before, self._starred = self._starred, len(self.names)
        return before == self._starred

    def found(self, alias: str) -> "tuple[Scope, str | None] | None":
        """The nearest level that has this alias, and what it is there."""
        scope: Scope | None = self
        while scope is not None:
            if alias in scope.names:
                return scope, scope.names[alias]
            if scope.aside is not None and alias in scope.aside:
                return scope, scope.aside[alias]
            scope = scope.outer
        return None


def read_column(gathering: Gathering, scope: Scope, fields: list[dict[str, Any]]) -> None:
    """Note the column that a reference of one to four parts reads, and the target if it is read by that."""
    parts: list[str] = []
    for part in fields:
        string = part.get("String")
        parts.append("*" if string is None else string.get("sval", ""))
    last = parts[-1]
    column = last if last == "*" and "String" not in fields[-1] else spelled(last)
    if len(parts) == 1:
        _bare(gathering, scope, last, column)
    elif len(parts) == 2:
        _qualified(gathering, scope, parts[0], column)
    else:
        relation = gathering.named(parts[:-1])
        if not _by_name(gathering, scope, relation, column):
            gathering.columns_read[f"{relation}.{column}"] = None


def _bare(gathering: Gathering, scope: Scope, name: str, column: str) -> None:
    if column == "*":
        if scope.starred():
            return
        for relation in scope.names.values():
            gathering.columns_read[f"{relation}.*" if relation else "*"] = None
        if scope.target is not None:
            gathering.reads[scope.target] = None
        return
    whole = scope.found(name)
    if whole is not None and whole[1] == NOT_READ:
        return
    if whole is not None and whole[1]:
        # the alias by itself is the whole row, unless a column has that name; it can't be told, so it is both
        gathering.columns_read[f"{whole[1]}.*"] = None
    alone = scope.alone()
    gathering.columns_read[f"{alone}.{column}" if alone else column] = None
    level: Scope | None = scope
    while level is not None:
        if level.target is not None:
            gathering.reads[level.target] = None
        level = level.outer


def _qualified(gathering: Gathering, scope: Scope, alias: str, column: str) -> None:
    found = scope.found(alias)
    if found is None:
        if not _by_name(gathering, scope, spelled(alias), column):
            gathering.columns_read[f"{spelled(alias)}.{column}"] = None
        return
    level, relation = found
    if relation == NOT_READ:
        return
    gathering.columns_read[f"{relation}.{column}" if relation else column] = None
    if relation is not None and relation == level.target:
        gathering.reads[relation] = None


def _by_name(gathering: Gathering, scope: Scope, relation: str, column: str) -> bool:
    level: Scope | None = scope
    while level is not None:
        if level.has(relation):
            gathering.columns_read[f"{relation}.{column}"] = None
            if relation == level.target:
                gathering.reads[relation] = None
            return True
        level = level.outer
    return False
