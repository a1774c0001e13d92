"""Prepared statements and portals by name, as the server acknowledged them.

The client may pipeline: a name is assumed when its message is forwarded and taken back if the server
refuses or skips that message, so that a failed second Parse leaves the old statement live.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bodycam.model.operation import Parameter


@dataclass(slots=True)
class Statement:
    """A prepared statement: its text, and what is known of its parameters and rows.

    `types` are the OIDs that the client declared or the server described; `columns` is the server's
    RowDescription message, None until it was described and empty when it returns no rows.
    """

    text: str
    types: tuple[int, ...] = ()
    columns: bytes | None = None
    known: bool = True


@dataclass(slots=True)
class Portal:
    """A bound statement; `formats` are the result formats that the client asked for.

    `turn` counts the Syncs and queries that were sent before it, so that it is known which of them ends it.
    """

    statement: Statement
    parameters: tuple[Parameter, ...] = ()
    formats: tuple[int, ...] = ()
    columns: bytes | None = None
    turn: int = 0


Undo = Callable[[], None]
V = TypeVar("V")


def _nothing() -> None:
    return None


@dataclass(slots=True)
class Names:
    """What each name means right now, from the point of view of the next message to be forwarded."""

    statements: dict[str, Statement] = field(default_factory=dict)
    portals: dict[str, Portal] = field(default_factory=dict)

    def parse(self, name: str, statement: Statement) -> Undo:
        """A Parse was forwarded; returns what takes it back."""
        return _put(self.statements, name, statement)

    def bind(self, name: str, portal: Portal) -> Undo:
        """A Bind was forwarded; returns what takes it back."""
        return _put(self.portals, name, portal)

    def close_statement(self, name: str) -> Undo:
        """A Close of a statement was forwarded; returns what takes it back."""
        return _drop(self.statements, name)

    def close_portal(self, name: str) -> Undo:
        """A Close of a portal was forwarded; returns what takes it back."""
        return _drop(self.portals, name)

    def statement(self, name: str) -> Statement:
        """The statement of that name; one made by SQL PREPARE is not known to the wire protocol."""
        return self.statements.get(name) or Statement("", known=False)

    def portal(self, name: str) -> Portal:
        """The portal of that name; a cursor made by SQL DECLARE is not known to the wire protocol."""
        return self.portals.get(name) or Portal(Statement("", known=False))

    def simple_query(self) -> None:
        """A Query message drops the unnamed statement and the unnamed portal."""
        self.statements.pop("", None)
        self.portals.pop("", None)

    def transaction_ended(self, turn: int) -> None:
        """Portals live no longer than their transaction; those of later turns are not made yet."""
        for name in [name for name, portal in self.portals.items() if portal.turn <= turn]:
            del self.portals[name]


def _put(table: dict[str, V], name: str, value: V) -> Undo:
    previous = table.get(name)
    table[name] = value

    def undo() -> None:
        if table.get(name) is value:
            if previous is None:
                del table[name]
            else:
                table[name] = previous

    return undo


def _drop(table: dict[str, V], name: str) -> Undo:
    previous = table.pop(name, None)
    if previous is None:
        return _nothing
    kept = previous

    def undo() -> None:
        table.setdefault(name, kept)

    return undo
