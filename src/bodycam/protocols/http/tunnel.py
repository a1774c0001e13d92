"""TLS within a tunnel: the target first, then the client, so that both speak the same version of HTTP.

What they would translate otherwise (RFC 7301 has each side's version agreed on by itself) stays as it is.
"""

from dataclasses import replace
from typing import Final, final

from bodycam.model.event import Flavor, Outcome
from bodycam.model.target import Dial
from bodycam.protocols.http.client_hello import HelloReader, NoHello
from bodycam.protocols.http.door import Door
from bodycam.protocols.http.opening import ALPN, H2
from bodycam.protocols.http.trip import Trip
from bodycam.session.link import AskLook, AskUpgrade, DialDone, DialFailed, Link, Looked, Upgraded

ESTABLISHED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"


@final
class Tunnel:
    """What a client goes on with in its tunnel, and the beginning of TLS with both sides where that is it.

    `begins` is whether that has not come to its end. `failure` is why the target could not be reached, which
    the first request is answered with: before TLS with the client stands, nobody could be told.
    """

    def __init__(self, link: Link, door: Door) -> None:
        self._link, self._door = link, door
        self._dial: Dial | None = None
        self._host = ""
        self._offered = False
        self.begins = False
        self.failure: DialFailed | None = None

    def establish(self, trip: Trip, dial: Dial) -> None:
        """A tunnel that is read: the client begins TLS in it, or goes on in the clear."""
        exchange, host = trip.exchange, trip.destination.place.host
        assert exchange is not None
        assert host is not None
        exchange.to_client(ESTABLISHED, flavor=Flavor.HEAD)
        trip.finish(Outcome.OK, 200)
        self.begins, self._dial, self._host = True, dial, host.host
        self._link.ask(AskLook())

    def looked(self, begun: Looked) -> None:
        """The client has begun: where that is TLS, connect to the target.

        The target is offered HTTP/2 unless the client is known not to speak it; one that turns out not to,
        after all, gets another connection to it.
        """
        assert self._dial is not None
        self.begins = begun.tls
        if begun.tls:
            dial = self._dial
            self._door.dial(replace(dial, alpn=(H2, ALPN)) if _may_speak_h2(begun.first) else dial)

    def connected(self, done: DialDone) -> bool:
        """The target stands: so let the client begin. Whether HTTP/2 is what the target speaks."""
        self._offered = done.alpn == H2
        self._upgrade((H2, ALPN) if self._offered else (ALPN,))
        return self._offered

    def unreachable(self, failed: DialFailed) -> None:
        """It does not: the client is told in TLS."""
        self.failure, self._offered = failed, False
        self._upgrade((ALPN,))

    def upgraded(self, done: Upgraded) -> bool:
        """TLS with the client stands; whether both sides speak the same version."""
        self.begins = False
        return self._offered == (done.alpn == H2)

    def _upgrade(self, alpn: tuple[str, ...]) -> None:
        self._link.ask(AskUpgrade(self._host, alpn))


def _may_speak_h2(first: bytes) -> bool:
    """What a client's first bytes say of it; where they can't be told, it may."""
    try:
        hello = HelloReader().feed(first)
    except NoHello:
        return True
    return hello is None or H2 in hello.alpn
