"""The body of one request on its way to the target: as it came, and recorded before it goes."""

from collections.abc import Sequence
from typing import final

from bodycam.protocols.http.capture import sent
from bodycam.protocols.http.content import Content
from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.h2.outflow import Outflow
from bodycam.protocols.http.head import Field
from bodycam.protocols.http.trailing import note_trailers
from bodycam.protocols.http.trip import HELD_MOST, Trip
from bodycam.session.session import Session


@final
class Streamed:
    """A body as the frames bring it (`framing.Body`). `length` is what its head said, if it did."""

    __slots__ = ("done", "length", "raw", "size")

    def __init__(self, length: int | None) -> None:
        self.length, self.size = length, 0
        self.done, self.raw = False, True

    def feed(self, data: bytes, start: int) -> tuple[bytes, int]:
        """All of it.

        Raises:
            BadMessage: it is longer than it said.
        """
        self.size += len(data) - start
        if self.length is not None and self.size > self.length:
            raise BadMessage("the body is longer than its Content-Length says")
        return data[start:], len(data)

    def left(self) -> str:
        """What is missing."""
        return "" if self.done else "the end of the body is missing"

    def end(self) -> None:
        """Nothing more comes.

        Raises:
            BadMessage: it is shorter than it said.
        """
        if self.length is not None and self.size < self.length:
            raise BadMessage("the body is shorter than its Content-Length says")
        self.done = True


@final
class Upload:
    """What has come of a body whose head has gone to the target."""

    __slots__ = ("_content", "_held", "_out", "_session", "_tap", "_trip")

    def __init__(self, trip: Trip, session: Session, out: Outflow) -> None:
        self._trip, self._session, self._out = trip, session, out
        self._tap = sent(trip.media, session.masks, session.redaction)
        self._content = Content(trip.head.fields)
        self._held: list[bytes] = []

    @property
    def held(self) -> int:
        """Bytes that wait until it is known how they are to be recorded."""
        return sum(map(len, self._held))

    def go_on(self, trailers: Sequence[Field], *, now: bool = False) -> None:
        """Send what has come; `now` what has been held back for long enough too."""
        trip, tap, content, out = self._trip, self._tap, self._content, self._out
        if out.ended:
            return
        if due := trip.take_due():
            self._held.append(due)
        kept = b"".join([tap.feed(piece)[1] for piece in content.feed(due)]) if due else b""
        if trip.body.done:
            content.end()
            kept += tap.end()[1]
        elif tap.held and (now or self.held > HELD_MOST):
            kept += tap.release_held()[1]
        elif tap.held:
            out.put(b"", kept)
            return
        out.put(b"".join(self._held), kept)
        self._held.clear()
        if trip.body.done:
            self._end(trailers)

    def _end(self, trailers: Sequence[Field]) -> None:
        exchange = self._trip.exchange
        assert exchange is not None
        if left_out := "; ".join(filter(None, (self._content.unread, self._tap.left_out()))):
            exchange.truncated(left_out)
        exchange.sent(self._tap.sightings())
        if trailers:
            note_trailers(self._session, exchange, "sent", trailers)
        self._out.end(trailers)
