"""Our end of a connection to a target that speaks HTTP/1.1 alone: one stream after the other.

What a client asked over HTTP/2 is written anew, of fields that were taken to the letter and of a body whose
end is known, so that nothing in it can be taken for another request (RFC 9113, section 10.3).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, final

from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    InformationalResponseReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.framing import (
    NO_BODY,
    Body,
    Chunked,
    UntilClosed,
    chunk,
    last_chunk,
    response_body,
)
from bodycam.protocols.http.h2 import heads
from bodycam.protocols.http.h2.codes import NO_ERROR, PROTOCOL
from bodycam.protocols.http.h2.endpoint import STREAM_WINDOW, Leaving
from bodycam.protocols.http.h2.frames import Broken
from bodycam.protocols.http.head import (
    Field,
    ResponseHead,
    fields,
    head_end,
    response_begun,
    response_head,
    written,
)

_ROOM: Final = 1 << 20
_LENGTHY: Final = frozenset((b"POST", b"PUT", b"PATCH"))


class BadAnswer(Event):
    """What the target says on a stream is no answer."""

    def __init__(self, stream: int, reason: str) -> None:
        self.stream_id, self.reason = stream, reason


@final
class PlainEnd:
    """Of HTTP/1.1. `drop` closes the connection, and `hold` stops reading it until it is told otherwise."""

    version: Final = b"HTTP/1.1"
    streams_most: Final = 1

    def __init__(self, drop: Callable[[], None], hold: Callable[[bool], None]) -> None:
        self._drop, self._hold = drop, hold
        self._last = 0
        self._asking = 0  # the stream that has no whole answer yet
        self._method = ""
        self._chunked = self._sent = False
        self._buffer = b""
        self._head: ResponseHead | None = None
        self._body: Body = NO_BODY
        self._credit = STREAM_WINDOW
        self.moved = self.seen = 0

    def begin(self) -> None:
        """Nothing is said first."""

    # -- what goes -----------------------------------------------------------------------------------

    def room(self, stream: int) -> int:
        """The connection itself says when it is too much."""
        return _ROOM

    def open(self, listed: Sequence[Field], *, end: bool) -> tuple[int, bytes]:
        """A request's head."""
        said = dict(listed)
        method, sized = said[b":method"], b"content-length" in said
        self._last = self._asking = self._last + 2 if self._last else 1
        self._method, self._head, self._buffer = method.decode(), None, b""
        self._chunked, self._sent, self._credit = not end and not sized, end, STREAM_WINDOW
        kept = [one for one in listed if one[0][:1] != b":" and one[0] != b"te"]
        if self._chunked:
            kept.append((b"transfer-encoding", b"chunked"))
        elif end and not sized and method in _LENGTHY:
            kept.append((b"content-length", b"0"))
        line = b"%b %b HTTP/1.1\r\n" % (method, said[b":path"])
        return self._asking, line + written([(b"host", said[b":authority"]), *kept]) + b"\r\n"

    def head(self, stream: int, fields: Sequence[Field], *, end: bool) -> bytes:
        """Trailers, where the body is one that can have some."""
        self._sent = end
        return last_chunk(written(fields)) if self._chunked else b""

    def data(self, stream: int, data: bytes, *, end: bool) -> bytes:
        """Content of the body."""
        self.moved += len(data)
        self._sent = end
        if not self._chunked:
            return data
        return (chunk(data) if data else b"") + (last_chunk() if end else b"")

    def reset(self, stream: int, code: int) -> None:
        """What is under way can't be ended but with the connection."""
        if stream == self._asking:
            self._leave()

    def leave(self, code: int, reason: str = "") -> None:
        """There is no goodbye; whoever comes next is read."""
        if self._credit <= 0:
            self._credit = STREAM_WINDOW
            self._hold(False)

    def _leave(self) -> None:
        self._asking = 0
        self.leave(NO_ERROR)
        self._drop()

    # -- what comes ----------------------------------------------------------------------------------

    @property
    def waits(self) -> bool:
        """Whether the beginning of a head is here."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the target's bytes say.

        Raises:
            Broken: it was not asked, or says more than it was.
        """
        stream = self._asking
        if not stream:
            raise Broken("it sent what nobody had asked for", PROTOCOL)
        try:
            yield from self._read(stream, data)
        except BadMessage as error:
            yield BadAnswer(stream, error.reason)

    def ended(self) -> Iterator[Event]:
        """It has closed, which may be an answer's end."""
        if self._asking and self._head is not None and not self._body.left():
            yield StreamEnded(stream_id=self._asking)
        self._asking = 0
        self.leave(NO_ERROR)

    def took(self, size: int) -> None:
        """There is no window of all together."""

    def more(self, stream: int, size: int) -> None:
        """So much has gone on."""
        if stream == self._last:
            before, self._credit = self._credit, self._credit + size
            if before <= 0 < self._credit:
                self._hold(False)

    def _read(self, stream: int, data: bytes) -> Iterator[Event]:
        position = 0
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        while self._head is None:
            end = head_end(data, position)
            if end < 0:
                response_begun(data, position)
                self._buffer = data[position:]
                return
            found, position = response_head(data[position:end]), end
            self.seen += 1
            if found.status == 101:
                raise BadMessage("the target changed to a protocol that it was not asked for", 502)
            if found.status < 200:
                yield InformationalResponseReceived(stream_id=stream, headers=_listed(found))
                continue
            self._head, self._body = found, response_body(found, self._method)
            if not found.persistent or isinstance(self._body, UntilClosed):
                # what waits is asked on another connection
                yield Leaving(stream, NO_ERROR)
            last = StreamEnded(stream_id=stream) if self._body.done else None
            yield ResponseReceived(stream_id=stream, headers=_listed(found), stream_ended=last)
        content, end = self._body.feed(data, position)
        if content and stream == self._asking:
            self._credit -= len(content)
            if self._credit <= 0:
                self._hold(True)
            yield DataReceived(stream_id=stream, data=content, flow_controlled_length=len(content))
        if self._body.done and stream == self._asking:
            yield from self._whole(stream, more=end < len(data))

    def _whole(self, stream: int, *, more: bool) -> Iterator[Event]:
        """All of the answer is here."""
        self._asking = 0
        trailers = self._body.trailers if isinstance(self._body, Chunked) else b""
        if trailers:
            listed = [(name.lower(), value) for name, value in fields(trailers + b"\r\n", 0).listed]
            yield TrailersReceived(stream_id=stream, headers=list(listed))
        else:
            yield StreamEnded(stream_id=stream)
        if more:
            raise Broken("it sent more than its answer", PROTOCOL)
        if not self._sent and self._last == stream:
            # it did not wait for all of the request, whose rest it would take for another
            self._leave()
            yield StreamReset(stream_id=stream, error_code=ErrorCodes.NO_ERROR)


def _listed(head: ResponseHead) -> list[Field]:
    """A head as HTTP/2 has it: without what concerns the connection alone."""
    return [(b":status", b"%d" % head.status), *heads.carried(head.fields)]
