"""A connection that is no longer HTTP's: TLS that is passed through unread."""

import time
from collections.abc import Callable
from typing import Final, Protocol

from bodycam.model.event import Outcome, SessionOutcome
from bodycam.protocols.http.authority import Authority
from bodycam.protocols.http.client_hello import Hello, HelloReader, NoHello
from bodycam.protocols.http.trip import Trip
from bodycam.session.approval import ApprovalSaid

Random = Callable[[int], bytes]
"""So many bytes that nobody can foretell."""

UNRECOGNIZED_NAME: Final = b"\x15\x03\x03\x00\x02\x02\x70"
"""TLS's alert that a name is not served here (RFC 8446, section 6.2)."""

_SAID_MOST: Final = 200
_STATUS: Final = 200


class Leaving(Protocol):
    """Whoever ends sessions."""

    def end(self, outcome: SessionOutcome, reason: str = "") -> None:
        """The session is over, and the connection."""


class Beyond(Protocol):
    """What goes on over a connection in the place of HTTP."""

    def from_client(self, data: bytes) -> None: ...

    def from_target(self, data: bytes) -> None: ...

    def waited(self) -> None:
        """The time for its beginning is over."""

    def waits(self, said: ApprovalSaid) -> None:
        """It is known where something waits for a person."""

    def said(self, said: ApprovalSaid) -> None:
        """A person decided, or nobody did in time."""

    def cut(self, reason: str) -> None:
        """The session ends now, by the gateway."""

    def ended(self) -> None:
        """One of the two has left, or the session is over."""


class Passage:
    """Bytes both ways, as one exchange, which are only counted.

    Nothing gets to the target before the client has begun TLS with the very host that it asked for: else what
    was let through for one host could go to another at the same address.
    """

    def __init__(
        self, trip: Trip, host: Authority, leaving: Leaving, clock: Callable[[], float] = time.monotonic
    ) -> None:
        assert trip.exchange is not None
        self._trip, self._exchange, self._host, self._leaving = trip, trip.exchange, host, leaving
        self._clock, self._begun = clock, clock()
        self._hello: HelloReader | None = HelloReader()
        self._over = False

    def from_client(self, data: bytes) -> None:
        """On to the target, once it is known what it is."""
        if self._over:
            return
        if self._hello is not None:
            self._look(self._hello, data)
            return
        self._exchange.to_target(data, recorded=b"")

    def from_target(self, data: bytes) -> None:
        """On to the client."""
        if self._over:
            return
        if self._hello is not None:
            self._refuse("the target speaks first, which is no TLS")
            return
        self._exchange.to_client(data, recorded=b"")

    def waited(self) -> None:
        """No ClientHello came."""
        if self._hello is not None and not self._over:
            self._refuse("the client did not begin TLS in time")

    def waits(self, said: ApprovalSaid) -> None:
        """Nobody is asked about what is not read."""

    def said(self, said: ApprovalSaid) -> None:
        """Nobody was asked."""

    def cut(self, reason: str) -> None:
        """There is nothing that could be said."""

    def ended(self) -> None:
        """One of the two has left."""
        if not self._over:
            self._over = True
            self._exchange.note(
                "passthrough-ended",
                to_target=self._exchange.bytes_to_target,
                to_client=self._exchange.bytes_to_client,
                milliseconds=round(1000 * (self._clock() - self._begun)),
            )
        self._trip.finish(Outcome.OK, _STATUS)

    def _look(self, reader: HelloReader, data: bytes) -> None:
        try:
            found = reader.feed(data)
        except NoHello as error:
            self._refuse(f"the client did not begin TLS: {error}")
            return
        if found is None:
            return
        self._exchange.note("passthrough", host=str(self._host), **_said(found))
        host = self._host.host
        if found.server_name.lower() != host and not (_numeric(host) and not found.server_name):
            named = f"for {found.server_name[:_SAID_MOST]}" if found.server_name else "without a server name"
            self._exchange.to_client(UNRECOGNIZED_NAME, recorded=b"")
            self._refuse(f"the client began TLS {named}, in a tunnel to {host}")
            return
        self._hello = None
        self._exchange.to_target(reader.raw, recorded=b"")

    def _refuse(self, why: str) -> None:
        self._over = True
        self._trip.finish(Outcome.DENIED, _STATUS, {"code": "403", "message": why})
        self._leaving.end(SessionOutcome.ENDED, why)


def _numeric(host: str) -> bool:
    """Whether it is an address, which no client names (RFC 6066, section 3)."""
    return ":" in host or host.replace(".", "").isdigit()


def _said(hello: Hello) -> dict[str, str | int]:
    said: dict[str, str | int] = {"server_name": hello.server_name, "tls": hello.version}
    if hello.alpn:
        said["alpn"] = ", ".join(hello.alpn)[:_SAID_MOST]
    if hello.encrypted:
        said["encrypted_hello"] = 1
    return said
