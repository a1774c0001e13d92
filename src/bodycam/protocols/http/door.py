"""How a link's sessions are opened: who it is, whether they may, and the connection to the target.

One thing at a time; the client's bytes wait meanwhile. What comes out goes to whoever opened the door.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, Protocol

from bodycam.model.target import Dial, Reach, TlsMode
from bodycam.protocols.http.destination import Place
from bodycam.protocols.http.proof import Credential
from bodycam.session.grant import Challenge, Grant, Method, Refusal, RefusalCode, Wanted
from bodycam.session.link import Answer, AskChallenge, AskDial, AskOpen, DialDone, DialFailed, Link

NAME = "http"
UNREACHED: Final = "target-unreachable"

_BRIEFEST: Final = 1.0  # of what is over already no session is made for each request


class Visitor(Protocol):
    """Whoever opens the door."""

    def granted(self, grant: Grant) -> None:
        """They may: a session can be opened."""

    def refused(self, refusal: Refusal) -> None:
        """They may not, or it is not known who they are."""

    def connected(self, done: DialDone) -> None:
        """The target's connection stands."""

    def unreachable(self, failed: DialFailed) -> None:
        """It does not."""


class Door:
    """The steps of one opening; `busy` while an answer is waited for."""

    def __init__(self, link: Link, visitor: Visitor, clock: Callable[[], float] = time.monotonic) -> None:
        self._link, self._visitor, self._clock = link, visitor, clock
        self._until: float | None = None
        self._credential: Credential | None = None
        self._wanted: Wanted | None = None
        self.busy = False

    def open(self, place: Place, credential: Credential, claims: Mapping[str, str]) -> None:
        """Find out whether the holder of a credential may use a place."""
        self._credential = credential
        self._wanted = Wanted(
            NAME,
            place.target,
            None,
            self._link.address,
            claims,
            host="" if place.host is None else str(place.host),
        )
        self.busy = True
        self._link.ask(AskChallenge(credential.name))

    @property
    def stale(self) -> bool:
        """Whether what the gateway adds for the last grant's session is to be used no more."""
        return self._until is not None and self._clock() >= self._until

    def dial(self, dial: Dial) -> None:
        """Connect to the target."""
        self.busy = True
        self._link.ask(AskDial(dial))

    def answer(self, answer: Answer) -> None:
        """The answer to what was asked last."""
        self.busy = False
        match answer:
            case Challenge(login=login, method=Method.CLEARTEXT):
                assert self._credential is not None
                assert self._wanted is not None
                self.busy = True
                self._link.ask(AskOpen(login, self._credential.proof, self._wanted))
                self._credential = None
            case Challenge():
                self._visitor.refused(
                    Refusal(RefusalCode.BAD_CREDENTIAL, "this user name can't be proved in a header")
                )
            case Grant(dial=dial):
                lasts = None if dial is None else dial.lasts
                self._until = None if lasts is None else self._clock() + max(lasts, _BRIEFEST)
                self._visitor.granted(answer)
            case Refusal():
                self._visitor.refused(answer)
            case DialDone():
                self._visitor.connected(answer)
            case DialFailed():
                self._visitor.unreachable(answer)


def way_to(dial: Dial, scheme: str, *, connect: bool) -> Dial | None:
    """How a target is dialled for a request of this scheme; None where it must not be asked in the clear.

    What comes through a tunnel that is not read brings its own TLS.
    """
    if connect:
        return unencrypted(dial)
    if scheme != "http" or dial.tls is TlsMode.DISABLE:
        return dial
    return None if dial.reach is Reach.ANY or adds_secrets(dial) else unencrypted(dial)


def unencrypted(dial: Dial) -> Dial:
    """The same way without TLS."""
    return replace(dial, tls=TlsMode.DISABLE)


def adds_secrets(dial: Dial) -> bool:
    """Whether requests that go this way carry credentials of the gateway's."""
    return bool(dial.headers or dial.query or dial.password is not None)
