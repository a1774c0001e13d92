"""The target's half of the proxy: replies matched to the queue, recorded, and handed on as they are.

Runs of messages of one exchange stay one run of bytes: recorded once, forwarded once, never rebuilt.
"""

from typing import Final, final

from bodycam.model.event import Flavor, Outcome
from bodycam.model.verdict import Verdict
from bodycam.protocols.postgres import backend, poison
from bodycam.protocols.postgres.codec import FIRST, LAST, WHOLE, Framer, ProtocolViolation
from bodycam.protocols.postgres.conversation import ENDS_A_TURN, Conversation, Expected, Reply
from bodycam.protocols.postgres.hushing import hushed
from bodycam.protocols.postgres.names import Portal
from bodycam.protocols.postgres.screening import Screening
from bodycam.session.session import Exchange

FAREWELLS = frozenset({"FATAL", "PANIC"})
STREAMED: Final = frozenset({ord("D"), ord("d")})
NOTHING_STREAMED: Final[frozenset[int]] = frozenset()

DENIED: Final = "42501"
"""insufficient_privilege"""

DATA_ROW: Final = 0x44
COPY_DATA: Final = 0x64
ERROR: Final = 0x45
NOTICE: Final = 0x4E
NOTIFICATION: Final = 0x41
PARAMETER_STATUS: Final = 0x53
ROW_DESCRIPTION: Final = 0x54
FUNCTION_RESULT: Final = 0x56
_ENDS: Final = {0x31: Reply.PARSE, 0x32: Reply.BIND, 0x33: Reply.CLOSE}

Finish = tuple[Exchange, Outcome, str | None, dict[str, str] | None]


