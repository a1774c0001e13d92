"""What both halves of the proxy know of one connection: the queue of expected replies, names, copy, skip.

The server answers in order, so each forwarded message that has an answer leaves an entry here, and each
answer is matched to the entry at the head. After an error in the extended protocol the server passes over
everything until Sync; so does the queue.
https://www.postgresql.org/docs/current/protocol-flow.html
"""

from collections import deque
from enum import Enum, auto
from typing import final

from bodycam.model.event import Outcome
from bodycam.model.verdict import Verdict
from bodycam.protocols.postgres.codec import ProtocolViolation
from bodycam.protocols.postgres.dialect import Dialect
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

PREPARING = frozenset(
    {Reply.PARSE, Reply.BIND, Reply.DESCRIBE_STATEMENT, Reply.DESCRIBE_PORTAL, Reply.CLOSE, Reply.SYNC}
)
"""What executes nothing."""


@final
class Expected:
    """One reply that the server owes, and the exchange that its bytes belong to.

    `last` says that the exchange ends with this reply. `doubtful` marks a ReadyForQuery that may never come.
    `denied` has what policy said, where the target got in the client's place what it refuses.
    """

    __slots__ = (
        "denied", "doubtful", "error", "exchange", "last", "portal", "reply", "statement", "tags", "turn",
        "undo",
    )  # fmt: skip

    def __init__(
        self,
        reply: Reply,
        exchange: Exchange | None = None,
        undo: Undo | None = None,
        statement: Statement | None = None,
        portal: Portal | None = None,
    ) -> None:
        self.reply, self.exchange, self.undo = reply, exchange, undo
        self.statement, self.portal = statement, portal
        self.last = False
        self.turn = 0
        self.doubtful = False
        self.tags: list[str] | None = None
        self.error: dict[str, str] | None = None
        self.denied: Verdict | None = None


@final
class Conversation:
    """The state of one connection after its login.

    `copying_in` is the entry whose copy data the client sends; `skipping` says that the server passes over
    what comes until Sync; `turn` counts what ends with ReadyForQuery; `asking` is the last that was forwarded
    and may read copy data; `working` says that something was executed since the last Sync, whose transaction
    that Sync will end.
    """

    __slots__ = (
        "_doubts",
        "asking",
        "copying_in",
        "dialect",
        "names",
        "queue",
        "session",
        "skipping",
        "status",
        "turn",
        "working",
    )

    def __init__(self, session: Session, *, status: int = ord("I"), dialect: Dialect | None = None) -> None:
        self.session, self.status = session, status
        self.queue: deque[Expected] = deque()
        self.names = Names()
        self.skipping = False
        self.copying_in: Expected | None = None
        self.asking: Expected | None = None
        self._doubts = 0
        self.turn = 0
        self.working = False
        self.dialect = dialect or Dialect()

    def expect(self, expected: Expected) -> None:
        """A message was forwarded whose answer is `expected`."""
        reply = expected.reply
        if reply is Reply.SYNC or reply is Reply.QUERY or reply is Reply.FUNCTION:
            expected.turn = self.turn
            self.turn += 1
        if reply is Reply.SYNC:
            # what comes behind it is not passed over, though its own answer may not have come yet
            self.skipping = self.working = False
        elif self.skipping:
            _skip(expected)
            return
        elif reply is Reply.QUERY or reply is Reply.EXECUTE:
            self.asking = expected
            self.working = reply is Reply.EXECUTE
        self.queue.append(expected)

    def failed(self) -> None:
        """The head of the queue got an error in the extended protocol: all up to Sync is passed over."""
        head = self.queue.popleft()
        if head.undo is not None:
            head.undo.undo()
        while self.queue and self.queue[0].reply is not Reply.SYNC:
            _skip(self.queue.popleft())
        self.skipping = not self.queue

    def copy_in_began(self) -> None:
        """The server reads copy data for the head of the queue.

        It ignores a Sync that it meets before the data's end. So those that were pipelined behind the head
        are not answered, unless they come behind the data or the copy fails before the server meets them.
        """
        self.copying_in = head = self.queue[0]
        for expected in self.queue:
            if expected is not head:
                if expected.reply is not Reply.SYNC or expected.doubtful:
                    break
                expected.doubtful = True

    def settle_doubts(self) -> None:
        """An answer came that is no ReadyForQuery: those in doubt at the head of the queue never come."""
        queue = self.queue
        self._doubts = 0
        while queue and queue[0].doubtful:
            expected = queue.popleft()
            if expected.exchange is not None:
                expected.exchange.finish(Outcome.OK)

    def ready(self, status: int) -> Expected | None:
        """ReadyForQuery came with this transaction status; returns what it answers, None for nothing asked.

        Raises:
            ProtocolViolation: it came in the middle of what was asked.
        """
        queue = self.queue
        head = queue.popleft() if queue else None
        turn = -1
        if head is not None:
            reply = head.reply
            if reply is not Reply.SYNC and reply is not Reply.QUERY and reply is not Reply.FUNCTION:
                raise ProtocolViolation("08P01", "the target is ready in the middle of what it was asked")
            turn = head.turn
            if head.doubtful:
                self._spread_doubt()
        self.status = status
        self.copying_in = None
        self.skipping = False
        if status == 0x49:
            self.names.transaction_ended(turn)
        return head

    def _spread_doubt(self) -> None:
        """One of those in doubt or the Sync behind them was answered, and which of them can't be told."""
        queue = self.queue
        # where the last look ended: each entry is looked at once
        at = max(0, self._doubts - 1)
        while at < len(queue) and queue[at].doubtful:
            at += 1
        if at < len(queue) and queue[at].reply is Reply.SYNC:
            queue[at].doubtful = True
            at += 1
        self._doubts = at

    @property
    def idle(self) -> bool:
        """Whether the server is in no transaction, nor will be by what it was sent already."""
        if self.status != 0x49 or self.skipping or self.working:
            return False
        return all(expected.reply in PREPARING for expected in self.queue)

    @property
    def busy(self) -> bool:
        """Whether the target still works on something."""
        return any(not expected.doubtful for expected in self.queue)


def _skip(expected: Expected) -> None:
    if expected.undo is not None:
        expected.undo.undo()
    if expected.exchange is not None:
        expected.exchange.finish(Outcome.SKIPPED)
