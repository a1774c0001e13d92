"""The target's half of the proxy: replies matched to the queue, recorded, and handed on as they are.

Runs of messages of one exchange stay one run of bytes: recorded once, forwarded once, never rebuilt.
"""

from bodycam.model.event import Flavor, Outcome
from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.codec import Framer, ProtocolViolation
from bodycam.protocols.postgres.conversation import ENDS_A_TURN, Conversation, Expected, Reply
from bodycam.session.session import Exchange

STREAMED = frozenset({ord("D"), ord("d")})

DATA_ROW, COPY_DATA, COPY_DONE = ord("D"), ord("d"), ord("c")
_ENDS = {ord("1"): Reply.PARSE, ord("2"): Reply.BIND, ord("3"): Reply.CLOSE}
_SAID = frozenset(b"ENA")

Finish = tuple[Exchange, Outcome, str | None, dict[str, str] | None]


class TargetHalf:
    """Reads what the target sends after its login."""

    def __init__(self, conversation: Conversation, *, limit: int) -> None:
        self._talk, self._session = conversation, conversation.session
        self._framer = Framer(limit=limit, streamed=STREAMED)
        self._described: Exchange | None = None
        self._finishing: list[Finish] = []

    def receive(self, data: bytes) -> None:
        """Take bytes from the target.

        Raises:
            ProtocolViolation: they are not what a server may send here.
        """
        buffer, frames = self._framer.feed(data)
        if not frames:
            return
        owner: Exchange | None = None
        begin = rows = 0
        for tag, start, end, part in frames:
            if tag in (DATA_ROW, COPY_DATA):
                belongs = self._row(tag, part)
            elif tag in _SAID:
                if owner is not None:
                    self._pass(owner, buffer, begin, start, rows)
                    owner, rows = None, 0
                self._said(tag, buffer[start:end])
                continue
            else:
                belongs = self._reply(tag, buffer, start, end) or owner or self._session.ambient
            if belongs is not owner:
                if owner is not None:
                    self._pass(owner, buffer, begin, start, rows)
                owner, begin, rows = belongs, start, 0
            if tag == DATA_ROW and part <= 1:
                rows += 1
        if owner is not None:
            self._pass(owner, buffer, begin, frames[-1][2], rows)
        elif self._finishing:
            self._finish()

    def _pass(self, owner: Exchange, buffer: bytes, begin: int, end: int, rows: int) -> None:
        data = buffer if begin == 0 and end == len(buffer) else buffer[begin:end]
        owner.to_client(data, flavor=Flavor.ROWS if rows else Flavor.CHUNK, count=rows)
        if self._finishing:
            self._finish()

    def _finish(self) -> None:
        for exchange, outcome, tag, error in self._finishing:
            if tag is not None:
                # what was inserted, updated or copied went by as no row
                exchange.rows = max(exchange.rows, backend.rows_of(tag))
            exchange.finish(outcome, tag, error)
        self._finishing.clear()

    def _row(self, tag: int, part: int) -> Exchange:
        queue = self._talk.queue
        head = queue[0] if queue else None
        if head is None or head.exchange is None:
            return self._session.ambient
        exchange = head.exchange
        if tag == DATA_ROW and self._described is not exchange and part <= 1:
            self._described = exchange
            if head.portal is not None:
                self._describe(exchange, head)
        return exchange

    @staticmethod
    def _describe(exchange: Exchange, head: Expected) -> None:
        """Rows without a description on the wire: record the one that the client got earlier."""
        assert head.portal is not None
        columns = head.portal.columns
        if columns is None and head.portal.statement.columns:
            columns = backend.with_formats(head.portal.statement.columns, head.portal.formats)
        if columns:
            exchange.columns(columns)

    def _reply(self, tag: int, buffer: bytes, start: int, end: int) -> Exchange | None:
        """Match one message to the queue; returns the exchange it belongs to, None for the one before it."""
        talk = self._talk
        head = talk.queue[0] if talk.queue else None
        match tag:
            case 0x43 | 0x49 | 0x73:  # CommandComplete, EmptyQueryResponse, PortalSuspended
                return self._complete(head, tag, buffer[start:end])
            case 0x5A:  # ReadyForQuery
                return self._ready(head, buffer[start:end])
            case 0x31 | 0x32 | 0x33:
                if head is None or head.reply is not _ENDS[tag]:
                    raise ProtocolViolation("08P01", f"the target sent {chr(tag)!r} that nothing asked for")
                talk.queue.popleft()
                if head.exchange is not None and head.alone:
                    self._finishing.append((head.exchange, Outcome.OK, None, None))
                return head.exchange
            case 0x54:  # RowDescription
                return self._row_description(head, buffer[start:end])
            case 0x6E:  # NoData
                if head is not None and head.reply in (Reply.DESCRIBE_STATEMENT, Reply.DESCRIBE_PORTAL):
                    talk.queue.popleft()
                    if head.statement is not None:
                        head.statement.columns = b""
                return None if head is None else head.exchange
            case 0x74:  # ParameterDescription
                if head is not None and head.statement is not None:
                    head.statement.types = backend.parameter_description(buffer[start:end])
                return None if head is None else head.exchange
            case 0x47:  # CopyInResponse
                if head is None:
                    raise ProtocolViolation("08P01", "the target asked for copy data that nothing offered")
                talk.copy_in_began()
                return head.exchange
            case 0x48 | 0x63 | 0x56:  # CopyOutResponse, CopyDone, FunctionCallResponse
                return None if head is None else head.exchange
            case 0x53:  # ParameterStatus
                return head.exchange if head is not None else None
            case _:
                raise ProtocolViolation("08P01", f"the target sent a message of type {chr(tag)!r}")

    def _row_description(self, head: Expected | None, raw: bytes) -> Exchange | None:
        if head is None:
            return None
        if head.reply is Reply.DESCRIBE_STATEMENT and head.statement is not None:
            head.statement.columns = raw
            self._talk.queue.popleft()
        elif head.reply is Reply.DESCRIBE_PORTAL and head.portal is not None:
            head.portal.columns = raw
            self._talk.queue.popleft()
        if head.exchange is not None and head.reply is not Reply.DESCRIBE_STATEMENT:
            # a statement's description lacks the formats that its portal will have
            self._described = head.exchange
        return head.exchange

    def _complete(self, head: Expected | None, tag: int, raw: bytes) -> Exchange | None:
        if head is None or head.exchange is None or head.reply not in (Reply.QUERY, Reply.EXECUTE):
            raise ProtocolViolation("08P01", "the target completed a command that nothing asked for")
        self._talk.copying_in = None
        text = backend.command_complete(raw) if tag == 0x43 else None
        if head.reply is Reply.QUERY:
            if text is not None:
                head.tags.append(text)
            # the next statement of the same query brings a description of its own
            return head.exchange
        self._talk.queue.popleft()
        self._finishing.append((head.exchange, Outcome.OK, text, None))
        if self._described is head.exchange:
            self._described = None
        return head.exchange

    def _ready(self, head: Expected | None, raw: bytes) -> Exchange | None:
        talk = self._talk
        if head is not None and head.reply not in ENDS_A_TURN:
            raise ProtocolViolation("08P01", "the target is ready in the middle of what it was asked")
        talk.ready(backend.ready_for_query(raw), -1 if head is None else head.turn)
        if head is None:
            return None
        talk.queue.popleft()
        if head.reply in (Reply.QUERY, Reply.FUNCTION) and head.exchange is not None:
            outcome = Outcome.OK if head.error is None else _failed_as(head.error)
            self._finishing.append((head.exchange, outcome, "; ".join(head.tags) or None, head.error))
            return head.exchange
        return None

    def _said(self, tag: int, raw: bytes) -> None:
        """An error, a notice or a notification: recorded redacted, released as it is."""
        talk = self._talk
        head = talk.queue[0] if talk.queue else None
        exchange = self._session.ambient
        if tag != ord("A") and head is not None and head.exchange is not None:
            exchange = head.exchange
        exchange.to_client(raw, recorded=self._redacted(tag, raw))
        if tag != ord("E") or head is None:
            return
        error = backend.error_map(raw)
        if head.reply in (Reply.QUERY, Reply.FUNCTION):
            head.error = error
            talk.copying_in = None
        elif head.reply is not Reply.SYNC:
            if head.exchange is not None:
                head.exchange.finish(_failed_as(error), None, error)
            talk.copying_in = None
            talk.failed()

    def _redacted(self, tag: int, raw: bytes) -> bytes | None:
        redaction = self._session.redaction
        if not redaction.redact_bytes(raw[5:])[1]:
            return None
        return backend.rewritten(tag, raw, lambda text: redaction.redact(text)[0])


def _failed_as(error: dict[str, str]) -> Outcome:
    # 57014 is query_canceled
    return Outcome.CANCELLED if error.get("code") == "57014" else Outcome.ERROR
