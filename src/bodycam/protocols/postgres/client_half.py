"""The client's half of the proxy: each message is judged as it comes, recorded, and forwarded.

A statement is judged on its text when it is parsed, and again with its values each time it is executed;
waiting for a "whole request" would deadlock clients that send Parse, Describe, Flush and wait. What comes in
one read is known, though: a request is recorded together with the messages beside it that ask for nothing of
their own (`group.py`).
"""

import contextlib
from typing import Final, final

from bodycam.model.event import Flavor, Outcome
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Verdict
from bodycam.protocols.postgres import frontend, poison
from bodycam.protocols.postgres.codec import FIRST, WHOLE, Framer, ProtocolViolation
from bodycam.protocols.postgres.conversation import Conversation, Expected, Reply
from bodycam.protocols.postgres.group import Group
from bodycam.protocols.postgres.names import Portal, Statement, renames
from bodycam.protocols.postgres.waiting import Waiting, Waits
from bodycam.session.masks import Masks, Stream
from bodycam.session.session import Exchange

PENDING: Final = Decision.PENDING
RUN_AT_ONCE: Final = b"D\0\0\0\6P\0" + b"E\0\0\0\t\0\0\0\0\0" + b"S\0\0\0\4"
"""Describe, Execute and Sync of the portal without a name, which libpq and others send behind its Bind."""
QUERY: Final = 0x51
STREAMED: Final = frozenset({ord("d")})
NOTHING_STREAMED: Final[frozenset[int]] = frozenset()

QUEUE_MOST: Final = 20_000
"""Replies that the target may owe; above, the client is not read until half of them have come."""

RECORDED_MOST: Final = 64 * 1024 * 1024
"""Bytes that one read may bring into the journal: a long statement is recorded at each of its executions."""

WAITING_MOST: Final = 1024 * 1024
"""Bytes from the client that are kept while an operation waits for a person; above, it waits no longer."""


