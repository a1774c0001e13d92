"""What a session's names stand for: statements prepared in SQL, and those that SQL may have renamed.

SQL's PREPARE and the wire protocol's share their names, and nothing tells for certain what stands under one
after a DEALLOCATE inside a function or a rollback. So a name stands for all that was ever prepared under it
in this session, and what runs by it is judged as if it did all of that. One that is not known hides its
effect.
"""

from dataclasses import fields, replace
from typing import Any, Final

from bodycam.model.operation import DOUBT, NAMED, PORTAL, PREPARES, Operation
from bodycam.policy.sql.facts import SqlFacts

NAMES_MOST: Final = 10_000
"""Names of one session that are kept; with more of them, what runs by name hides its effect."""

MEANINGS_MOST: Final = 100
"""Different statements under one name; after more of them, what runs by it hides its effect."""

_SHOW_CURSOR: Final = frozenset(("cursor_to_xml", "cursor_to_xmlschema"))


class Prepared:
    """The names of one session."""

    def __init__(self, analyse: Any) -> None:
        self._analyse = analyse
        self._facts: dict[str, SqlFacts] = {}
        self._meanings: dict[str, int] = {}
        self._declared = SqlFacts()
        # a function may open a cursor under any name
        self._called: dict[str, None] = {}

    def resolve(self, operation: Operation, own: SqlFacts) -> SqlFacts:
        """The facts of an operation with all that may run by the names in it."""
        found = own
        named, prepared = operation.facts.get(NAMED), operation.facts.get(PREPARES)
        if isinstance(named, str):
            found = self._of(named)
        elif DOUBT in operation.facts and isinstance(prepared, str):
            found = either(own, self._facts.get(prepared, own))
        for executed in own.executes:
            found = merged(found, self._of(executed))
        return found

    def rows_of(self, operation: Operation, own: SqlFacts) -> SqlFacts:
        """The facts of an operation as to the rows that it gives: those of cursors come from all of them."""
        return self.with_cursors(self.resolve(operation, own))

    def with_cursors(self, found: SqlFacts) -> SqlFacts:
        """The facts of what takes rows from a cursor with those of all that may have opened it."""
        if not takes_from_cursor(found):
            return found
        shown = merged(self._declared, SqlFacts(functions=tuple(self._called)))
        if found.stores_query or found.columns_stored:
            shown = replace(shown, columns_stored=shown.columns_read)
        return merged(found, shown)

    def learn(self, operation: Operation, own: SqlFacts) -> None:
        """An operation that was let through may put something under names."""
        for name, text in own.prepares:
            self._add(name, self._analyse(text))
        if "declare" in own.kinds:
            self._opened(own)
        elif PORTAL in operation.facts:
            # a portal of the wire protocol is a cursor to SQL
            self._opened(self.resolve(operation, own))
        if len(self._called) < NAMES_MOST:
            self._called.update(dict.fromkeys(own.functions))
        elif any(name not in self._called for name in own.functions):
            self._declared = SqlFacts(unknown=("too many functions were called here",))
        prepared = operation.facts.get(PREPARES)
        if operation.verb == "prepare" and isinstance(prepared, str):
            self._add(prepared, own)

    def _opened(self, facts: SqlFacts) -> None:
        if len(self._declared.columns_read) < NAMES_MOST:
            self._declared = merged(self._declared, facts)
        else:
            self._declared = SqlFacts(unknown=("too many cursors were opened here",))

    def _of(self, name: str) -> SqlFacts:
        facts = self._facts.get(name)
        if facts is None:
            return SqlFacts(unknown=(f"nothing was prepared here under the name {name!r:.80}",))
        return facts

    def _add(self, name: str, facts: SqlFacts) -> None:
        before = self._facts.get(name)
        if before is None and len(self._facts) >= NAMES_MOST:
            return
        if before is None or before == facts:
            self._facts[name] = facts
        elif self._meanings.get(name, 1) < MEANINGS_MOST:
            self._meanings[name] = self._meanings.get(name, 1) + 1
            self._facts[name] = either(before, facts)
        else:
            self._facts[name] = SqlFacts(unknown=(f"too much was prepared under the name {name!r:.80}",))


def takes_from_cursor(facts: SqlFacts) -> bool:
    """Whether a statement gives rows of a cursor, which was opened by another."""
    if "fetch" in facts.kinds:
        return True
    return any(name.rpartition(".")[2] in _SHOW_CURSOR for name in facts.functions)


def merged(one: SqlFacts, other: SqlFacts) -> SqlFacts:
    """What either of two statements may do."""
    changed: dict[str, Any] = {}
    for field in fields(SqlFacts):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(mine, bool):
            changed[field.name] = mine or theirs
        elif isinstance(mine, int):
            changed[field.name] = max(mine, theirs)
        elif isinstance(mine, tuple):
            changed[field.name] = tuple(dict.fromkeys(mine + theirs))
    return replace(one, **changed)


def either(one: SqlFacts, other: SqlFacts) -> SqlFacts:
    """What a statement may do that is one of two; only if both are does it no more than show a plan."""
    if one.kinds[:1] == ("explain",):
        one, other = other, one
    return merged(one, other)
