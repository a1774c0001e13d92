"""Prepared statements and portals by name, as the server acknowledged them.

The client may pipeline: a name is assumed when its message is forwarded and taken back if the server
refuses or skips that message, so that a failed second Parse leaves the old statement live.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY

No name is forgotten too early, for what then runs by it would be recorded without its text; kept too long it
does no harm, for the server refuses it. So a Query leaves the unnamed statement and portal here, which the
server drops unless it skips or can't read that Query.
"""

import re
from typing import Any, Final, final

from bodycam.model.operation import Parameter
from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.codec import ProtocolViolation

NAMES_MOST: Final = 65_536
"""Prepared statements, and portals, that one connection may have; far above what drivers keep."""

HELD_MOST: Final = 128 * 1024 * 1024
"""Bytes of text of prepared statements, and of values of portals, that one connection may have."""

# what makes names mean something else; what functions do out of sight can't be known
_RENAMING: Final = ("deallocate", "discard", "declare", "open")
_RENAMES: Final = re.compile(rf"\b(?:{'|'.join(_RENAMING)})\b", re.IGNORECASE | re.ASCII)


def renames(text: str) -> bool:
    """Whether SQL seems to drop names, or to put something under one; wrong to the safe side."""
    folded = text.lower()
    for word in _RENAMING:
        if word in folded:
            return _RENAMES.search(text) is not None
    return False


@final
class Statement:
    """A prepared statement: its text, and what is known of its parameters and rows.

    `types` are the OIDs that the client declared or the server described; `columns` is the server's
    RowDescription message, None until it was described and empty when it returns no rows. `known` is false
    for what was prepared in SQL, and `doubtful` is true once SQL may have put another under the same name.
    `name` is the one that it was asked for by, where it is not known.
    """

    __slots__ = (
        "_described", "columns", "doubtful", "known", "made", "name", "renames", "size", "text", "types",
    )  # fmt: skip

    def __init__(self, text: str, types: tuple[int, ...] = (), *, known: bool = True, name: str = "") -> None:
        self.text, self.types, self.known, self.name = text, types, known, name
        self.columns: bytes | None = None
        self.doubtful = False
        self.renames = renames(text)
        self.size = len(text)
        self.made = 0
        self._described: tuple[bytes, tuple[int, ...], bytes] = (b"", (), b"")

    def description(self, formats: tuple[int, ...]) -> bytes:
        """Its RowDescription with the result formats that a Bind asked for; empty where none is known."""
        columns = self.columns
        if not columns:
            return b""
        of, asked, made = self._described
        if of is not columns or asked != formats:
            made = backend.with_formats(columns, formats)
            # clients ask for the same formats each time
            self._described = (columns, formats, made)
        return made


@final
class Portal:
    """A bound statement; `formats` are the result formats that the client asked for.

    `turn` counts the Syncs and queries that were sent before it, so that it is known which of them ends it.
    `doubtful` is true once SQL may have put another under its name, or its statement's before it was bound;
    `named` says that SQL could do so, also out of sight.
    """

    __slots__ = ("columns", "doubtful", "formats", "made", "named", "parameters", "size", "statement", "turn")

    def __init__(
        self,
        statement: Statement,
        parameters: tuple[Parameter, ...] = (),
        formats: tuple[int, ...] = (),
        turn: int = 0,
    ) -> None:
        self.statement, self.parameters, self.formats, self.turn = statement, parameters, formats, turn
        self.columns: bytes | None = None
        self.doubtful = statement.doubtful
        self.named = statement.name != ""
        self.size = 0
        for _, _, value in parameters:
            if value is not None:
                self.size += len(value)
        self.made = 0


