"""A group: one request and the messages beside it, in one read, that ask for nothing of their own.

Recorded as one operation and forwarded as one run of bytes. The fact `messages` has the types of all of them,
in order: `BDES` is a Bind that an Execute of its portal follows in the same read, described in between and
synced behind. So no message reaches the target that the record does not know of, and a thousand executions
cost a thousand records.
"""

from collections.abc import Mapping
from typing import Final, final

from bodycam.model.operation import DOUBT, NAMED, PREPARES, Fact, Operation, Parameter, Weight
from bodycam.model.verdict import Verdict
from bodycam.protocols.postgres import poison
from bodycam.protocols.postgres.conversation import Expected, Reply
from bodycam.protocols.postgres.names import Portal, Statement
from bodycam.session.session import Exchange

ASIDE: Final = Weight.ASIDE

IN_DOUBT: Final = "as it was prepared over the protocol; SQL sent since may have put another under its name"


MESSAGES_MOST: Final = 1000
"""Messages of one group; a client that sends more at once has them recorded as several."""


@final
class Group:
    """What is known of a group while its messages come.

    `expected` are the replies that it will get; `bound` is the portal that an Execute would turn it into an
    execution of.
    """

    __slots__ = (
        "_buffer", "_end", "_facts", "_first", "_name", "_parameters", "_start", "_tags", "_text", "_verb",
        "bound", "expected",
    )  # fmt: skip

    def __init__(self, buffer: bytes, start: int, end: int, tag: str, verb: str) -> None:
        self._buffer, self._start, self._end = buffer, start, end
        self._first = end
        self._tags, self._verb = tag, verb
        self._text, self._name = "", ""
        self._parameters: tuple[Parameter, ...] = ()
        self._facts: dict[str, Fact] = {}
        self.expected: list[Expected] = []
        self.bound: Portal | None = None

    def ride(self, tag: str, end: int) -> None:
        """Another message, which ends there, belongs to the group."""
        if tag != "D" and tag != "E":
            self.bound = None
        self._tags += tag
        self._end = end

    def read_by(self, dialect: Mapping[str, Fact]) -> None:
        """How the target reads statements, where it is not as its grammar says."""
        if dialect:
            self._facts.update(dialect)

    @property
    def end(self) -> int:
        """Where its last message ends."""
        return self._end

    @property
    def full(self) -> bool:
        """Whether no other message may ride along."""
        return len(self._tags) >= MESSAGES_MOST

    def prepares(self, name: str, statement: Statement) -> None:
        """Its Parse."""
        self._text = statement.text
        self.names("S", name)

    def binds(self, name: str, portal: Portal) -> None:
        """Its Bind: an operation of its own unless an Execute follows."""
        self.bound = portal
        self._about(portal)
        self.names("P", name)

    def executes(self, name: str, portal: Portal, most: int) -> None:
        """Its Execute, of at most so many rows; 0 for all."""
        if self.bound is None:
            self._about(portal)
            self.names("P", name)
        self.bound = None
        self._verb = "execute"
        if most:
            self._facts["max_rows"] = most

    def names(self, kind: str, name: str) -> None:
        """It is about the statement (`S`) or the portal (`P`) of that name."""
        self._name = name
        if name:
            self._facts["statement" if kind == "S" else "portal"] = name

    def takes_describe(self, kind: str, name: str) -> bool:
        """Whether a Describe right behind it tells nothing that the group does not."""
        return name == self._name and self._tags == ("P" if kind == "S" else "B")

    def operation(self) -> Operation:
        """What it asks for."""
        self._facts["messages"] = self._tags
        verb = self._verb
        if verb == "execute":
            return Operation(verb, self._text, self._parameters, self._facts)
        inert = verb != "prepare" and verb != "bind"
        return Operation(verb, self._text, self._parameters, self._facts, ASIDE, inert)

    def owned_by(self, exchange: Exchange) -> bool:
        """Give its replies to its exchange, which ends with the last; False when none will come.

        A ReadyForQuery belongs to the exchange only where nothing else does: it is the turn's end.
        """
        last: Expected | None = None
        for expected in self.expected:
            if expected.reply is not Reply.SYNC:
                expected.exchange = exchange
                last = expected
        if last is None and self.expected:
            last = self.expected[0]
            last.exchange = exchange
        if last is None:
            return False
        last.last = True
        return True

    def wire(self) -> bytes:
        """What goes to the target."""
        if self._start == 0 and self._end == len(self._buffer):
            return self._buffer
        return self._buffer[self._start : self._end]

    def poisoned(self, verdict: Verdict) -> bytes:
        """What goes to the target where policy denied it: its first message, which asks, is another.

        What rides along is passed over by the server, as behind any message that fails.
        """
        match self._tags[0]:
            case "P":
                instead = poison.parse(self._name, verdict.rule)
            case "B":
                instead = poison.bind()
            case _:
                instead = poison.execute()
        self.expected[0].denied = verdict
        return instead + self._buffer[self._first : self._end]

    def _about(self, portal: Portal) -> None:
        statement = portal.statement
        self._text, self._parameters = statement.text, portal.parameters
        if portal.doubtful:
            self._facts[DOUBT] = IN_DOUBT
            if statement.name:
                self._facts[PREPARES] = statement.name
        if not statement.known and statement.name:
            self._facts[NAMED] = statement.name
