"""What one stream sends to one peer: its head, content as the windows allow, and its end.

What goes is recorded at the moment when it goes, so that the record has nothing that a peer never got.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, final

from bodycam.model.event import Flavor
from bodycam.protocols.http.h2.end import End
from bodycam.protocols.http.head import Field

TURN: Final = 64 * 1024
"""Bytes of one stream that go before another's turn comes."""

LOW: Final = 32 * 1024
"""Below so much that waits more is let come."""

Carry = Callable[[bytes, Flavor, bytes], None]
"""Record and queue: what goes over the wire, what it is, and what is recorded of it."""


@final
class Outflow:
    """One direction of a stream. `waiting` are bytes for which there was no room yet.

    `ended` is whether nothing more is going to be put in, `closed` whether all of it has gone.
    """

    __slots__ = (
        "_again",
        "_again_left",
        "_at",
        "_carry",
        "_endpoint",
        "_pieces",
        "_stream",
        "_trailers",
        "closed",
        "ended",
        "waiting",
    )

    def __init__(self, endpoint: End, stream: int, carry: Carry, *, again: int = 0) -> None:
        """`stream` is 0 until it is opened; so many bytes are kept to be sent `again`."""
        self._endpoint, self._stream, self._carry = endpoint, stream, carry
        # what has gone, of which the peer may have taken nothing; None once that is too much
        self._again: list[bytes] | None = [] if again else None
        self._again_left = again
        self._pieces: deque[tuple[bytes, bytes]] = deque()
        self._at = 0  # of the first piece so much has gone
        self._trailers: Sequence[Field] = ()
        self.ended = self.closed = False
        self.waiting = 0

    def open(self, endpoint: End, fields: Sequence[Field], kept: bytes, *, end: bool) -> int:
        """Begin a stream of ours; returns which."""
        self._endpoint = endpoint
        self._stream, wire = endpoint.open(fields, end=end)
        self.closed = end
        self.ended = self.ended or end
        self._carry(wire, Flavor.HEAD, kept)
        return self._stream

    def head(self, fields: Sequence[Field], kept: bytes, *, end: bool) -> None:
        """Send a head on the peer's stream."""
        if self.closed:
            return
        wire = self._endpoint.head(self._stream, fields, end=end)
        self.ended = self.closed = end
        self._carry(wire, Flavor.HEAD, kept)

    def put(self, data: bytes, kept: bytes) -> None:
        """Content, and what is recorded of it."""
        if not self.closed and (data or kept):
            self._pieces.append((data, kept))
            self.waiting += len(data)

    def end(self, trailers: Sequence[Field] = ()) -> None:
        """That was all."""
        self.ended, self._trailers = True, trailers

    def drop(self) -> None:
        """Nothing more goes out."""
        self._pieces.clear()
        self._again = None
        self.waiting = 0
        self.ended = self.closed = True

    def rewind(self) -> bool:
        """The peer took nothing of it: begin again with the next `open`, if all that went is still here."""
        gone = self._again
        if gone is None:
            return False
        if self._at:
            data, _ = self._pieces[0]
            self._pieces[0], self._at = (data[self._at :], b""), 0
        if first := b"".join(gone):
            # it is on the record already
            self._pieces.appendleft((first, b""))
            self.waiting += len(first)
            self._again_left += len(first)
        self._again = []
        self._stream, self.closed = 0, False
        return True

    def settled(self) -> None:
        """The peer has begun to answer: nothing is sent again."""
        self._again = None

    def _went(self, part: bytes) -> None:
        if self._again is not None:
            self._again_left -= len(part)
            if self._again_left < 0:
                self._again = None
            else:
                self._again.append(part)

    def pump(self) -> bool:
        """Send what there is room for, a turn's worth at most; whether there could be more."""
        if not self._stream:
            return False
        sent = 0
        while self._pieces and not self.closed:
            data, kept = self._pieces[0]
            left, room = len(data) - self._at, self._endpoint.room(self._stream) if data else 0
            if data and room <= 0:
                return False
            if sent >= TURN:
                return True
            size = min(left, room, TURN)
            part = data if size == len(data) else data[self._at : self._at + size]
            # what is recorded goes with the first of it
            kept = b"" if self._at else kept
            self._at += size
            if size == left:
                self._pieces.popleft()
                self._at = 0
            last = self.ended and not self._pieces and not self._trailers
            wire = self._endpoint.data(self._stream, part, end=last) if part or last else b""
            self._carry(wire, Flavor.CHUNK, kept)
            self._went(part)
            sent += size
            self.waiting -= size
            self.closed = last
        if self.ended and not self.closed:
            if self._trailers:
                wire = self._endpoint.head(self._stream, self._trailers, end=True)
            else:
                wire = self._endpoint.data(self._stream, b"", end=True)
            self._carry(wire, Flavor.CHUNK, b"")
            self.closed = True
        return False