@final
class ClientHalf:
    """Reads what the client sends after its login.

    Attributes:
        terminated: the client said goodbye.
        waiting: what waits for a person; what the client sends meanwhile is kept.
    """

    def __init__(self, conversation: Conversation, *, limit: int) -> None:
        self._talk, self._session = conversation, conversation.session
        # what is looked into has to be there whole
        streamed = STREAMED if self._session.masks is None else NOTHING_STREAMED
        self._framer = Framer(limit=limit, streamed=streamed)
        self._copied: Stream | None = None
        self._group: Group | None = None
        self._copying = self._session.ambient
        self._recorded = 0
        self.terminated = False
        self.waiting: Waiting | None = None
        self._kept: list[bytes] = []
        self.kept_size = 0

    def receive(self, data: bytes) -> None:
        """Take bytes from the client.

        Raises:
            ProtocolViolation: they are not what a client may send here.
        """
        if self.waiting is not None:
            self._kept.append(data)
            self.kept_size += len(data)
            return
        self._framer.take(data)
        self._recorded = self._session.moved
        self._go_on()

    def resume(self, refusal: Verdict | None) -> None:
        """What waited may go on, or is refused; then what came meanwhile is read.

        Raises:
            ProtocolViolation: as `receive` does.
        """
        waiting, self.waiting = self.waiting, None
        assert waiting is not None
        if refusal is None:
            self._forward(waiting.exchange, waiting.group, waiting.raw, waiting.operation)
        else:
            self._refuse(waiting.exchange, waiting.group, waiting.raw, refusal)
        self._go_on()
        self._read_on()

    def _read_on(self) -> None:
        while self._kept and self.waiting is None:
            kept, self._kept, self.kept_size = b"".join(self._kept), [], 0
            self.receive(kept)

    def drop_waiting(self) -> None:
        """What waits is never forwarded, and what came meanwhile never read."""
        if self.waiting is not None:
            self.waiting.exchange.finish(Outcome.DENIED)
            self.waiting = None
        self._kept, self.kept_size = [], 0

    def _go_on(self) -> None:
        framer = self._framer
        try:
            # what comes behind a goodbye is read by nobody
            while not self.terminated and framer.advance():
                self._message(framer)
            self._send()
        except Waits:
            return
        except ProtocolViolation:
            # what came whole before the nonsense is what the client asked for
            with contextlib.suppress(Waits):
                self._send()
            raise

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
        operation = group.operation()
        exchange = self._session.request(operation)
        if exchange.allowed:
            self._forward(exchange, group, b"", operation)
        else:
            self._stop(exchange, operation, group, b"")
        if self._session.moved - self._recorded > RECORDED_MOST:
            raise ProtocolViolation(
                "54000", f"what was asked at once takes more than {RECORDED_MOST} bytes to record"
            )

    def _ask(self, operation: Operation, raw: bytes) -> None:
        """Record one message that asks by itself, and forward it."""
        exchange = self._session.request(operation)
        if exchange.allowed:
            self._forward(exchange, None, raw, operation)
        else:
            self._stop(exchange, operation, None, raw)

    def _stop(self, exchange: Exchange, operation: Operation, group: Group | None, raw: bytes) -> None:
        """Policy did not allow it.

        Raises:
            Waits: it wants a person to be asked.
        """
        verdict = exchange.verdict
        assert verdict is not None
        if verdict.decision is not PENDING:
            self._refuse(exchange, group, raw, verdict)
            return
        self.waiting = Waiting(exchange, operation, group, raw)
        framer = self._framer
        if group is not None and framer.start >= group.end and framer.end > group.end:
            # a message is at hand already that is not part of it
            framer.back()
        raise Waits

    def _forward(self, exchange: Exchange, group: Group | None, raw: bytes, operation: Operation) -> None:
        talk = self._talk
        if group is None:
            if raw[0] == QUERY:
                if renames(operation.text):
                    talk.names.doubt()
                talk.expect(Expected(Reply.QUERY, exchange))
            else:
                talk.expect(Expected(Reply.FUNCTION, exchange))
            self._session.forward(raw)
            return
        self._expect(exchange, group)
        self._session.forward(group.wire())

    def _refuse(self, exchange: Exchange, group: Group | None, raw: bytes, verdict: Verdict) -> None:
        """Forward what the target refuses, so that all else is as after any error."""
        if group is None:
            if raw[0] == QUERY:
                expected, instead = Expected(Reply.QUERY, exchange), poison.query(verdict.rule)
            else:
                expected, instead = Expected(Reply.FUNCTION, exchange), poison.function_call()
            expected.denied = verdict
            self._talk.expect(expected)
        else:
            instead = group.poisoned(verdict)
            self._expect(exchange, group)
        self._session.forward(instead)

    def _expect(self, exchange: Exchange, group: Group) -> None:
        if not group.owned_by(exchange):
            exchange.finish(Outcome.OK)
        for expected in group.expected:
            self._talk.expect(expected)

    # -- messages ----------------------------------------------------------------------------------

    def _query(self, raw: bytes) -> None:
        self._send()
        text = frontend.query(raw)
        self._ask(Operation("query", text, (), self._talk.dialect.facts), raw)

    def _parse(self, framer: Framer, raw: bytes) -> None:
        self._send()
        name, text, types = frontend.parse(raw)
        statement = Statement(text, types, name=name)
        expected = Expected(Reply.PARSE, undo=self._talk.names.parse(name, statement))
        group = self._begin(framer, "P", "prepare")
        group.read_by(self._talk.dialect.facts)
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
        if not name and framer.rest_is(RUN_AT_ONCE):
            self._run_at_once(framer, group, portal)

    def _run_at_once(self, framer: Framer, group: Group, portal: Portal) -> None:
        """What the three messages of `RUN_AT_ONCE` do one by one, in half the time."""
        group.ride("D", framer.end)
        group.ride("E", framer.end)
        group.executes("", portal, 0)
        if portal.statement.renames:
            self._talk.names.doubt()
        group.expected += [
            Expected(Reply.DESCRIBE_PORTAL, portal=portal),
            Expected(Reply.EXECUTE, portal=portal),
        ]
        self._synced(framer)

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
        self._synced(framer)

    def _synced(self, framer: Framer) -> None:
        expected = Expected(Reply.SYNC)
        # while it reads copy data, the server passes over a Sync
        expected.doubtful = self._talk.copying_in is not None
        self._beside(framer, "S", "sync").expected.append(expected)

    def _function(self, raw: bytes) -> None:
        self._send()
        oid, arguments = frontend.function_call(raw)
        text = f"-- function {oid} through the fast-path protocol"
        self._ask(Operation("function", text, arguments, {"oid": oid, **self._talk.dialect.facts}), raw)

    def _copy_data(self, framer: Framer) -> None:
        self._send()
        if framer.part in (WHOLE, FIRST):
            self._copying = self._copy_owner()
        elif self._copying.finished:
            self._copying = self._session.ambient  # the copy failed while the client was still sending
        start = framer.start
        masks = self._session.masks
        if masks is not None:
            self._masked_copy(framer.buffer[start : framer.end], masks)
            return
        if framer.part == WHOLE:
            framer.more_of()
        self._copying.to_target(framer.buffer[start : framer.end], flavor=Flavor.CHUNK)

    def _masked_copy(self, raw: bytes, masks: Masks) -> None:
        """One CopyData message; the record gets what its stream lets go, masked."""
        if not masks.keeps_rows:
            self._copying.to_target(raw, recorded=b"")
            return
        if self._copied is None:
            self._copied = masks.copied_in()
        if self._copied is None:
            self._copying.to_target(raw)
            return
        kept = self._copied.feed(raw[5:])
        self._copying.to_target(raw, recorded=frontend.copy_data(kept) if kept else b"")

    def _copy_end(self, raw: bytes) -> None:
        self._send()
        if raw[0] == 0x63:
            frontend.nothing(raw)
        owner = self._copy_owner()
        if self._copied is not None:
            # nothing that was copied counts at the target before the end that follows
            rest, self._copied = self._copied.flush(), None
            if rest:
                owner.to_target(b"", recorded=frontend.copy_data(rest))
            if self._session.masks is not None:
                owner.sent(self._session.masks.sent())
        owner.to_target(raw)
        self._talk.copying_in = None

    def _copy_owner(self) -> Exchange:
        """The exchange that copy data belongs to; a client may send it before the server has asked."""
        found = self._talk.copying_in
        if found is None:
            found = self._talk.asking
        if found is None or found.exchange is None or found.exchange.finished:
            return self._session.ambient
        return found.exchange
