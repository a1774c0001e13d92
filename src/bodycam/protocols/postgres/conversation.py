"""What both halves of the proxy know of one connection: the queue of expected replies, names, copy, skip.

The server answers in order, so each forwarded message that has an answer leaves an entry here, and each
answer is matched to the entry at the head. After an error in the extended protocol the server passes over
everything until Sync; so does the queue.
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto

from bodycam.model.event import Outcome
from bodycam.protocols.postgres.names import Names, Portal, Statement, Undo
from bodycam.session.session import Exchange, Session


class Reply(Enum):
    """What an entry of the queue waits for."""

    QUERY = auto()  # any results, then ReadyForQuery
    FUNCTION = auto()  # FunctionCallResponse, then ReadyForQuery
    PARSE = auto()  # ParseComplete
    BIND = auto()  # BindComplete
    DESCRIBE_STATEMENT = auto()  # ParameterDescription, then RowDescription or NoData
    DESCRIBE_PORTAL = auto()  # RowDescription or NoData
    EXECUTE = auto()  # rows or copy, then CommandComplete, EmptyQueryResponse or PortalSuspended
    CLOSE = auto()  # CloseComplete
    SYNC = auto()  # ReadyForQuery


ENDS_A_TURN = frozenset({Reply.SYNC, Reply.QUERY, Reply.FUNCTION})
"""What the server answers with ReadyForQuery."""


@dataclass(slots=True, eq=False)
class Expected:
    """One reply that the server owes, and the exchange that its bytes belong to."""

    reply: Reply
    exchange: Exchange | None = None
    undo: Undo | None = None
    statement: Statement | None = None
    portal: Portal | None = None
    shared: bool = False
    turn: int = 0
    tags: list[str] = field(default_factory=list)
    error: dict[str, str] | None = None

    @property
    def alone(self) -> bool:
        """Whether its exchange ends with this reply: a Parse, or a Bind that came without its Execute."""
        return self.reply is Reply.PARSE or (self.reply is Reply.BIND and not self.shared)


@dataclass(slots=True)
class Conversation:
    """The state of one connection after its login."""

    session: Session
    queue: deque[Expected] = field(default_factory=deque)
    names: Names = field(default_factory=Names)
    skipping: bool = False
    copying_in: Expected | None = None
    status: int = ord("I")
    turn: int = 0

    def expect(self, expected: Expected) -> None:
        """A message was forwarded whose answer is `expected`."""
        if expected.reply in ENDS_A_TURN:
            expected.turn = self.turn
            self.turn += 1
        if self.skipping and expected.reply is not Reply.SYNC:
            self._skip(expected)
        else:
            self.queue.append(expected)

    def own(self, exchange: Exchange) -> None:
        """An Execute was forwarded: the Bind and Describe just before it are part of its exchange."""
        for expected in reversed(self.queue):
            if expected.exchange is not None or expected.reply is Reply.SYNC:
                return
            expected.exchange, expected.shared = exchange, True

    def failed(self) -> None:
        """The head of the queue got an error in the extended protocol: all up to Sync is passed over."""
        head = self.queue.popleft()
        if head.undo is not None:
            head.undo()
        skipped = []
        while self.queue and self.queue[0].reply is not Reply.SYNC:
            skipped.append(self.queue.popleft())
        for expected in reversed(skipped):
            self._skip(expected)
        self.skipping = not self.queue

    def copy_in_began(self) -> None:
        """The server reads copy data for the head of the queue.

        In the extended protocol it ignores a Sync that it meets before the data's end, so those that were
        pipelined behind the Execute will never be answered.
        """
        self.copying_in = head = self.queue[0]
        if head.reply is Reply.EXECUTE:
            while len(self.queue) > 1 and self.queue[1].reply is Reply.SYNC:
                del self.queue[1]

    def ready(self, status: int, turn: int) -> None:
        """ReadyForQuery came with this transaction status, and ends this turn."""
        self.status = status
        self.copying_in = None
        self.skipping = False
        if status == ord("I"):
            self.names.transaction_ended(turn)

    @staticmethod
    def _skip(expected: Expected) -> None:
        if expected.undo is not None:
            expected.undo()
        if expected.exchange is not None:
            expected.exchange.finish(Outcome.SKIPPED)
