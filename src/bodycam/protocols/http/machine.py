"""The HTTP machine: one request after the other, of a proxy's client or a named target's, and every end.

The gateway answers for itself only where it has to (RFC 9457); all else is the target's, passed on as it came
or as masks left it.
"""

from dataclasses import replace
from typing import Final

from bodycam.model.event import Flavor, Outcome, SessionOutcome
from bodycam.protocols.http.answers import STATUSES, Problem, answer, refusal, unproved
from bodycam.protocols.http.claims import claims
from bodycam.protocols.http.conversation import Conversation, say
from bodycam.protocols.http.destination import Place, Wayfinder
from bodycam.protocols.http.door import UNREACHED, Door, way_to
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.h2.relay import Relay
from bodycam.protocols.http.head import RequestHead
from bodycam.protocols.http.intake import Intake
from bodycam.protocols.http.judging import Judging, whom
from bodycam.protocols.http.passage import Passage
from bodycam.protocols.http.proof import Credential
from bodycam.protocols.http.trip import Trip
from bodycam.protocols.http.tunnel import ESTABLISHED, Tunnel
from bodycam.session.approval import ApprovalSaid
from bodycam.session.grant import Grant, Refusal
from bodycam.session.link import Answer, DialDone, DialFailed, Link, Looked, Upgraded, UpgradeFailed
from bodycam.session.renewal import Renewed
from bodycam.session.session import Session

HEAD_SECONDS: Final = 30.0
"""How long a head may take from its first byte to its last."""

NOWHERE: Final = "access"


