"""The client's half of the proxy: each message is judged as it comes, recorded, and forwarded.

A statement is judged on its text when it is parsed, and again with its values each time it is executed;
waiting for a "whole request" would deadlock clients that send Parse, Describe, Flush and wait.
"""

from collections.abc import Callable

from bodycam.model.event import Flavor, Outcome
from bodycam.model.operation import Operation, Parameter, Weight
from bodycam.protocols.postgres import frontend
from bodycam.protocols.postgres.codec import FIRST, WHOLE, Frame, Framer, ProtocolViolation
from bodycam.protocols.postgres.conversation import Conversation, Expected, Reply
from bodycam.protocols.postgres.names import Portal, Statement
from bodycam.session.session import Exchange

STREAMED = frozenset({ord("d")})


class Denied(Exception):
    """Policy refused an operation."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange.verdict.message if exchange.verdict else "denied")
        self.exchange = exchange


class ClientHalf:
    """Reads what the client sends after its login."""

    def __init__(self, conversation: Conversation, *, limit: int) -> None:
        self._talk, self._session = conversation, conversation.session
        self._framer = Framer(limit=limit, streamed=STREAMED)
        self.terminated = False
        self._copying = self._session.ambient
        self._handlers: dict[int, Callable[[bytes], None]] = {
            ord("Q"): self._query,
            ord("P"): self._parse,
            ord("D"): self._describe,
            ord("E"): self._execute,
            ord("C"): self._close,
            ord("S"): self._sync,
            ord("H"): self._session.forward,
            ord("F"): self._function,
            ord("c"): self._copy_end,
            ord("f"): self._copy_end,
        }

    def receive(self, data: bytes) -> None:
        """Take bytes from the client.

        Raises:
            ProtocolViolation: they are not what a client may send here.
            Denied: policy refused an operation.
        """
        buffer, frames = self._framer.feed(data)
        for place, frame in enumerate(frames):
            if frame[0] == ord("B"):
                following = [buffer[start:end] for _, start, end, _ in frames[place + 1 : place + 3]]
                self._bind(buffer[frame[1] : frame[2]], following)
            else:
                self._message(buffer, frame)

    def _message(self, buffer: bytes, frame: Frame) -> None:
        tag, start, end, part = frame
        if tag == ord("d"):
            if part in (WHOLE, FIRST):
                self._copying = self._copy_owner()
            elif self._copying.finished:
                self._copying = self._session.ambient  # the copy failed while the client was still sending
            self._copying.to_target(buffer[start:end], flavor=Flavor.CHUNK)
        elif tag == ord("X"):
            self.terminated = True
            self._session.forward(buffer[start:end])
        elif (handler := self._handlers.get(tag)) is not None:
            handler(buffer[start:end])
        else:
            raise ProtocolViolation("08P01", f"a message of type {chr(tag)!r} has no place after the login")

    def _request(self, operation: Operation) -> Exchange:
        exchange = self._session.request(operation)
        if not exchange.allowed:
            exchange.finish(Outcome.DENIED)
            raise Denied(exchange)
        return exchange

    def _query(self, raw: bytes) -> None:
        exchange = self._request(Operation("query", frontend.query(raw)))
        self._talk.names.simple_query()
        self._talk.expect(Expected(Reply.QUERY, exchange))
        self._session.forward(raw)

    def _parse(self, raw: bytes) -> None:
        message = frontend.parse(raw)
        exchange = self._request(
            Operation("prepare", message.text, facts=_named("statement", message.name), weight=Weight.ASIDE)
        )
        statement = Statement(message.text, message.types)
        undo = self._talk.names.parse(message.name, statement)
        self._talk.expect(Expected(Reply.PARSE, exchange, undo))
        self._session.forward(raw)

    def _bind(self, raw: bytes, following: list[bytes]) -> None:
        names = self._talk.names
        message = frontend.bind(raw)
        statement = names.statement(message.statement)
        if not statement.known:
            statement = Statement(f"-- statement {message.statement!r}, prepared in SQL", known=False)
        portal = Portal(
            statement,
            tuple(Parameter(kind, form, value) for kind, form, value in message.with_types(statement.types)),
            message.result_formats,
            turn=self._talk.turn,
        )
        exchange = None
        # its values are recorded with its Execute, unless they would reach the target before that
        if not _executes(message.portal, following):
            facts = _named("portal", message.portal)
            exchange = self._request(
                Operation("bind", statement.text, portal.parameters, facts, Weight.ASIDE)
            )
        undo = names.bind(message.portal, portal)
        self._talk.expect(Expected(Reply.BIND, exchange, undo))
        self._session.forward(raw)

    def _describe(self, raw: bytes) -> None:
        kind, name = frontend.describe(raw)
        if kind == "S":
            statement = self._talk.names.statement(name)
            self._talk.expect(Expected(Reply.DESCRIBE_STATEMENT, statement=statement))
        else:
            self._talk.expect(Expected(Reply.DESCRIBE_PORTAL, portal=self._talk.names.portal(name)))
        self._session.forward(raw)

    def _execute(self, raw: bytes) -> None:
        message = frontend.execute(raw)
        portal = self._talk.names.portal(message.portal)
        text = portal.statement.text
        facts = _named("portal", message.portal)
        if message.max_rows:
            facts["max_rows"] = message.max_rows
        exchange = self._request(Operation("execute", text, portal.parameters, facts))
        self._talk.own(exchange)
        self._talk.expect(Expected(Reply.EXECUTE, exchange, portal=portal))
        self._session.forward(raw)

    def _close(self, raw: bytes) -> None:
        kind, name = frontend.describe(raw)
        names = self._talk.names
        undo = names.close_statement(name) if kind == "S" else names.close_portal(name)
        self._talk.expect(Expected(Reply.CLOSE, undo=undo))
        self._session.forward(raw)

    def _sync(self, raw: bytes) -> None:
        copying = self._talk.copying_in
        if copying is None or copying.reply is not Reply.EXECUTE:
            self._talk.expect(Expected(Reply.SYNC))
        self._session.forward(raw)

    def _function(self, raw: bytes) -> None:
        message = frontend.function_call(raw)
        exchange = self._request(
            Operation(
                "function",
                f"-- function {message.oid} through the fast-path protocol",
                tuple(Parameter(0, form, value) for form, value in message.arguments),
                {"oid": message.oid},
            )
        )
        self._talk.expect(Expected(Reply.FUNCTION, exchange))
        self._session.forward(raw)

    def _copy_end(self, raw: bytes) -> None:
        self._copy_owner().to_target(raw)
        self._talk.copying_in = None

    def _copy_owner(self) -> Exchange:
        """The exchange that copy data belongs to; a client may send it before the server has asked."""
        expected = self._talk.copying_in or next(
            (one for one in reversed(self._talk.queue) if one.reply in (Reply.QUERY, Reply.EXECUTE)), None
        )
        if expected is None or expected.exchange is None:
            return self._session.ambient
        return expected.exchange


def _named(kind: str, name: str) -> dict[str, str | int | bool]:
    return {kind: name} if name else {}


def _executes(portal: str, following: list[bytes]) -> bool:
    """Whether what comes next, in the same read, executes this very portal; at most a Describe between."""
    try:
        for raw in following:
            if raw[0] == ord("D"):
                frontend.describe(raw)
            else:
                return raw[0] == ord("E") and frontend.execute(raw).portal == portal
    except ProtocolViolation:
        return False
    return False
