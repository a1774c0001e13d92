"""One request on its way to the target: head and body, and all of it again where nothing was done of it."""

from typing import Final, final

from bodycam.model.event import Flavor
from bodycam.protocols.http.forwarding import forwarded, recorded
from bodycam.protocols.http.h2 import heads
from bodycam.protocols.http.h2.outflow import Outflow
from bodycam.protocols.http.h2.trunk import Trunk
from bodycam.protocols.http.h2.upload import Streamed, Upload
from bodycam.protocols.http.head import Field
from bodycam.protocols.http.judging import whom
from bodycam.protocols.http.trip import AGAIN_MOST, Trip

TRIES_MOST: Final = 3
"""How often a request is sent to a target that sends it back."""


@final
class Sending:
    """What goes to the target of a request: `far` is its stream there, 0 while it has none."""

    __slots__ = ("_body", "_tries", "_trip", "_trunk", "far", "up", "upload")

    def __init__(self, trunk: Trunk, trip: Trip, body: Streamed | None) -> None:
        self._trunk, self._trip, self._body = trunk, trip, body
        self._tries = self.far = 0
        self.up: Outflow | None = None
        self.upload: Upload | None = None

    def head(self) -> None:
        """Send the head, for the first time or again."""
        trip, trunk = self._trip, self._trunk
        trip.sending = True
        if self.up is None:
            self.up = Outflow(trunk.target, 0, self._carry, again=AGAIN_MOST)
        fields, kept = self._fields()
        self.far = self.up.open(trunk.target, fields, kept, end=self._body is None)
        self._tries += 1

    def body(self) -> None:
        """What has come of the body follows, where there is one."""
        if self._body is not None and self.upload is None:
            assert self.up is not None
            self.upload = Upload(self._trip, self._trunk.session, self.up)

    def rewind(self, why: str, *, again: bool) -> bool:
        """The target did nothing of it: whether it can be sent from its beginning.

        `again` says that it may have itself to blame, so that it is tried no more than a few times.
        """
        up, exchange = self.up, self._trip.exchange
        if up is None or exchange is None or (again and self._tries >= TRIES_MOST) or not up.rewind():
            return False
        self.far = 0
        exchange.note("sent-again", reason=why)
        return True

    def _fields(self) -> tuple[list[Field], bytes]:
        """The head, and what is recorded of it."""
        trip, trunk = self._trip, self._trunk
        session, path, injected = trunk.session, trip.destination.path, trunk.injected
        dial = session.grant.dial
        assert dial is not None
        scheme, authority = whom(trip, session)
        host = authority.shown(scheme)
        whole, told = session.masks is not None or injected is not None, trip.continued
        line, listed = forwarded(
            trip.head, path, host, dial, trip.destination.drops, whole=whole, continued=told
        )
        kept = recorded(trip.head, path, listed, dial).replace(
            b" HTTP/1.1\r\n", b" %b\r\n" % trunk.target.version, 1
        )
        if injected is not None:
            kept = injected.hidden(kept)
        fields = heads.asked(line, scheme, host, listed, trailers=b"te" in trip.head.fields)
        return fields, session.redaction.redact_bytes(kept)[0]

    def _carry(self, wire: bytes, flavor: Flavor, kept: bytes) -> None:
        exchange = self._trip.exchange
        assert exchange is not None
        exchange.to_target(wire, flavor=flavor, recorded=kept)
