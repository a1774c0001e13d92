"""A WebSocket after its handshake: messages both ways, each judged, masked and recorded.

A message goes on when all of it is here, so that it can be looked into: as it came, or as one frame where
something in it changed. No extension is agreed on (`forwarding` leaves the offer out), so frames are plain.
One that a person has to approve holds up those behind it; the other direction goes on.
"""

from typing import Final

from bodycam.model.event import Flavor, Outcome, SessionOutcome
from bodycam.model.media import Media, media
from bodycam.model.operation import Operation
from bodycam.protocols.http.answers import Problem, denied
from bodycam.protocols.http.approval import Approval
from bodycam.protocols.http.capture import BodyTap, received, sent
from bodycam.protocols.http.frames import (
    CONTROL_MOST,
    BadFrame,
    Code,
    Message,
    Messages,
    Opcode,
    checked,
    close_code,
    closing,
    frame,
)
from bodycam.protocols.http.injected import Injected
from bodycam.protocols.http.passage import Leaving, Random
from bodycam.protocols.http.queue import Queue
from bodycam.protocols.http.response import INJECTED
from bodycam.protocols.http.trip import Trip
from bodycam.session.approval import ApprovalSaid
from bodycam.session.link import Link
from bodycam.session.session import Exchange, Session

MESSAGE: Final = "message"
"""The verb of what a client sends in a message."""

STATUS: Final = 101

_TEXT: Final = media("text/plain")
_BINARY: Final = media("application/octet-stream")
_KEPT: Final = ("http.host", "http.path")


