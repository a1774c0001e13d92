"""An answer by which the target takes the gateway's token no more: held until there is a new one, or none."""

from typing import Final, final

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import head_end, response_head
from bodycam.protocols.http.trip import Trip
from bodycam.session.link import Link
from bodycam.session.renewal import AskRenewal
from bodycam.session.session import Session

UNAUTHORIZED: Final = 401

SENT_AGAIN: Final = "the target answered 401 to the gateway's token, which was renewed"


@final
class Renewal:
    """The look at the answer to one request, which could be sent again.

    `gone` is whether the target has closed since it was asked for a new token, `done` whether all that comes
    may go on. What is `held` is a head that is not whole, or that answer as far as it has come.
    """

    __slots__ = ("_link", "_session", "_trip", "asked", "done", "gone", "held")

    def __init__(self, link: Link, trip: Trip, session: Session) -> None:
        self._link, self._trip, self._session = link, trip, session
        self.held = b""
        self.asked = self.done = self.gone = False

    def take(self, data: bytes) -> bytes:
        """What may go on of all that has come."""
        self.held += data
        if self.asked:
            return b""
        passed = 0
        try:
            while not self.done and (end := head_end(self.held, passed)) >= 0:
                status = response_head(self.held[passed:end]).status
                if status == UNAUTHORIZED and self._trip.whole:
                    self.asked = True
                    # no more than what was on its way has to be kept
                    self._link.hold_target(True)
                    self._link.ask(AskRenewal(self._session.grant.session))
                    break
                self.done = status >= 200 or status == 101
                passed = end
        except BadMessage:
            self.done = True  # whoever reads it says so
        if self.done:
            passed = len(self.held)
        given, self.held = self.held[:passed], self.held[passed:]
        return given
