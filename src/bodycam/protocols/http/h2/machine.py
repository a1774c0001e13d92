"""HTTP/2 at the gateway's own listener: a client that asks for targets by their names.

Each request says by itself which target it is for and whose it is. One session is open at a time, as over
HTTP/1.1: a request for another waits until nothing else is under way, and if that takes too long, the client
is told to ask on another connection (GOAWAY). Whoever takes the gateway for a proxy has to speak HTTP/1.1.
"""

import time
from collections.abc import Callable, Iterator
from typing import Final, final

from h2 import events

from bodycam.model.event import Flavor, Outcome, SessionOutcome
from bodycam.protocols.http.answers import STATUSES, Problem, unproved
from bodycam.protocols.http.claims import claims
from bodycam.protocols.http.destination import Place, destination
from bodycam.protocols.http.door import Door
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.framing import NO_BODY
from bodycam.protocols.http.h2 import heads, refusal
from bodycam.protocols.http.h2.asked import Asked
from bodycam.protocols.http.h2.budget import Budget
from bodycam.protocols.http.h2.codes import CALM, HTTP_1_1, INTERNAL, NO_ERROR, PROTOCOL, REFUSED
from bodycam.protocols.http.h2.endpoint import Endpoint, Leaving
from bodycam.protocols.http.h2.frames import Broken, goaway
from bodycam.protocols.http.h2.relay import RESETS_A_SECOND, RESETS_MOST, Relay
from bodycam.protocols.http.h2.upload import Streamed
from bodycam.protocols.http.judging import whom
from bodycam.protocols.http.machine import NOWHERE
from bodycam.protocols.http.proof import Credential, same
from bodycam.protocols.http.trip import Trip
from bodycam.session.approval import ApprovalSaid
from bodycam.session.grant import Grant, Refusal
from bodycam.session.link import Answer, DialDone, DialFailed, Link
from bodycam.session.renewal import Renewed
from bodycam.session.session import Session

ANOTHER: Final = "requests for another target, or of somebody else, need a connection of their own"

_SCHEME: Final = "https"


