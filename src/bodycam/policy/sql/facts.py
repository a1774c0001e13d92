"""The facts of one statement text, by which rules and masking judge; docs/policy-facts.md lists them."""

from dataclasses import dataclass, field, fields
from typing import Any

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SqlFacts:
    """What a text asks the server to do, as far as the text alone can tell.

    Names are as the server reads them: unquoted, case folded. A name that itself holds a dot or a double
    quote keeps its double quotes, so that `"a.b"` is never taken for `a.b`. Every list is distinct and in the
    order met, outer before inner, left before right.
    """

    kinds: Names = ()
    statements: int = 0
    reads: Names = ()
    writes: Names = ()
    columns_read: Names = ()
    columns_stored: Names = ()
    columns_written: Names = ()
    functions: Names = ()
    schemas: Names = ()
    objects: Names = ()
    ddl: bool = False
    privileges: bool = False
    program: bool = False
    files: bool = False
    dynamic: bool = False
    roles: Names = ()
    settings: Names = ()
    copy_options: tuple[tuple[str, str], ...] = ()
    prepares: tuple[tuple[str, str], ...] = ()
    executes: Names = ()
    deallocates: Names = ()
    unknown: Names = ()
    writes_by_function: Names = ()
    outputs: bool = False
    stores_query: bool = False
    _cel: dict[str, Any] | None = field(default=None, init=False, repr=False, compare=False)

    def as_cel(self) -> dict[str, Any]:
        """The same as plain lists, truths and numbers, for conditions; made once, not to be changed."""
        made = self._cel
        if made is None:
            made = {name: _plain(getattr(self, name)) for name in FACTS}
            object.__setattr__(self, "_cel", made)
        return made


FACTS: Names = tuple(one.name for one in fields(SqlFacts) if not one.name.startswith("_"))


def undecidable(reason: str) -> SqlFacts:
    """The facts of a text whose effect can't be told: all else is empty, so only `unknown` says anything."""
    return SqlFacts(unknown=(reason,))


def _plain(value: Any) -> Any:
    return [_plain(part) for part in value] if isinstance(value, tuple) else value