class WebSocket:
    """One connection that was upgraded by `trip`, up to its end."""

    def __init__(
        self,
        trip: Trip,
        session: Session,
        link: Link,
        leaving: Leaving,
        random: Random,
        *,
        injected: Injected | None = None,
    ) -> None:
        """`random` makes keys for frames of the gateway's own."""
        assert trip.exchange is not None
        assert trip.operation is not None
        self._trip, self._session, self._leaving, self._random = trip, session, leaving, random
        self._exchange, self._injected = trip.exchange, injected
        self._link, most = link, link.message_limit
        self._client, self._target = Messages(masked=True, most=most), Messages(masked=False, most=most)
        self._approval, self._queue = Approval(link), Queue()
        # what waits for a person, and its bytes
        self._asked: tuple[Exchange, bytes] | None = None
        self._held = self._left = False
        self._facts = trip.operation.facts
        self._over = self._met = False

    def from_client(self, data: bytes) -> None:
        """What the client sent."""
        self._client.add(data)
        self._go_on()

    def _go_on(self) -> None:
        """Send what may go."""
        try:
            while not self._over and (message := self._next()) is not None:
                self._send(message)
        except BadFrame as error:
            self._broken("client", error)
        held = self._queue.full and not self._over
        if held != self._held:
            self._held = held
            self._link.hold_client(held)

    def _next(self) -> Message | None:
        """What is to go next; while a person is asked, nothing but what keeps the connection alive."""
        if self._asked is None and (first := self._queue.first()) is not None:
            return first
        while (self._asked is None or not self._queue.full) and (message := self._client.take()) is not None:
            checked(message)
            if self._asked is None or message.opcode in (Opcode.PING, Opcode.PONG):
                return message
            self._queue.add(message)
        return None

    def from_target(self, data: bytes) -> None:
        """What the target sent."""
        try:
            self._target.add(data)
            while not self._over and (message := self._target.take()) is not None:
                self._show(checked(message))
        except BadFrame as error:
            self._broken("target", error)

    def waited(self) -> None:
        """It has no beginning to wait for."""

    def waits(self, said: ApprovalSaid) -> None:
        """It is known where a message waits for a person."""
        if self._asked is not None:
            self._approval.waits(self._asked[0], said)

    def said(self, said: ApprovalSaid) -> None:
        """A person decided about a message, or nobody did in time."""
        if self._asked is None or self._over:
            return
        (exchange, raw), self._asked = self._asked, None
        problem = self._approval.answered(self._session, exchange, said)
        if problem is None:
            self._forward(exchange, raw)
        else:
            self._refuse(exchange, problem)
        self._go_on()

    def cut(self, reason: str) -> None:
        """The session ends now, by the gateway."""
        self._close(Code.GOING_AWAY, reason)

    def ended(self) -> None:
        """One of the two has left, or the session is over."""
        lost = not (self._over or self._left or self._target.closed)
        self._over = True
        self._approval.drop()
        if self._asked is not None:
            self._asked[0].finish(Outcome.CANCELLED)
            self._asked = None
        if lost:
            self._exchange.note("websocket-close", by="nobody", code=1006)
        self._trip.finish(Outcome.OK, STATUS)

    # -- to the target -------------------------------------------------------------------------------

    def _send(self, message: Message) -> None:
        code, payload = _divided(message)
        tap = sent(_kind(payload), self._session.masks, self._session.redaction)
        _, kept = tap.whole(payload)
        if message.control:
            recorded = frame(message.opcode, code + _fitted(kept, CONTROL_MOST - len(code)))
            self._exchange.to_target(message.raw, flavor=Flavor.MESSAGE, recorded=recorded)
            self._exchange.sent(tap.sightings())
            self._left = self._left or message.opcode is Opcode.CLOSE
            self._note_close("client", message)
            return
        opcode = message.opcode.name.lower()
        facts = {name: self._facts[name] for name in _KEPT if name in self._facts}
        said = _text(message.payload)
        exchange = self._session.request(
            Operation(MESSAGE, said, facts=self._facts),
            Operation(MESSAGE, kept.decode("utf-8", "backslashreplace"), facts={**facts, "opcode": opcode}),
        )
        _left_out(exchange, tap)
        exchange.sent(tap.sightings())
        if exchange.allowed:
            self._forward(exchange, message.raw)
            return
        verdict = exchange.verdict
        assert verdict is not None
        if verdict.terms is None:
            self._refuse(exchange, denied(verdict))
        elif _kind(payload) is _BINARY:
            why = f"rule {verdict.rule} wants an approval, and nobody can be shown a message that is no text"
            self._refuse(exchange, Problem(403, why, "Send it as text."))
        else:
            self._asked = (exchange, message.raw)
            # the same words on another socket are another thing
            socket = ((0, 0, self._trip.text.encode()),)
            self._approval.ask(self._session, exchange, Operation(MESSAGE, said, socket, self._facts))

    def _forward(self, exchange: Exchange, raw: bytes) -> None:
        exchange.bytes_to_target += len(raw)
        self._session.forward(raw)
        exchange.finish(Outcome.OK)

    def _refuse(self, exchange: Exchange, problem: Problem) -> None:
        """Nothing can be answered to a message: the connection ends with it."""
        message = problem.message
        error = {"code": str(int(Code.POLICY)), "message": message}
        if problem.hint:
            error["hint"] = problem.hint
        exchange.finish(Outcome.DENIED, None, error)
        self._close(Code.POLICY, message)
        self._leaving.end(SessionOutcome.ENDED, message)

    # -- to the client -------------------------------------------------------------------------------

    def _show(self, message: Message) -> None:
        code, came = _divided(message)
        payload = came
        if self._injected is not None:
            payload = self._injected.hidden(payload)
        if payload is not came and not self._met:
            self._met = True
            self._exchange.note("masked", detector=INJECTED, count=1)
        tap = received(_kind(payload), self._session.masks, self._session.redaction)
        shown, kept = tap.whole(payload)
        if message.control:
            most = CONTROL_MOST - len(code)
            shown, kept = _fitted(shown, most), _fitted(kept, most)
        wire = message.raw if shown == came else frame(message.opcode, code + shown)
        self._exchange.to_client(wire, flavor=Flavor.MESSAGE, recorded=frame(message.opcode, code + kept))
        if not message.control:
            _left_out(self._exchange, tap)
        self._exchange.met(tap.sightings())
        if message.opcode is Opcode.CLOSE:
            self._note_close("target", message)

    # -- the end -------------------------------------------------------------------------------------

    def _note_close(self, by: str, message: Message) -> None:
        if message.opcode is Opcode.CLOSE:
            self._exchange.note("websocket-close", by=by, code=close_code(message.payload))

    def _broken(self, by: str, error: BadFrame) -> None:
        if self._over:
            return
        message = f"the {by} broke the protocol: {error.reason}"
        self._close(error.code, message)
        self._trip.finish(Outcome.ERROR, STATUS, {"code": str(int(error.code)), "message": message})
        self._leaving.end(SessionOutcome.BROKEN, message)

    def _close(self, code: Code, reason: str) -> None:
        """Tell both why it ends, but for who has been told that it does."""
        if self._over:
            return
        self._over = True
        payload = closing(code, reason)
        kept = frame(Opcode.CLOSE, payload)
        self._exchange.note("websocket-close", by="gateway", code=int(code))
        if not self._target.closed:
            self._exchange.to_client(kept, flavor=Flavor.MESSAGE)
        if not self._left:
            wire = frame(Opcode.CLOSE, payload, self._random(4))
            self._exchange.to_target(wire, flavor=Flavor.MESSAGE, recorded=kept)


def _divided(message: Message) -> tuple[bytes, bytes]:
    """A Close's code, and all else that is said."""
    if message.opcode is Opcode.CLOSE:
        return message.payload[:2], message.payload[2:]
    return b"", message.payload


def _kind(payload: bytes) -> Media:
    """A binary message that is text is looked into as well: many servers take one for the other."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return _BINARY
    return _BINARY if b"\x00" in payload else _TEXT


def _text(payload: bytes) -> str:
    """What rules read: all of it, also where a byte that is no UTF-8 would hide the rest from them."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return payload.decode("latin-1")


def _fitted(payload: bytes, most: int) -> bytes:
    """What a mask made too long for a control frame."""
    return payload if len(payload) <= most else payload[:most].decode("utf-8", "ignore").encode()


def _left_out(exchange: Exchange, tap: BodyTap) -> None:
    if said := tap.left_out():
        exchange.truncated(said)
