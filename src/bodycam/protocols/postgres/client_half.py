"""The client's half of the proxy: each message is judged as it comes, recorded, and forwarded.

A statement is judged on its text when it is parsed, and again with its values each time it is executed;
waiting for a "whole request" would deadlock clients that send Parse, Describe, Flush and wait. What comes in
one read is known, though: a request is recorded together with the messages beside it that ask for nothing of
their own (`group.py`).
"""

from typing import Final, final

from bodycam.model.event import Flavor, Outcome
from bodycam.model.operation import Operation
from bodycam.protocols.postgres import frontend
from bodycam.protocols.postgres.codec import FIRST, WHOLE, Framer, ProtocolViolation
from bodycam.protocols.postgres.conversation import Conversation, Expected, Reply
from bodycam.protocols.postgres.group import Group
from bodycam.protocols.postgres.names import Portal, Statement, renames
from bodycam.session.session import Exchange

STREAMED = frozenset({ord("d")})

QUEUE_MOST: Final = 20_000
"""Replies that the target may owe; above, the client is not read until half of them have come."""

RECORDED_MOST: Final = 64 * 1024 * 1024
"""Bytes that one read may bring into the journal: a long statement is recorded at each of its executions."""


class Denied(Exception):
    """Policy refused an operation."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange.verdict.message if exchange.verdict else "denied")
        self.exchange = exchange


@final
class ClientHalf:
    """Reads what the client sends after its login."""

    def __init__(self, conversation: Conversation, *, limit: int) -> None:
        self._talk, self._session = conversation, conversation.session
        self._framer = Framer(limit=limit, streamed=STREAMED)
        self._group: Group | None = None
        self._copying = self._session.ambient
        self._recorded = 0
        self.terminated = False

    def receive(self, data: bytes) -> None:
        """Take bytes from the client.

        Raises:
            ProtocolViolation: they are not what a client may send here.
            Denied: policy refused an operation.
        """
        framer = self._framer
        framer.take(data)
        self._recorded = self._session.moved
        try:
            # what comes behind a goodbye is read by nobody
            while not self.terminated and framer.advance():
                self._message(framer)
        except ProtocolViolation:
            # what came whole before the nonsense is what the client asked for
            self._send()
            raise
        self._send()

    def _message(self, framer: Framer) -> None:
        tag = framer.tag
        raw = framer.buffer[framer.start : framer.end]
        match tag:
            case 0x42:
                self._bind(framer, raw)
            case 0x45:
                self._execute(framer, raw)
            case 0x53:
                self._sync(framer, raw)
            case 0x44:
                self._describe(framer, raw)
            case 0x50:
                self._parse(framer, raw)
            case 0x51:
                self._query(raw)
            case 0x64:
                self._copy_data(framer)
            case 0x48:
                frontend.nothing(raw)
                self._beside(framer, "H", "flush")
            case 0x43:
                self._close(framer, raw)
            case 0x46:
                self._function(raw)
            case 0x63 | 0x66:
                self._copy_end(raw)
            case 0x58:
                self._send()
                frontend.nothing(raw)
                self.terminated = True
                self._session.forward(raw)
            case _:
                raise ProtocolViolation(
                    "08P01", f"a message of type {chr(tag)!r} has no place after the login"
                )

    # -- groups: what is recorded and forwarded together -----------------------------------------

    def _begin(self, framer: Framer, tag: str, verb: str) -> Group:
        """A new group; the one before must have been sent."""
        group = self._group = Group(framer.buffer, framer.start, framer.end, tag, verb)
        return group

    def _beside(self, framer: Framer, tag: str, verb: str) -> Group:
        """The group that a message rides along with, which asks for nothing of its own; else a new one."""
        group = self._group
        if group is not None and group.full:
            self._send()
            group = None
        if group is None:
            return self._begin(framer, tag, verb)
        group.ride(tag, framer.end)
        return group

    def _send(self) -> None:
        """Record what the group asks for, expect its replies, and forward it."""
        group = self._group
        if group is None:
            return
        self._group = None
        exchange = self._ask(group.operation())
        if not group.owned_by(exchange):
            exchange.finish(Outcome.OK)
        talk = self._talk
        for expected in group.expected:
            talk.expect(expected)
        self._session.forward(group.wire())
        if self._session.moved - self._recorded > RECORDED_MOST:
            raise ProtocolViolation(
                "54000", f"what was asked at once takes more than {RECORDED_MOST} bytes to record"
            )

    def _ask(self, operation: Operation) -> Exchange:
        exchange = self._session.request(operation)
        if not exchange.allowed:
            exchange.finish(Outcome.DENIED)
            raise Denied(exchange)
        return exchange

    # -- messages ----------------------------------------------------------------------------------

    def _query(self, raw: bytes) -> None:
        self._send()
        text = frontend.query(raw)
        exchange = self._ask(Operation("query", text))
        if renames(text):
            self._talk.names.doubt()
        self._talk.expect(Expected(Reply.QUERY, exchange))
        self._session.forward(raw)

    def _parse(self, framer: Framer, raw: bytes) -> None:
        self._send()
        name, text, types = frontend.parse(raw)
        statement = Statement(text, types)
        expected = Expected(Reply.PARSE, undo=self._talk.names.parse(name, statement))
        group = self._begin(framer, "P", "prepare")
        group.prepares(name, statement)
        group.expected.append(expected)

    def _bind(self, framer: Framer, raw: bytes) -> None:
        self._send()
        names = self._talk.names
        name, statement_name, formats, values, result_formats = frontend.bind(raw)
        statement = names.statement(statement_name)
        parameters = frontend.typed(values, formats, statement.types)
        portal = Portal(statement, parameters, result_formats, self._talk.turn)
        expected = Expected(Reply.BIND, undo=names.bind(name, portal))
        group = self._begin(framer, "B", "bind")
        group.binds(name, portal)
        group.expected.append(expected)

    def _describe(self, framer: Framer, raw: bytes) -> None:
        kind, name = frontend.describe(raw)
        group = self._group
        if group is not None and group.takes_describe(kind, name):
            group.ride("D", framer.end)
        else:
            self._send()
            group = self._begin(framer, "D", "describe")
            group.names(kind, name)
        names = self._talk.names
        if kind == "S":
            group.expected.append(Expected(Reply.DESCRIBE_STATEMENT, statement=names.statement(name)))
        else:
            group.expected.append(Expected(Reply.DESCRIBE_PORTAL, portal=names.portal(name)))

    def _execute(self, framer: Framer, raw: bytes) -> None:
        name, most = frontend.execute(raw)
        portal = self._talk.names.portal(name)
        group = self._group
        if group is not None and group.bound is portal:
            group.ride("E", framer.end)
        else:
            self._send()
            group = self._begin(framer, "E", "execute")
        group.executes(name, portal, most)
        if portal.statement.renames:
            self._talk.names.doubt()
        group.expected.append(Expected(Reply.EXECUTE, portal=portal))

    def _close(self, framer: Framer, raw: bytes) -> None:
        kind, name = frontend.describe(raw)
        self._send()
        names = self._talk.names
        undo = names.close_statement(name) if kind == "S" else names.close_portal(name)
        group = self._begin(framer, "C", "close")
        group.names(kind, name)
        group.expected.append(Expected(Reply.CLOSE, undo=undo))

    def _sync(self, framer: Framer, raw: bytes) -> None:
        frontend.nothing(raw)
        expected = Expected(Reply.SYNC)
        # while it reads copy data, the server passes over a Sync
        expected.doubtful = self._talk.copying_in is not None
        self._beside(framer, "S", "sync").expected.append(expected)

    def _function(self, raw: bytes) -> None:
        self._send()
        oid, arguments = frontend.function_call(raw)
        text = f"-- function {oid} through the fast-path protocol"
        exchange = self._ask(Operation("function", text, arguments, {"oid": oid}))
        self._talk.expect(Expected(Reply.FUNCTION, exchange))
        self._session.forward(raw)

    def _copy_data(self, framer: Framer) -> None:
        self._send()
        if framer.part in (WHOLE, FIRST):
            self._copying = self._copy_owner()
        elif self._copying.finished:
            self._copying = self._session.ambient  # the copy failed while the client was still sending
        start = framer.start
        if framer.part == WHOLE:
            framer.more_of()
        self._copying.to_target(framer.buffer[start : framer.end], flavor=Flavor.CHUNK)

    def _copy_end(self, raw: bytes) -> None:
        self._send()
        if raw[0] == 0x63:
            frontend.nothing(raw)
        self._copy_owner().to_target(raw)
        self._talk.copying_in = None

    def _copy_owner(self) -> Exchange:
        """The exchange that copy data belongs to; a client may send it before the server has asked."""
        found = self._talk.copying_in
        if found is None:
            found = self._talk.asking
        if found is None or found.exchange is None or found.exchange.finished:
            return self._session.ambient
        return found.exchange
