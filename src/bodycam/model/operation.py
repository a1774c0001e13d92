"""What a client asks for, in plain facts that no protocol's wire shows through."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, final

Parameter = tuple[int, int, bytes | None]
"""One value handed over beside the text: `(type, format, value)`.

`type` is the protocol's own number of the type, `format` its encoding there (for PostgreSQL an OID, and 0
text or 1 binary); `value` is None for NULL. The protocol's transcript decodes it for people.
"""

Fact = str | int | bool | tuple[str, ...]

NAMED: Final = "named"
"""The fact that an operation runs what was prepared under this name in its own language, not its text."""

PREPARES: Final = "statement"
"""The fact under which name an operation with the verb `prepare` puts its text."""

DOUBT: Final = "doubt"
"""The fact that what runs may be another text by now, prepared since under the same name; says why."""

PORTAL: Final = "portal"
"""The fact under which name an operation leaves what gives its rows, so that another may take them."""

DIALECT: Final = "dialect"
"""The fact that the target reads text by other rules than its grammar's own; says which."""

ENVIRONMENT: Final = "ssh.env"
"""Which variables a command line finds set, each `NAME=value`; one without `=` says how many more."""

NO_FACTS: Mapping[str, Fact] = MappingProxyType({})


@final
class RequestFacts:
    """Which facts of a protocol's operations an allow list of methods and paths is asked about.

    `method` and `path` name the facts; the path is without a query. `opening` are the verbs of operations
    that only open the way for others, each of which is asked about itself: they have no path. `recalled`
    gives those facts that the verb and the text of an operation on record tell.
    """

    __slots__ = ("method", "opening", "path", "recalled")

    def __init__(
        self,
        method: str,
        path: str,
        opening: frozenset[str] = frozenset(),
        recalled: "Callable[[str, str], Mapping[str, Fact]]" = lambda verb, text: {},
    ) -> None:
        self.method, self.path, self.opening, self.recalled = method, path, opening, recalled


class Weight(StrEnum):
    """Whether a person looking for what happened wants to see it listed."""

    STATEMENT = "statement"
    ASIDE = "aside"  # a connection's own housekeeping: logging in, preparing, closing


@final
class Operation:
    """One request of a client, as policy judges it and as the record keeps it; never changed once made.

    `verb` is the protocol's word for it (`query`, `prepare`, `execute`, ...), `text` what was asked in the
    client's own words, `facts` what else the protocol knows of it (names, sizes), as plain values or lists of
    texts. A dot in a fact's name makes it one that conditions read: `a.b` is `op.a.b`.

    `inert` says that it asks for nothing by itself (PostgreSQL's Sync, Describe, Close): it is recorded, and
    no rule is asked. Some facts have a meaning for policy: `NAMED`,
    `PREPARES`, `DOUBT`, `PORTAL` and `DIALECT`.

    No dataclass, because one is made for every message on the hot path: compiled, a frozen dataclass takes
    2.1 us to make and this class 0.14 us.
    """

    __slots__ = ("facts", "inert", "parameters", "text", "verb", "weight")

    def __init__(
        self,
        verb: str,
        text: str,
        parameters: tuple[Parameter, ...] = (),
        facts: Mapping[str, Fact] = NO_FACTS,
        weight: Weight = Weight.STATEMENT,
        inert: bool = False,
    ) -> None:
        self.verb, self.text, self.parameters = verb, text, parameters
        self.facts, self.weight, self.inert = facts, weight, inert

    def __repr__(self) -> str:
        return f"Operation({self.verb!r}, {self.text!r}, {len(self.parameters)} parameters, {self.weight!r})"
