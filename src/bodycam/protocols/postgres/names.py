"""Prepared statements and portals by name, as the server acknowledged them.

The client may pipeline: a name is assumed when its message is forwarded and taken back if the server
refuses or skips that message, so that a failed second Parse leaves the old statement live.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY
"""

from typing import Any, Final, final

from bodycam.model.operation import Parameter
from bodycam.protocols.postgres.codec import ProtocolViolation

NAMES_MOST: Final = 65_536
"""Prepared statements, and portals, that one connection may have; far above what drivers keep."""


@final
class Statement:
    """A prepared statement: its text, and what is known of its parameters and rows.

    `types` are the OIDs that the client declared or the server described; `columns` is the server's
    RowDescription message, None until it was described and empty when it returns no rows. `known` is false
    for what was prepared in SQL, and `doubtful` is true once SQL may have put another under the same name.
    """

    __slots__ = ("columns", "doubtful", "known", "text", "types")

    def __init__(self, text: str, types: tuple[int, ...] = (), *, known: bool = True) -> None:
        self.text, self.types, self.known = text, types, known
        self.columns: bytes | None = None
        self.doubtful = False


@final
class Portal:
    """A bound statement; `formats` are the result formats that the client asked for.

    `turn` counts the Syncs and queries that were sent before it, so that it is known which of them ends it.
    """

    __slots__ = ("columns", "formats", "parameters", "statement", "turn")

    def __init__(
        self,
        statement: Statement,
        parameters: tuple[Parameter, ...] = (),
        formats: tuple[int, ...] = (),
        turn: int = 0,
    ) -> None:
        self.statement, self.parameters, self.formats, self.turn = statement, parameters, formats, turn
        self.columns: bytes | None = None


@final
class Undo:
    """Takes back what a forwarded message did to one name; `value` is None when it dropped the name."""

    __slots__ = ("_name", "_previous", "_table", "_value")

    def __init__(self, table: dict[str, Any], name: str, value: object, previous: object) -> None:
        self._table, self._name, self._value, self._previous = table, name, value, previous

    def undo(self) -> None:
        """Give the name the meaning that it had, unless a later message gave it another."""
        if self._table.get(self._name) is not self._value:
            return
        if self._previous is not None:
            self._table[self._name] = self._previous
        elif self._value is not None:
            del self._table[self._name]


@final
class Names:
    """What each name means right now, from the point of view of the next message to be forwarded."""

    __slots__ = ("portals", "statements")

    def __init__(self) -> None:
        self.statements: dict[str, Statement] = {}
        self.portals: dict[str, Portal] = {}

    def parse(self, name: str, statement: Statement) -> Undo:
        """A Parse was forwarded; returns what takes it back.

        Raises:
            ProtocolViolation: the connection has more statements than any client has use for.
        """
        return _put(self.statements, name, statement)

    def bind(self, name: str, portal: Portal) -> Undo:
        """A Bind was forwarded; returns what takes it back.

        Raises:
            ProtocolViolation: the connection has more portals than any client has use for.
        """
        return _put(self.portals, name, portal)

    def close_statement(self, name: str) -> Undo:
        """A Close of a statement was forwarded; returns what takes it back."""
        return Undo(self.statements, name, None, self.statements.pop(name, None))

    def close_portal(self, name: str) -> Undo:
        """A Close of a portal was forwarded; returns what takes it back."""
        return Undo(self.portals, name, None, self.portals.pop(name, None))

    def statement(self, name: str) -> Statement:
        """The statement of that name; one made by SQL PREPARE is not known to the wire protocol."""
        found = self.statements.get(name)
        return Statement("", known=False) if found is None else found

    def portal(self, name: str) -> Portal:
        """The portal of that name; a cursor made by SQL DECLARE is not known to the wire protocol."""
        found = self.portals.get(name)
        return Portal(Statement("", known=False)) if found is None else found

    def simple_query(self) -> None:
        """A Query message drops the unnamed statement and the unnamed portal."""
        self.statements.pop("", None)
        self.portals.pop("", None)

    def doubt(self) -> None:
        """SQL was sent that may drop prepared statements and put others under their names."""
        for statement in self.statements.values():
            statement.doubtful = True

    def transaction_ended(self, turn: int) -> None:
        """Portals live no longer than their transaction; those of later turns are not made yet."""
        portals = self.portals
        if not portals:
            return
        for name in [name for name, portal in portals.items() if portal.turn <= turn]:
            del portals[name]


def _put(table: dict[str, Any], name: str, value: object) -> Undo:
    previous = table.get(name)
    if previous is None and len(table) >= NAMES_MOST:
        raise ProtocolViolation("54000", f"a connection may have {NAMES_MOST} prepared statements or portals")
    table[name] = value
    return Undo(table, name, value, previous)
