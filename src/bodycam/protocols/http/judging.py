"""How one request is judged: by its head, or by all of it where its content has a say."""

from typing import Final, Protocol

from bodycam.model.event import Flavor
from bodycam.model.target import TlsMode
from bodycam.protocols.http.answers import Problem, denied
from bodycam.protocols.http.approval import Approval
from bodycam.protocols.http.authority import Authority
from bodycam.protocols.http.trip import SPOOL_MOST, Trip
from bodycam.session.approval import ApprovalSaid
from bodycam.session.link import Link
from bodycam.session.session import Session

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

TOO_LONG: Final = Problem(
    413,
    f"a request that a person has to approve has a body of at most {SPOOL_MOST >> 20} MiB",
    "Send it in smaller parts, or ask for a rule that needs nobody.",
)


class Court(Protocol):
    """Whoever has requests judged."""

    def dispatch(self, trip: Trip, session: Session) -> None:
        """It may go to the target."""

    def deny(self, trip: Trip, problem: Problem) -> None:
        """It may not."""


class Judging:
    """The judging of one connection's requests, one at a time."""

    def __init__(self, link: Link, court: Court) -> None:
        self._link, self._court = link, court
        self.approval = Approval(link)

    def begin(self, trip: Trip, session: Session) -> None:
        """A request of this session: judge it as soon as enough is known of it."""
        trip.describe(*whom(trip, session))
        dial = session.grant.dial
        trip.keeps = dial is not None and dial.lasts is not None
        if not trip.spooling:
            self.known(trip, session)
        else:
            self._ask_for_body(trip, session)

    def known(self, trip: Trip, session: Session) -> None:
        """All is here by which it is judged."""
        if trip.exchange is not None:
            # by its head it waits for a person, who is to decide about all of it
            self._ask_a_person(trip, session)
            return
        exchange = trip.judge_by(session)
        if exchange.allowed:
            self._court.dispatch(trip, session)
            return
        verdict = exchange.verdict
        assert verdict is not None
        if verdict.terms is None:
            self._court.deny(trip, denied(verdict))
        elif trip.body.done or trip.spooled:
            self._ask_a_person(trip, session)
        else:
            trip.spool()
            self._ask_for_body(trip, session)

    def _ask_a_person(self, trip: Trip, session: Session) -> None:
        """Let a person decide, who has to see all of it."""
        if trip.overlong:
            self._court.deny(trip, TOO_LONG)
        elif unread := trip.unread():
            message = f"a person has to approve this request, and nobody can be shown its body: {unread}"
            self._court.deny(trip, Problem(415, message, "Send the body without a Content-Encoding."))
        else:
            assert trip.exchange is not None
            self.approval.ask(session, trip.exchange, trip.bound_operation())

    def _ask_for_body(self, trip: Trip, session: Session) -> None:
        """All of it is needed before the target is asked, who could call for it as well."""
        if trip.expects:
            trip.expects, trip.continued = False, True
            exchange = session.ambient if trip.exchange is None else trip.exchange
            exchange.to_client(CONTINUE, flavor=Flavor.HEAD)

    def decided(self, trip: Trip, session: Session, said: ApprovalSaid) -> None:
        """A person decided, or nobody did in time."""
        assert trip.exchange is not None
        problem = self.approval.answered(session, trip.exchange, said)
        if problem is None:
            self._court.dispatch(trip, session)
        else:
            self._court.deny(trip, problem)


def whom(trip: Trip, session: Session) -> tuple[str, Authority]:
    """The scheme and the host of what is asked."""
    place, dial = trip.destination.place, session.grant.dial
    if place.host is not None:
        return place.scheme, place.host
    if dial is None:
        return "http", Authority(session.grant.target.name.lower(), 80)
    return ("http" if dial.tls is TlsMode.DISABLE else "https"), Authority(dial.host.lower(), dial.port)