@final
class Http2Machine:
    """One connection of HTTP/2, without I/O (`session.link.Machine`)."""

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic) -> None:
        self._link, self._clock = link, clock
        self._client = Endpoint(client_side=False, send=link.send_client, clock=clock)
        self._door = Door(link, self)
        self._resets = Budget(RESETS_MOST, RESETS_A_SECOND, clock)
        self._relay: Relay | None = None
        self._session: Session | None = None
        self._place: Place | None = None
        self._credential: Credential | None = None
        self._request: Asked | None = None
        # for other sessions than the one that is open, by their streams
        self._waiting: dict[int, Asked] = {}
        # what has come and waits for a door, and the client's last stream that was let in
        self._ahead, self._last = b"", 0
        self._events: Iterator[events.Event] = iter(())
        self._begun = self._going = self._over = self._leaving = False
        self._code, self._draining = NO_ERROR, ""

    # -- the client ----------------------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._over:
            return
        if not self._begun:
            self._begun = True
            self._client.begin()
        self._ahead += data
        self.go_on()

    def go_on(self) -> None:
        """Do what can be done with what has come."""
        if self._draining and self._relay is not None and not self._relay.busy:
            self.end(SessionOutcome.CUT, self._draining)
        if self._going or self._over:
            return
        self._going = True
        try:
            while self._at_it and (self._let_in() or self._next()):
                pass
        except Broken as error:
            self._broke(error)
        finally:
            self._going = False
        if self._relay is not None:
            self._relay.look()

    @property
    def _at_it(self) -> bool:
        return not (self._over or self._door.busy)

    def _broke(self, error: Broken) -> None:
        self._code = error.code
        if self._session is None:
            self._link.stranger()
        self.end(SessionOutcome.BROKEN, f"the client broke the protocol: {error.reason}")

    def _next(self) -> bool:
        """Do what the next event says; False where there is none."""
        event = next(self._events, None)
        if event is None and self._ahead:
            ahead, self._ahead = self._ahead, b""
            self._events = self._client.receive(ahead)
            event = next(self._events, None)
        if event is not None:
            self._take(event)
        return event is not None

    def _take(self, event: events.Event) -> None:
        if isinstance(event, events.DataReceived):
            self._client.took(event.flow_controlled_length or 0)
        number = getattr(event, "stream_id", None) or 0
        match event:
            case events.RequestReceived(headers=listed):
                self._asked(number, listed or [], ended=event.stream_ended is not None)
            case events.StreamReset() if self._waiting.pop(number, None) is not None or self._relay is None:
                self._spend("streams given up")
            case _ if (waiting := self._waiting.get(number)) is not None:
                waiting.since.append(event)
            case Leaving() if self._waiting:
                pass  # it closes itself once it has all answers
            case _ if self._relay is not None:
                self._relay.take(event)
            case Leaving():
                self.end(SessionOutcome.ENDED, "the client closed its connection")

    def _let_in(self) -> bool:
        """Let the one go on that waits longest, and those with it; False where none may, or none waits."""
        relay, session = self._relay, self._session
        if not self._waiting or (relay is not None and relay.busy):
            return False
        first = next(iter(self._waiting.values()))
        if relay is not None and session is not None and not session.closed and self._same(first):
            self._let_in_with(relay)
            return True
        del self._waiting[first.number]
        self._open(first)
        return True

    def _let_in_with(self, relay: Relay) -> None:
        """All those go on that wait for the session that is open."""
        for request in [one for one in self._waiting.values() if self._same(one)]:
            del self._waiting[request.number]
            self._begin(relay, request)
        relay.others(bool(self._waiting))

    def _spend(self, on_what: str) -> None:
        if not self._resets.spend():
            raise Broken(f"too many {on_what}", CALM)

    def _asked(self, number: int, listed: list[tuple[bytes, bytes]], *, ended: bool) -> None:
        """A request: whose is it, and where does it go?"""
        if self._leaving or self._draining:
            # of another connection it may be asked: nothing of it was done
            self._client.reset(number, REFUSED)
            self._spend("requests after a goodbye")
            return
        said = dict(listed)
        if said.get(b":method") == b"CONNECT" or said.get(b":scheme", b"").lower() == b"http":
            self._client.reset(number, HTTP_1_1)
            self._spend("requests of a proxy's client")
            return
        try:
            head = heads.request(listed, _SCHEME)
            where = destination(head)
        except BadMessage as error:
            self._none(number, error, ended=ended)
            return
        self._enter(Asked(number, head, where, ended=ended))

    def _enter(self, request: Asked) -> None:
        where, relay, session = request.where, self._relay, self._session
        if where.credential is None:
            self._answer(request, unproved(False))
            self._spend("requests of nobody")
        elif relay is None or session is None or session.closed:
            self._open(request)
        elif not self._waiting and self._same(request):
            self._begin(relay, request)
        elif relay.busy:
            self._waiting[request.number] = request
            relay.others(True)
        else:
            self._open(request)

    def _same(self, request: Asked) -> bool:
        """Whether it is of the session that is open."""
        where = request.where
        return (
            where.place == self._place and same(where.credential, self._credential) and not self._door.stale
        )

    def _open(self, request: Asked) -> None:
        """It is the first of a session."""
        if self._relay is not None and self._session is not None:
            self._relay.retire()
            self._session.close(SessionOutcome.ENDED)
            self._link.drop_target()
        where, credential = request.where, request.where.credential
        assert credential is not None
        self._relay, self._request = None, request
        self._place, self._credential = where.place, credential
        self._door.open(where.place, credential, claims(request.head))

    def _begin(self, relay: Relay, request: Asked) -> None:
        self._last = max(self._last, request.number)
        relay.begin(request.number, request.head, request.where, ended=request.ended)
        for event in request.since:
            relay.take(event)

    def _crowded(self) -> None:
        """Those for another session have waited long enough: they may be asked on another connection."""
        relay = self._relay
        if relay is None or not self._waiting:
            return
        self._leaving = True
        self._client.leave(NO_ERROR, ANOTHER, last=self._last)
        for number in self._waiting:
            self._client.reset(number, REFUSED)
        self._waiting.clear()
        relay.last(ANOTHER)

    # -- the door ------------------------------------------------------------------------------------

    def granted(self, grant: Grant) -> None:
        """They may: the session begins."""
        request, self._request = self._request, None
        assert request is not None
        session = self._session = self._link.open(grant, claims(request.head))
        self._link.ready()
        place, mine, resets = request.where.place, self._client, self._resets
        relay = self._relay = Relay(self._link, session, place, self, self._clock, client=mine, resets=resets)
        relay.crowded = self._crowded
        self._begin(relay, request)
        self._let_in_with(relay)

    def refused(self, refusal: Refusal) -> None:
        """They may not, or nobody knows who they are."""
        request, self._request = self._request, None
        assert request is not None
        status = STATUSES[refusal.code]
        more = None if refusal.grant is None else {"rule": NOWHERE}
        problem = Problem(401 if status == 407 else status, refusal.message, refusal.hint, more=more)
        if refusal.grant is None:
            self._answer(request, problem)
            self.end(SessionOutcome.FAILED, refusal.message)
            return
        # who is known is on the record, with what they asked for
        session = self._session = self._link.open(refusal.grant, claims(request.head))
        self._link.ready()
        session.refusing, session.refused_by = refusal.message, NOWHERE
        trip = Trip(request.head, request.where, NO_BODY if request.ended else Streamed(None))
        trip.describe(*whom(trip, session))
        trip.judge_by(session)
        self._answer(request, problem, trip)
        hint = {"hint": problem.hint} if problem.hint else {}
        error = {"code": str(problem.status), "message": problem.message, **hint}
        trip.finish(Outcome.DENIED, problem.status, error)
        self.end(SessionOutcome.FAILED, refusal.message)

    def connected(self, done: DialDone) -> None:
        """The target's connection stands."""
        if self._relay is not None:
            self._relay.reached(done)

    def unreachable(self, failed: DialFailed) -> None:
        """The target can't be reached, or must not be."""
        if self._relay is not None:
            self._relay.reached(failed)

    def answer(self, answer: Answer) -> None:
        """The answer to the last need."""
        if self._over:
            return
        try:
            if not isinstance(answer, ApprovalSaid | Renewed):
                self._door.answer(answer)
            elif self._relay is not None and isinstance(answer, Renewed):
                self._relay.renewed(answer)
            elif self._relay is not None and isinstance(answer, ApprovalSaid):
                self._relay.said(answer)
        except Broken as error:
            self._broke(error)
        self.go_on()

    def waits(self, said: ApprovalSaid) -> None:
        """What the client asked for waits for a person."""
        if self._relay is not None:
            self._relay.waits(said)

    # -- answers of our own --------------------------------------------------------------------------

    def _answer(self, request: Asked, problem: Problem, trip: Trip | None = None) -> None:
        """Say something to somebody whom no session is of, or not any more."""
        head, exchange = request.head, None if trip is None else trip.exchange

        def carry(wire: bytes, flavor: Flavor, kept: bytes) -> None:
            session = self._session
            if exchange is not None:
                exchange.to_client(wire, flavor=flavor, recorded=kept)
            elif session is None or session.closed:
                self._link.send_client(wire)
            else:
                session.ambient.to_client(wire, flavor=flavor, recorded=kept)

        grpc, body = refusal.grpc(head.fields), head.method != "HEAD"
        number, ended = request.number, request.ended
        refusal.answer_on(self._client, number, problem, carry, ended=ended, grpc=grpc, body=body)

    def _none(self, number: int, error: BadMessage, *, ended: bool) -> None:
        """What came is no request, or for the gateway itself."""
        if self._relay is not None and self._session is not None and not self._session.closed:
            self._relay.refuse(number, error, ended=ended)
            return
        self._link.stranger()
        problem = Problem(error.status, error.reason, refusal.UNCLEAR)
        refusal.answer_on(
            self._client, number, problem, lambda wire, *_: self._link.send_client(wire), ended=ended
        )
        self._code = PROTOCOL
        self.end(SessionOutcome.BROKEN, f"the client broke the protocol: {error.reason}")

    def broken(self, error: BadMessage) -> None:
        """A stream that breaks is told so by itself."""

    # -- the target ----------------------------------------------------------------------------------

    def from_target(self, data: bytes) -> None:
        """Bytes from the target."""
        if not self._over and self._relay is not None:
            self._relay.receive(data)

    def target_gone(self) -> None:
        """The target closed, or was lost."""
        if not self._over and self._relay is not None:
            self._relay.target_gone()

    # -- the end -------------------------------------------------------------------------------------

    def client_gone(self) -> bool:
        """The client was lost."""
        if not self._over:
            self.end(SessionOutcome.ENDED, "the client closed its connection")
        return False

    def cancel(self) -> None:
        """HTTP has no such thing."""

    def alarm(self) -> None:
        """Something has lasted long enough."""
        if not self._over and self._relay is not None:
            self._relay.alarm()

    def cut(self, reason: str) -> None:
        """End the session now."""
        if self._over:
            return
        if self._relay is not None:
            self._relay.cut(reason)
        self.end(SessionOutcome.CUT, reason)

    def drain(self, reason: str) -> None:
        """End the session if it is at nothing; what is under way goes on to its end."""
        if self._over:
            return
        session, relay = self._session, self._relay
        if session is None or relay is None or not relay.busy:
            self.end(SessionOutcome.CUT, reason)
        elif not self._draining:
            self._draining = session.redaction.redact(reason)[0] or "its credential is over"
            session.note("draining", reason=self._draining)
            session.refusing = self._draining
            relay.drain()

    def farewell(self, message: str, hint: str) -> bytes:
        """The gateway itself can't go on."""
        return goaway(0x7FFFFFFF, INTERNAL, message)

    def end(self, outcome: SessionOutcome, reason: str = "") -> None:
        """The session is over, and the connection."""
        if self._over:
            return
        self._over = True
        for number in () if self._code else self._waiting:
            self._client.reset(number, REFUSED)
        if self._relay is not None:
            self._relay.close(outcome, reason, self._code)
        else:
            self._client.leave(self._code, reason)
        self._link.alarm(None)
        if self._session is not None:
            self._session.close(outcome, reason)
        self._link.close()