@final
class TargetHalf:
    """Reads what the target sends after its login."""

    def __init__(self, conversation: Conversation, *, limit: int) -> None:
        self._talk, self._session = conversation, conversation.session
        # what is looked into has to be there whole
        streamed = STREAMED if conversation.session.masks is None else NOTHING_STREAMED
        self._framer = Framer(limit=limit, streamed=streamed)
        self._described: Exchange | None = None
        self._finishing: list[Finish] = []
        masks = self._session.masks
        self._screening = None if masks is None else Screening(masks)
        self.said_farewell = False
        """Whether the target's last word was that it ends the session."""

    def receive(self, data: bytes) -> None:
        """Take bytes from the target.

        Raises:
            ProtocolViolation: they are not what a server may send here.
        """
        framer = self._framer
        framer.take(data)
        buffer = framer.buffer
        owner: Exchange | None = None
        begin = end = rows = 0
        while framer.advance():
            tag, start = framer.tag, framer.start
            if tag in (DATA_ROW, COPY_DATA):
                part = framer.part
                belongs = self._row(tag, part)
                ended = len(self._finishing)
                more = framer.more_of() if part == WHOLE else 0
                if self._screening is not None and part == WHOLE:
                    if owner is not None:
                        self._pass(owner, buffer, begin, start, rows)
                        owner, rows = None, 0
                    self._screened(self._screening, belongs, tag, buffer[start : framer.end], 1 + more)
                    continue
            elif tag in (ERROR, NOTICE, NOTIFICATION, PARAMETER_STATUS):
                if owner is not None:
                    self._pass(owner, buffer, begin, start, rows)
                    owner, rows = None, 0
                self._said(tag, buffer[start : framer.end])
                continue
            elif tag == FUNCTION_RESULT and self._screening is not None:
                if owner is not None:
                    self._pass(owner, buffer, begin, start, rows)
                    owner, rows = None, 0
                belongs = self._reply(tag, buffer[start : framer.end]) or self._session.ambient
                self._screened(self._screening, belongs, tag, buffer[start : framer.end], 0)
                continue
            else:
                part, more = WHOLE, 0
                raw = buffer[start : framer.end]
                # what ends with this very message has to have it first
                ended = len(self._finishing)
                belongs = self._reply(tag, raw) or owner or self._session.ambient
                if tag == ROW_DESCRIPTION and self._screening is not None:
                    shown = self._screening.shown(raw)
                    if shown is not raw:
                        if owner is not None:
                            self._pass(owner, buffer, begin, start, rows, ended)
                            owner, rows = None, 0
                        belongs.to_client(shown)
                        belongs.masked()
                        continue
            if belongs is not owner:
                if owner is not None:
                    self._pass(owner, buffer, begin, start, rows, ended)
                owner, begin, rows = belongs, start, 0
            if tag == DATA_ROW and part <= FIRST:
                rows += 1 + more
            end = framer.end
        if owner is not None:
            self._pass(owner, buffer, begin, end, rows)
        elif self._finishing:
            self._finish()

    @property
    def between(self) -> bool:
        """Whether the client has whole messages only, so that one of ours may follow."""
        return self._framer.part in (WHOLE, LAST)

    def _pass(
        self, owner: Exchange, buffer: bytes, begin: int, end: int, rows: int, ended: int | None = None
    ) -> None:
        """Record and release a run of messages, then end the exchanges that end with it: all, or so many."""
        data = buffer if begin == 0 and end == len(buffer) else buffer[begin:end]
        owner.to_client(data, flavor=Flavor.ROWS if rows else Flavor.CHUNK, count=rows)
        if self._finishing:
            self._finish(ended)

    def _screened(self, screening: Screening, owner: Exchange, tag: int, data: bytes, count: int) -> None:
        """Whole rows, messages of copied data, or what a function gave, of one exchange, masked."""
        flavor = Flavor.CHUNK
        if tag == DATA_ROW:
            flavor = Flavor.ROWS
            released, recorded = screening.rows(data)
        elif tag == COPY_DATA:
            count = 0
            released, recorded = screening.copies(data)
        else:
            released, recorded = screening.result(data)
        met = released is not data or recorded is not None
        if not screening.keeps_rows:
            recorded = b""
        owner.to_client(released, flavor=flavor, count=count, recorded=recorded)
        if met:
            owner.masked()

    def _finish(self, ended: int | None = None) -> None:
        for exchange, outcome, tag, error in self._finishing[:ended]:
            if tag is not None and not (exchange.rows and tag.startswith("SELECT") and ";" not in tag):
                # what was inserted, updated or copied went by as no row
                exchange.rows = max(exchange.rows, backend.rows_of(tag))
            exchange.finish(outcome, tag, error)
        del self._finishing[:ended]

    def _row(self, tag: int, part: int) -> Exchange:
        queue = self._talk.queue
        if queue and queue[0].doubtful:
            self._talk.settle_doubts()
        head = queue[0] if queue else None
        if head is None or head.exchange is None:
            return self._session.ambient
        exchange = head.exchange
        if tag == DATA_ROW and self._described is not exchange and part <= FIRST:
            self._described = exchange
            if head.portal is not None:
                self._describe(exchange, head.portal)
        return exchange

    def _describe(self, exchange: Exchange, portal: Portal) -> None:
        """Rows without a description on the wire: record the one that the client got earlier."""
        columns = portal.columns
        if columns is None:
            columns = portal.statement.description(portal.formats)
        if columns:
            exchange.columns(columns if self._screening is None else self._screening.shown(columns))
        if self._screening is not None:
            if columns:
                self._screening.described(columns, exchange.operation, hearsay=portal.named)
            else:
                self._screening.undescribed(exchange.operation)

    def _reply(self, tag: int, raw: bytes) -> Exchange | None:
        """Match one message to the queue; returns the exchange it belongs to, None for the one before it."""
        talk = self._talk
        if tag == 0x5A:  # ReadyForQuery
            return self._ready(raw)
        queue = talk.queue
        if queue and queue[0].doubtful:
            talk.settle_doubts()
        head = queue[0] if queue else None
        match tag:
            case 0x43 | 0x49 | 0x73:  # CommandComplete, EmptyQueryResponse, PortalSuspended
                return self._complete(head, tag, raw)
            case 0x31 | 0x32 | 0x33:
                if head is None or head.reply is not _ENDS[tag]:
                    raise ProtocolViolation("08P01", f"the target sent {chr(tag)!r} that nothing asked for")
                return self._answered(head)
            case 0x54:  # RowDescription
                return self._row_description(head, raw)
            case 0x6E:  # NoData
                if head is None:
                    return None
                if head.statement is not None:
                    head.statement.columns = b""
                if head.reply is Reply.DESCRIBE_STATEMENT or head.reply is Reply.DESCRIBE_PORTAL:
                    return self._answered(head)
                return head.exchange
            case 0x74:  # ParameterDescription
                if head is not None and head.statement is not None:
                    head.statement.types = backend.parameter_description(raw)
                return None if head is None else head.exchange
            case 0x47:  # CopyInResponse
                if head is None:
                    raise ProtocolViolation("08P01", "the target asked for copy data that nothing offered")
                talk.copy_in_began()
                return head.exchange
            case 0x48 | 0x63 | 0x56:
                # CopyOutResponse, CopyDone, FunctionCallResponse
                if tag == 0x48 and self._screening is not None:
                    asked = None if head is None or head.exchange is None else head.exchange.operation
                    self._screening.copying(raw, asked)
                return None if head is None else head.exchange
            case _:
                raise ProtocolViolation("08P01", f"the target sent a message of type {chr(tag)!r}")

    def _answered(self, head: Expected) -> Exchange | None:
        """The reply at the head of the queue is complete."""
        if head.denied is not None:
            raise ProtocolViolation("08P01", "the target took what was to be refused by any server")
        self._talk.queue.popleft()
        if head.undo is not None:
            head.undo.done()
        if head.exchange is not None and head.last:
            self._finishing.append((head.exchange, Outcome.OK, None, None))
        return head.exchange

    def _row_description(self, head: Expected | None, raw: bytes) -> Exchange | None:
        if head is None:
            return None
        if head.reply is Reply.DESCRIBE_STATEMENT and head.statement is not None:
            head.statement.columns = raw
            # it lacks the formats that the portal will have, so it describes no rows that follow
            return self._answered(head)
        if head.exchange is not None:
            self._described = head.exchange
            if self._screening is not None:
                self._screening.described(raw, head.exchange.operation)
        if head.reply is Reply.DESCRIBE_PORTAL and head.portal is not None:
            head.portal.columns = raw
            return self._answered(head)
        return head.exchange

    def _complete(self, head: Expected | None, tag: int, raw: bytes) -> Exchange | None:
        if (
            head is None
            or head.exchange is None
            or (head.reply is not Reply.EXECUTE and head.reply is not Reply.QUERY)
        ):
            raise ProtocolViolation("08P01", "the target completed a command that nothing asked for")
        if head.denied is not None:
            raise ProtocolViolation("08P01", "the target ran what was to be refused by any server")
        self._talk.copying_in = None
        text = backend.command_complete(raw) if tag == 0x43 else None
        if head.reply is Reply.QUERY:
            if text is not None:
                if head.tags is None:
                    head.tags = []
                head.tags.append(text)
            # the next statement of the same query brings a description of its own
            return head.exchange
        self._talk.queue.popleft()
        self._finishing.append((head.exchange, Outcome.OK, text, None))
        if self._described is head.exchange:
            self._described = None
        return head.exchange

    def _ready(self, raw: bytes) -> Exchange | None:
        head = self._talk.ready(backend.ready_for_query(raw))
        if head is None or head.exchange is None:
            return None
        outcome = Outcome.OK if head.error is None else _failed_as(head.error, head)
        tags = None if not head.tags else "; ".join(head.tags)
        self._finishing.append((head.exchange, outcome, tags, head.error))
        return head.exchange

    def _said(self, tag: int, raw: bytes) -> None:
        """An error, a notice, a notification or a setting: recorded redacted, released as it is."""
        talk = self._talk
        if tag == PARAMETER_STATUS:
            talk.dialect.reported(*backend.parameter_status(raw))
        if tag == ERROR and talk.busy:
            talk.settle_doubts()
        head = talk.queue[0] if talk.queue else None
        exchange = self._session.ambient
        if tag != NOTIFICATION and head is not None and head.exchange is not None:
            exchange = head.exchange
        error: dict[str, str] = {}
        masks = self._session.masks
        if masks is not None:
            if masks.by_name and tag in (ERROR, NOTICE) and masks.hushed(exchange.operation):
                raw = hushed(tag, raw)
            raw = backend.rewritten(tag, raw, masks.said)
        if tag == ERROR:
            error = backend.error_map(raw)
            if head is not None and head.denied is not None and error["code"] in poison.REFUSED:
                raw = denial(head.denied)
                error = backend.error_map(raw)
        recorded = self._redacted(tag, raw)
        exchange.to_client(raw, recorded=recorded)
        exchange.masked()
        if recorded is not None:
            exchange.met(self._session.redaction.sightings([raw[5:]]))
        if tag != ERROR:
            return
        self.said_farewell = error.get("severity") in FAREWELLS
        if head is None:
            return
        if head.reply in ENDS_A_TURN:
            # of a Sync: the transaction that it commits failed
            head.error = error
            talk.copying_in = None
        else:
            if head.exchange is not None:
                head.exchange.finish(_failed_as(error, head), None, error)
            talk.copying_in = None
            talk.failed()

    def _redacted(self, tag: int, raw: bytes) -> bytes | None:
        redaction = self._session.redaction
        if not redaction.redact_bytes(raw[5:])[1]:
            return None
        return backend.rewritten(tag, raw, lambda text: redaction.redact(text)[0])


def _failed_as(error: dict[str, str], head: Expected) -> Outcome:
    if head.denied is not None and error["code"] == DENIED:
        return Outcome.DENIED
    # 57014 is query_canceled
    return Outcome.CANCELLED if error["code"] == "57014" else Outcome.ERROR


def denial(verdict: Verdict) -> bytes:
    """The error that a client gets for what policy denied."""
    said = f"denied by rule {verdict.rule}: {verdict.message}"
    return backend.error_response("ERROR", DENIED, said, hint=verdict.hint)
