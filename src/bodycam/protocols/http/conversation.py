"""What is under way between a client and a target: one request, its response, or what they were upgraded to.

Both halves of the machine work on it; how a session begins and ends is the machine's.
"""

import secrets
from dataclasses import replace
from typing import Final, Protocol

from bodycam.model.event import Flavor, Outcome, SessionOutcome
from bodycam.protocols.http.answers import Problem, answer
from bodycam.protocols.http.content import Unshowable
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.forwarding import Forwarding, upgrade_wanted
from bodycam.protocols.http.injected import Injected, injected
from bodycam.protocols.http.intake import Intake
from bodycam.protocols.http.judging import whom
from bodycam.protocols.http.pace import Pace, too_slow
from bodycam.protocols.http.passage import Beyond
from bodycam.protocols.http.renewal import SENT_AGAIN, Renewal
from bodycam.protocols.http.response import Response
from bodycam.protocols.http.trip import Trip
from bodycam.protocols.http.websocket import WebSocket
from bodycam.session.link import Link
from bodycam.session.renewal import Renewed
from bodycam.session.session import Session

PASS_SECONDS: Final = 30.0
"""How long the rest of a request may take that has been answered already."""

HOLD_SECONDS: Final = 0.2
"""How long something is held back of a body that goes on later."""


class Ends(Protocol):
    """Whoever ends sessions."""

    def end(self, outcome: SessionOutcome, reason: str = "") -> None:
        """The session is over, and the connection."""

    def broken(self, error: BadMessage) -> None:
        """The client's request is none, or does not come to its end."""

    def go_on(self) -> None:
        """The next request may follow."""


class Talks(Ends, Protocol):
    """Whoever has a conversation."""

    def dispatch(self, trip: Trip, session: Session) -> None:
        """Send a request, once the target is connected."""