class HttpMachine:
    """One connection's proxy, without I/O (`session.link.Machine`)."""

    def __init__(self, link: Link, *, head_seconds: float = HEAD_SECONDS) -> None:
        self._link, self._head_seconds = link, head_seconds
        self._door, self._judging = Door(link, self), Judging(link, self)
        self._intake, self._ways, self._within = Intake(), Wayfinder(), Tunnel(link, self._door)
        self._talk = Conversation(link, self, self._intake)
        self._session: Session | None = None
        self._credential: Credential | None = None
        self._place: Place | None = None
        self._tunnel: Place | None = None
        self._relay: Relay | None = None
        self._held = self._over = False
        self._draining = ""

    # -- the client ----------------------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._over:
            return
        if (other := self._talk.passage or self._relay) is not None:
            other.from_client(data)
            return
        self._intake.add(data)
        self.go_on()

    def go_on(self) -> None:
        """Do what can be done with what has come."""
        if self._draining and not self._busy:
            self.end(SessionOutcome.CUT, self._draining)
        try:
            while not self._over and self._intake.ahead and self._step():
                pass
        except BadMessage as error:
            self.broken(error)
        if not self._over and self._intake.full != self._held:
            self._held = self._intake.full
            self._link.hold_client(self._held)

    def _step(self) -> bool:
        """One step with the client's bytes; False when more have to come, or something else first."""
        trip, session, intake = self._talk.trip, self._session, self._intake
        if trip is None:
            return self._next()
        if self._talk.refused:
            if not intake.discard(trip.body):
                self.end(SessionOutcome.ENDED, "the client went on sending what was refused")
            elif trip.body.done:
                self._talk.passed()
            return True
        if trip.body.done or session is None or not (trip.spooling or trip.sending):
            return False
        data = intake.take()
        intake.ahead = data[trip.take(data, 0) :]
        if trip.sending:
            self._talk.send_due(trip)
        elif not trip.spooling:
            self._judging.known(trip, session)
        return True

    def _next(self) -> bool:
        if self._door.busy or self._within.begins:
            return False
        waited = self._intake.begun
        head = self._intake.head()
        if head is None:
            if not waited:
                self._link.alarm(self._head_seconds)
            return False
        if waited:
            self._link.alarm(None)
        self._begin(head)
        return True

    def _begin(self, head: RequestHead) -> None:
        """A request has come: whose is it, and where does it go?"""
        tunnel, session = self._tunnel, self._session
        where = self._ways.find(head, tunnel)
        trip = self._talk.trip = Trip(head, where)
        self._talk.expect(trip)
        if tunnel is None and where.credential is None:
            self._answer_only(trip, unproved(where.proxied))
            return
        there = tunnel is not None or where.as_before(self._place, self._credential)
        if session is not None and not session.closed and there and not self._door.stale:
            self._judging.begin(trip, session)
            return
        if session is not None:  # the same connection, and another target, or a new token for it
            session.close(SessionOutcome.ENDED)
            self._talk.disconnect()
        if tunnel is None:
            self._credential, self._place = where.credential, where.place
        assert self._credential is not None
        assert self._place is not None
        self._door.open(self._place, self._credential, claims(head))

    # -- the door ------------------------------------------------------------------------------------

    def granted(self, grant: Grant) -> None:
        """They may: the session begins."""
        trip = self._talk.trip
        assert trip is not None
        session = self._session = self._link.open(grant, claims(trip.head))
        self._link.ready()
        self._judging.begin(trip, session)

    def refused(self, refusal: Refusal) -> None:
        """They may not, or nobody knows who they are."""
        trip = self._talk.trip
        assert trip is not None
        status = STATUSES[refusal.code]
        status = 401 if status == 407 and not trip.destination.proxied else status
        problem = Problem(status, refusal.message, refusal.hint, close=True)
        if refusal.grant is None:
            self._answer_only(trip, problem)
            return
        # who is known is on the record, with what they asked for
        session = self._session = self._link.open(refusal.grant, claims(trip.head))
        self._link.ready()
        session.refusing, session.refused_by = refusal.message, NOWHERE
        trip.describe(*whom(trip, session))
        trip.judge_by(session)
        say(trip, replace(problem, more={"rule": NOWHERE}), Outcome.DENIED)
        self.end(SessionOutcome.FAILED, refusal.message)

    def connected(self, done: DialDone) -> None:
        """The target's connection stands."""
        trip, session = self._talk.trip, self._session
        self._talk.connected = True
        if self._within.begins and session is not None and self._tunnel is not None:
            if self._within.connected(done):
                self._relay = Relay(self._link, session, self._tunnel, self, stale=lambda: self._door.stale)
            return
        if trip is None or session is None:
            return
        if trip.destination.connect:
            self._pass_through(trip)
        else:
            self._talk.send(trip, session)

    def unreachable(self, failed: DialFailed) -> None:
        """The target can't be reached, or must not be."""
        trip, session = self._talk.trip, self._session
        if self._within.begins:
            self._within.unreachable(failed)
        if trip is None or session is None:
            return
        status, outcome = (403, Outcome.DENIED) if failed.refused else (502, Outcome.ERROR)
        message = f"target {session.grant.target.name}: {failed.message}"
        self._talk.fail(trip, Problem(status, message, failed.hint, more={"rule": UNREACHED}), outcome)

    def answer(self, answer: Answer) -> None:
        """The answer to the last need."""
        if self._over:
            return
        trip, session = self._talk.trip, self._session
        try:
            match answer:
                case ApprovalSaid() if (other := self._relay or self._talk.passage) is not None:
                    other.said(answer)
                case ApprovalSaid():
                    if trip is not None and session is not None:
                        self._judging.decided(trip, session, answer)
                case DialDone() | DialFailed() if self._relay is not None:
                    self._relay.reached(answer)
                case Renewed():
                    (self._relay or self._talk).renewed(answer)
                case Looked():
                    self._looked(answer)
                case Upgraded():
                    self._upgraded(answer)
                case UpgradeFailed(message=message):
                    self.end(SessionOutcome.BROKEN, message)
                case _:
                    self._door.answer(answer)
        except BadMessage as error:
            self.broken(error)
        self.go_on()

    def waits(self, said: ApprovalSaid) -> None:
        """What the client asked for waits for a person: told when the wait is over."""
        if (other := self._relay or self._talk.passage) is not None:
            other.waits(said)
        elif self._talk.trip is not None:
            self._judging.approval.waits(self._talk.trip.exchange, said)

    @property
    def _busy(self) -> bool:
        return self._talk.trip is not None or (self._relay is not None and self._relay.busy)

    # -- one request ---------------------------------------------------------------------------------

    def dispatch(self, trip: Trip, session: Session) -> None:
        """Let it go to the target, once that is connected."""
        dial, place = session.grant.dial, trip.destination.place
        assert dial is not None
        if trip.destination.connect and dial.intercept:
            self._nothing_behind()
            self._talk.trip = None
            self._within.establish(trip, dial)
        elif self._within.failure is not None:
            failed, self._within.failure = self._within.failure, None
            self.unreachable(failed)
        elif self._talk.connected:
            self._talk.send(trip, session)
        elif (way := way_to(dial, place.scheme, connect=trip.destination.connect)) is not None:
            self._door.dial(way)
        else:
            self.deny(trip, Problem(403, "this target is asked over https only", "Use https:// in the URL."))

    def deny(self, trip: Trip, problem: Problem) -> None:
        """Policy would not let it through."""
        self._talk.fail(trip, problem, Outcome.DENIED)

    def _looked(self, begun: Looked) -> None:
        place = self._place
        assert place is not None
        # what comes through the tunnel belongs to the same session
        self._tunnel = replace(place, scheme="https" if begun.tls else "http")
        self._within.looked(begun)

    def _upgraded(self, done: Upgraded) -> None:
        if not self._within.upgraded(done):
            # the target would go on with another version than this client
            self._relay = None
            self._talk.disconnect()
        elif self._relay is not None:
            self._relay.greet()

    def _nothing_behind(self) -> None:
        """Bytes before the tunnel stands would be taken for what comes through it, encrypted and proved."""
        if self._intake.ahead:
            raise BadMessage("bytes behind a CONNECT, before its answer")

    def _pass_through(self, trip: Trip) -> None:
        """A tunnel that is not read."""
        exchange, host = trip.exchange, trip.destination.place.host
        assert exchange is not None
        assert host is not None
        self._nothing_behind()
        exchange.to_client(ESTABLISHED, flavor=Flavor.HEAD)
        self._talk.passage = Passage(trip, host, self)
        self._link.alarm(self._head_seconds)

    # -- answers of our own ----------------------------------------------------------------------------

    def _answer_only(self, trip: Trip, problem: Problem) -> None:
        """Say something to somebody whom no session is of."""
        problem = trip.final(problem)
        self._tell(answer(problem, body=trip.method != "HEAD"))
        self._talk.go_past(trip, problem)

    def _tell(self, said: bytes) -> None:
        """Answer what is no exchange: on the record all the same where there is one."""
        if self._session is None or self._session.closed:
            self._link.send_client(said)
        else:
            self._session.ambient.to_client(said, flavor=Flavor.HEAD)

    def broken(self, error: BadMessage) -> None:
        """What the client sent is no request that could be forwarded."""
        if self._over:
            return
        hint = "Nothing is forwarded that could be read in two ways."
        problem = Problem(error.status, error.reason, hint, close=True)
        trip, session = self._talk.trip, self._session
        if self._talk.refused:
            pass  # it has had its answer, and what comes behind is no request
        elif session is None or session.closed:
            self._link.stranger()
            self._tell(answer(problem))
        elif trip is not None and trip.exchange is not None and not trip.exchange.finished:
            if self._talk.response is None or not self._talk.response.begun:
                say(trip, problem, Outcome.ERROR)
        else:
            self._tell(answer(problem))
        self.end(SessionOutcome.BROKEN, f"the client broke the protocol: {error.reason}")

    # -- the target ----------------------------------------------------------------------------------

    def from_target(self, data: bytes) -> None:
        """Bytes from the target."""
        if not self._over:
            (self._relay or self._talk).receive(data)

    def target_gone(self) -> None:
        """The target closed, or was lost."""
        if not self._over:
            (self._relay or self._talk).target_gone()

    # -- the end -------------------------------------------------------------------------------------

    def client_gone(self) -> bool:
        """The client was lost."""
        if not self._over:
            self.end(SessionOutcome.ENDED, "the client closed its connection")
        return False

    def cancel(self) -> None:
        """HTTP has no such thing."""

    def alarm(self) -> None:
        """A head took too long, or something has been held back long enough."""
        if self._over:
            return
        if self._relay is not None:
            self._relay.alarm()
        elif self._talk.passage is not None:
            self._talk.passage.waited()
        elif self._talk.refused:
            self.end(SessionOutcome.ENDED, "the client did not end in time what was refused")
        elif self._talk.trip is not None:
            self._talk.rung()
        elif self._intake.begun:
            self.broken(BadMessage(f"the head took longer than {self._head_seconds:g} s", 408))

    def cut(self, reason: str) -> None:
        """End the session now."""
        if self._over:
            return
        if self._relay is not None:
            self._relay.cut(reason)
        elif (said := self._talk.cut(reason)) is not None:
            self._tell(said)
        self.end(SessionOutcome.CUT, reason)

    def drain(self, reason: str) -> None:
        """End the session if it is at nothing; the exchange that is under way goes on to its end."""
        session = self._session
        if self._over:
            return
        if session is None or not self._busy:
            self.end(SessionOutcome.CUT, reason)
        elif not self._draining:
            self._draining = session.redaction.redact(reason)[0] or "its credential is over"
            session.note("draining", reason=self._draining)
            session.refusing = self._draining
            if self._relay is not None:
                self._relay.drain()

    def farewell(self, message: str, hint: str) -> bytes:
        """The gateway itself can't go on."""
        if self._relay is not None:
            return self._relay.farewell(message)
        if self._talk.answering or self._talk.refused:
            return b""
        return refusal(message, hint)

    def end(self, outcome: SessionOutcome, reason: str = "") -> None:
        self._over = True
        self._judging.approval.drop()
        if self._relay is not None:
            self._relay.close(outcome, reason)
        self._link.alarm(None)
        if self._talk.passage is not None:
            self._talk.passage.ended()
        if self._session is not None:
            self._session.close(outcome, reason)
        self._link.close()