@final
class Table:
    """Names of one kind. `pending` has the last change of a name that the server has not answered yet."""

    __slots__ = ("held", "pending", "values")

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.pending: dict[str, Undo] = {}
        self.held = 0

    def change(self, name: str, value: Any) -> "Undo":
        """Give a name a meaning, None for no more; returns what takes it back.

        Raises:
            ProtocolViolation: the connection has more names than any client has use for.
        """
        previous = self.values.get(name)
        if value is not None and (
            (previous is None and len(self.values) >= NAMES_MOST) or self.held + value.size > HELD_MOST
        ):
            raise ProtocolViolation(
                "54000",
                f"a connection may have {NAMES_MOST} prepared statements or portals, of {HELD_MOST} bytes",
            )
        self.set(name, value)
        undo = Undo(self, name, value, previous)
        before = self.pending.get(name)
        if before is not None:
            before.following = undo
        self.pending[name] = undo
        return undo

    def set(self, name: str, value: Any) -> None:
        """Give a name a meaning, None for no more; the name is then the latest of all."""
        previous = self.values.pop(name, None)
        if previous is not None:
            self.held -= previous.size
        if value is not None:
            self.values[name] = value
            self.held += value.size


@final
class Undo:
    """Takes back what a forwarded message did to one name; `following` is the next change of that name."""

    __slots__ = ("_name", "_previous", "_table", "_value", "following")

    def __init__(self, table: Table, name: str, value: object, previous: object) -> None:
        self._table, self._name, self._value, self._previous = table, name, value, previous
        self.following: Undo | None = None

    def undo(self) -> None:
        """The server refused or skipped it: the name has the meaning it had.

        Where a later message has given it another since, that one goes back to it if it is refused as well.
        So the changes of a name have to be taken back in the order of their messages.
        """
        if self.following is not None:
            self.following._previous = self._previous
        elif self._table.values.get(self._name) is self._value:
            self._table.set(self._name, self._previous)
        self.done()

    def done(self) -> None:
        """The server did it, or never will."""
        pending = self._table.pending
        if pending.get(self._name) is self:
            del pending[self._name]


@final
class Names:
    """What each name means right now, from the point of view of the next message to be forwarded."""

    __slots__ = ("_portals", "_renamed", "_statements")

    def __init__(self) -> None:
        self._statements, self._portals = Table(), Table()
        self._renamed = 0

    def parse(self, name: str, statement: Statement) -> Undo:
        """A Parse was forwarded; returns what takes it back.

        Raises:
            ProtocolViolation: the connection has more statements than any client has use for.
        """
        statement.made = self._renamed
        return self._statements.change(name, statement)

    def bind(self, name: str, portal: Portal) -> Undo:
        """A Bind was forwarded; returns what takes it back.

        Raises:
            ProtocolViolation: the connection has more portals than any client has use for.
        """
        portal.made = self._renamed
        if name:
            portal.named = True
        return self._portals.change(name, portal)

    def close_statement(self, name: str) -> Undo:
        """A Close of a statement was forwarded; returns what takes it back."""
        return self._statements.change(name, None)

    def close_portal(self, name: str) -> Undo:
        """A Close of a portal was forwarded; returns what takes it back."""
        return self._portals.change(name, None)

    def statement(self, name: str) -> Statement:
        """The statement of that name; one made by SQL PREPARE is not known to the wire protocol."""
        found: Statement | None = self._statements.values.get(name)
        if found is None:
            return Statement(f"-- statement {name!r}, prepared in SQL", known=False, name=name)
        # no SQL can put anything under no name
        if name and found.made != self._renamed:
            found.doubtful = True
        return found

    def portal(self, name: str) -> Portal:
        """The portal of that name; a cursor made by SQL DECLARE is not known to the wire protocol."""
        found: Portal | None = self._portals.values.get(name)
        if found is None:
            return Portal(Statement(f"-- portal {name!r}, declared in SQL", known=False, name=name))
        if name and found.made != self._renamed:
            found.doubtful = True
        return found

    def doubt(self) -> None:
        """SQL was sent that may drop names and put something else under them."""
        self._renamed += 1

    def transaction_ended(self, turn: int) -> None:
        """Portals live no longer than their transaction; those of later turns are not made yet."""
        ended = []
        # in the order in which they were bound
        name: str
        portal: Portal
        for name, portal in self._portals.values.items():
            if portal.turn > turn:
                break
            ended.append(name)
        for name in ended:
            self._portals.set(name, None)