class Conversation:
    """One exchange after the other, over one connection to a target.

    `refused` is whether the request was answered before all of it had come, and the rest is passed over.
    """

    def __init__(self, link: Link, ends: Talks, intake: Intake) -> None:
        self._link, self._ends, self._intake = link, ends, intake
        self.trip: Trip | None = None
        self.response: Response | None = None
        self.passage: Beyond | None = None
        self.connected = self.refused = self._last = self._waiting = False
        # of which session these are the credentials that nobody is to see
        self._of: Session | None = None
        self._injected: Injected | None = None
        self._pace: Pace | None = None
        self._renewal: Renewal | None = None
        self._forwarding = Forwarding()

    @property
    def answering(self) -> bool:
        """Whether the client has got a part of what no other answer may be put into."""
        return self.passage is not None or (self.response is not None and self.response.begun)

    def send(self, trip: Trip, session: Session) -> None:
        """Send a request that may go to the target, as far as it has come."""
        assert trip.exchange is not None
        scheme, authority = whom(trip, session)
        if self._of is not session:
            self._of, self._injected = session, injected(session.grant.dial)
        self.response = Response(session, trip.exchange, trip.method, trip.head.minor, self._injected)
        if trip.dialect is not None:
            self.response.deltas = trip.dialect.deltas
        self.response.upgradable = upgrade_wanted(trip.head) and trip.body.done
        trip.send_head(session, authority.shown(scheme), self._forwarding, self._injected)
        self._waiting = False
        self._renewal = Renewal(self._link, trip, session) if trip.keeps else None
        if trip.held:
            self._wait()

    def send_due(self, trip: Trip, *, now: bool = False) -> None:
        """Send what has come of its body since."""
        trip.send_due(now=now)
        if trip.held:
            self._wait()

    def receive(self, data: bytes) -> None:
        """Take what the target sent."""
        if self.passage is not None:
            self.passage.from_target(data)
            return
        if self._renewal is not None:
            renewal, data = self._renewal, self._renewal.take(data)
            if renewal.done:
                self._renewal = None
            if not data:
                return
        trip, response = self.trip, self.response
        if trip is None or response is None or response.over():
            self._ends.end(SessionOutcome.BROKEN, "the target spoke without having been asked")
            return
        try:
            behind = response.receive(data)
        except (BadMessage, Unshowable) as error:
            self._bad_answer(trip, response, str(error))
            return
        if response.upgraded:
            self._upgrade(trip, behind)
            return
        if response.held:
            self._wait()
        if response.done:
            self._over(trip, response)
            if behind:
                self._ends.end(SessionOutcome.BROKEN, "the target sent more than its answer")

    def renewed(self, answer: Renewed) -> None:
        """There is a new token for the target, or none."""
        renewal, trip, session = self._renewal, self.trip, self._of
        self._renewal = None
        if renewal is None or trip is None or session is None or trip.exchange is None:
            return
        self._link.hold_target(False)
        if answer.dial is None:
            self.receive(renewal.held)
            if renewal.gone:
                self.target_gone()
            return
        trip.exchange.note("sent-again", reason=SENT_AGAIN)
        session.grant = replace(session.grant, dial=answer.dial)
        # what is to be covered has changed as well
        self._of = self.response = None
        self.disconnect()
        self._ends.dispatch(trip, session)

    def _upgrade(self, trip: Trip, behind: bytes) -> None:
        """From here on it is a WebSocket."""
        session = self._of
        assert session is not None
        self.passage = passage = WebSocket(
            trip,
            session,
            self._link,
            self._ends,
            secrets.token_bytes,
            injected=self._injected,
        )
        if behind:
            passage.from_target(behind)
        ahead = self._intake.take()
        # the client may be read again
        self._ends.go_on()
        if ahead:
            passage.from_client(ahead)

    def target_gone(self) -> None:
        """The target closed, or was lost."""
        self.connected = False
        if (renewal := self._renewal) is not None:
            if renewal.asked:
                renewal.gone = True
                return
            self._renewal = None
            if renewal.held:
                self.receive(renewal.held)
        trip, response = self.trip, self.response
        if self.passage is not None:
            self._ends.end(SessionOutcome.ENDED)
        elif trip is None:
            # a client of the target's own would see it close as well
            self._ends.end(SessionOutcome.ENDED, "the target closed the connection")
        elif response is not None:
            try:
                missing = response.ended()
            except Unshowable as error:
                missing = str(error)
            if missing:
                self._bad_answer(trip, response, missing)
            else:
                self._over(trip, response)

    def _over(self, trip: Trip, response: Response) -> None:
        """The response is over: then so is the request, and the next may follow."""
        response.record_end()
        self.response = None
        lasting = trip.head.persistent and response.lasting and response.framed
        if trip.body.done or not response.framed or trip.expects:
            self.trip = None
            if lasting and trip.sent_all:
                self._ends.go_on()
            else:
                self._ends.end(SessionOutcome.ENDED)
            return
        # the target did not wait for all of it; a client that goes on sending has to get to the answer
        self.disconnect()
        self._pass_over(last=not lasting)
        self._ends.go_on()

    def _pass_over(self, *, last: bool = False) -> None:
        self.refused, self._last = True, last
        self._link.alarm(PASS_SECONDS)

    def passed(self) -> None:
        """What was to be passed over has ended."""
        self.trip, self.refused = None, False
        self._link.alarm(None)
        if self._last:
            self._ends.end(SessionOutcome.ENDED)

    def _bad_answer(self, trip: Trip, response: Response, reason: str) -> None:
        """The target's answer can't be given, or not to its end."""
        self.disconnect()
        if response.begun:
            response.record_end(reason)
            self._ends.end(SessionOutcome.BROKEN, reason)
        else:
            problem = Problem(502, reason, "The target's own log may say more.", close=True)
            self.fail(trip, problem, Outcome.ERROR)

    def fail(self, trip: Trip, problem: Problem, outcome: Outcome) -> None:
        """Answer in place of the target, on the record, and go on behind the request's body."""
        problem = trip.final(problem)
        say(trip, problem, outcome)
        self.go_past(trip, problem)

    def go_past(self, trip: Trip, problem: Problem) -> None:
        """The request has had its answer, from the gateway."""
        self.response = None
        if problem.close or not trip.head.persistent:
            self._ends.end(SessionOutcome.ENDED)
        elif trip.body.done:
            self.trip = None
        else:
            self._pass_over()

    def expect(self, trip: Trip) -> None:
        """The body of a request has to get on, from now on."""
        self._pace = None if trip.body.done else Pace(trip, self._link.message_seconds)
        if self._pace is not None:
            self._link.alarm(self._pace.left())

    def rung(self) -> None:
        """Something has lasted long enough."""
        self.release_held()
        trip, pace = self.trip, self._pace
        if trip is None or pace is None or trip.body.done or self.answering:
            return
        left = pace.left()
        if not left:
            self._ends.broken(too_slow(self._link.message_seconds))
        elif not self._waiting:
            self._link.alarm(left)

    def release_held(self) -> None:
        """What is held back has waited long enough."""
        trip, response = self.trip, self.response
        self._waiting = False
        if response is not None and response.held:
            response.release_held()
        if trip is not None and trip.sending and trip.held:
            self.send_due(trip, now=True)

    def _wait(self) -> None:
        """Let nobody wait longer than that from the first byte on that is held."""
        if not self._waiting:
            self._waiting = True
            self._link.alarm(HOLD_SECONDS)

    def cut(self, reason: str) -> bytes | None:
        """Say why it ends, where that can be said; what is given back belongs to no exchange."""
        trip = self.trip
        if self.passage is not None:
            self.passage.cut(reason)
        elif trip is not None and not self.refused and not self.answering:
            said = answer(Problem(503, f"the gateway ended this session: {reason}", close=True))
            if trip.exchange is None:
                return said
            if not trip.exchange.finished:
                trip.exchange.to_client(said, flavor=Flavor.HEAD)
        return None

    def disconnect(self) -> None:
        """Let the target go."""
        if self.connected:
            self.connected = False
            self._link.drop_target()


def say(trip: Trip, problem: Problem, outcome: Outcome) -> None:
    """Record the gateway's own answer, and queue it for the client."""
    assert trip.exchange is not None
    trip.exchange.to_client(answer(problem, body=trip.method != "HEAD"), flavor=Flavor.HEAD)
    error = {"code": str(problem.status), "message": problem.message}
    if problem.hint:
        error["hint"] = problem.hint
    trip.finish(outcome, problem.status, error)
