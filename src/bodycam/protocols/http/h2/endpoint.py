"""One side of an HTTP/2 connection: frames and windows, and what no peer may do (RFC 9113, sections 5 to 7).

The library keeps the states and compresses heads; heads are judged by `heads`. What is given out here is to
be sent at once and in order: a head's compression depends on all heads before it.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import Event, RemoteSettingsChanged, SettingsAcknowledged
from h2.exceptions import NoSuchStreamError, ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings
from hpack import HPACKError

from bodycam.protocols.http.h2.budget import Budget
from bodycam.protocols.http.h2.codes import CALM, COMPRESSION, PROTOCOL
from bodycam.protocols.http.h2.frames import (
    END_HEADERS,
    END_STREAM,
    FRAME_MOST,
    PREFACE,
    Broken,
    Frame,
    Frames,
    Kind,
    goaway,
    left,
)
from bodycam.protocols.http.head import HEAD_MOST, Field

STREAMS_MOST: Final = 100
"""Streams that a peer may have open at once."""

STREAM_WINDOW: Final = 128 * 1024
"""Bytes of one stream that may come before they have gone on: with the streams the bound of what waits."""

CONNECTION_WINDOW: Final = 1 << 20
"""Bytes of all streams on their way to us; given back at once, so that one stream stalls no other."""

IDLE_FRAMES: Final = 1000
"""Frames that move nothing which a peer may send ahead of those that do: SETTINGS, PING, empty DATA, ..."""

IDLE_A_SECOND: Final = 50.0

BLOCK_MOST: Final = 4 * HEAD_MOST
"""Bytes of one compressed head, in however many frames, and of what it says.

One that says more than a head may is read so far all the same: its stream is answered, and the others go on.
"""

_TABLE_MOST: Final = 4096  # of the compression of heads that we send, however much a peer would keep


class Leaving(Event):
    """The peer answers no stream above `last` (GOAWAY); what is below goes on."""

    def __init__(self, last: int, code: int) -> None:
        self.last, self.code = last, code


@final
class Endpoint:
    """The connection to one peer.

    `send` queues bytes that belong to no exchange. `moved` counts what was sent of contents, `seen` frames
    and heads that came whole.
    """

    def __init__(
        self, *, client_side: bool, send: Callable[[bytes], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send, self._server = send, not client_side
        # the heads are looked at more closely than the library does, and answered stream by stream
        config = H2Configuration(
            client_side=client_side,
            header_encoding=None,
            validate_inbound_headers=False,
            normalize_inbound_headers=False,
        )
        self._connection = H2Connection(config)
        offered = {
            SettingCodes.MAX_CONCURRENT_STREAMS: STREAMS_MOST,
            SettingCodes.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
            SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_MOST,
        }
        if client_side:
            offered[SettingCodes.ENABLE_PUSH] = 0
        self._connection.local_settings = Settings(client=client_side, initial_values=offered)
        self._connection.decoder.max_header_list_size = BLOCK_MOST
        # WebSockets over HTTP/2 (RFC 8441) are not offered: clients take HTTP/1.1 for them
        if SettingCodes.ENABLE_CONNECT_PROTOCOL in self._connection.local_settings:
            del self._connection.local_settings[SettingCodes.ENABLE_CONNECT_PROTOCOL]
        self._frames = Frames(preface=not client_side)
        self._idle = Budget(IDLE_FRAMES, IDLE_A_SECOND, clock)
        self._block = -1  # bytes of the head that has begun, of none
        self._taken = self.moved = self.seen = 0
        self._begun = False
        self._last: int | None = None  # no stream beyond it is answered any more

    version: Final = b"HTTP/2"

    def begin(self, streams: int = STREAMS_MOST) -> None:
        """Say our settings; the peer may have so many streams open once it knows, and until then the most."""
        self._begun = True
        self._connection.initiate_connection()
        if streams < STREAMS_MOST:
            self._connection.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: streams})
        self._connection.increment_flow_control_window(CONNECTION_WINDOW - 65535)
        self._flush()

    # -- what comes ----------------------------------------------------------------------------------

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the peer's bytes say, one event after the other.

        Raises:
            Broken: the connection is over.
        """
        frames = self._frames
        frames.add(data)
        if not frames.opened:
            if not frames.preface():
                return
            self._connection.receive_data(PREFACE)
        while (frame := frames.next()) is not None:
            self._weigh(frame)
            if frame.kind == Kind.GOAWAY:
                yield Leaving(*left(frame))
                continue
            try:
                events = self._connection.receive_data(frame.raw)
            except ProtocolError as error:
                self._connection.clear_outbound_data_buffer()
                # RFC 9113, section 4.3: which the library calls something else
                code = int(error.error_code)
                if code == PROTOCOL and isinstance(error.__cause__, HPACKError):
                    code = COMPRESSION
                raise Broken(_said(error), code) from error
            self._flush()
            for event in events:
                if isinstance(event, RemoteSettingsChanged):
                    encoder = self._connection.encoder
                    encoder.header_table_size = min(encoder.header_table_size, _TABLE_MOST)
                elif isinstance(event, SettingsAcknowledged):
                    # the library takes what was offered for what is to be read at most
                    self._connection.decoder.max_header_list_size = BLOCK_MOST
                yield event

    def ended(self) -> Iterator[Event]:
        """A connection that closes says nothing by that."""
        return iter(())

    @property
    def waits(self) -> bool:
        """Whether the beginning of a frame or of a head is here, whose rest has to come in time."""
        return self._frames.begun or self._block >= 0

    def _weigh(self, frame: Frame) -> None:
        """What costs us more than it costs the peer is counted.

        A head in endless frames (CVE-2024-27316), floods of SETTINGS, PING and empty DATA (CVE-2019-9512,
        9515, 9518).
        """
        if self._block >= 0 and frame.kind != Kind.CONTINUATION:
            raise Broken("another frame within a head", 1)
        if frame.kind in (Kind.HEADERS, Kind.CONTINUATION, Kind.PUSH_PROMISE):
            self._block = max(self._block, 0) + frame.size
            if self._block > BLOCK_MOST:
                raise Broken(f"a compressed head of more than {BLOCK_MOST >> 10} KiB", CALM)
            if frame.flags & END_HEADERS:
                self._block = -1
        if (frame.kind == Kind.DATA and (frame.size or frame.flags & END_STREAM)) or (
            frame.kind == Kind.HEADERS
        ):
            # whoever gets something answers with windows
            self._idle.earn(2)
        elif not self._idle.spend():
            raise Broken("too many frames that move nothing", CALM)
        self.seen += self._block < 0

    def took(self, size: int) -> None:
        """Of all streams together so much has come: as much more may."""
        self._taken += size
        if self._taken >= CONNECTION_WINDOW // 4:
            self._connection.increment_flow_control_window(self._taken)
            self._taken = 0
            self._flush()

    def more(self, stream: int, size: int) -> None:
        """Of one stream so much has gone on: as much more may come."""
        try:
            self._connection.increment_flow_control_window(size, stream)
        except (StreamClosedError, NoSuchStreamError):
            # it has ended meanwhile
            return
        self._flush()

    # -- what goes -----------------------------------------------------------------------------------

    @property
    def streams_most(self) -> int:
        """How many streams the peer bears at once."""
        return min(self._connection.remote_settings.max_concurrent_streams, STREAMS_MOST)

    def room(self, stream: int) -> int:
        """How many bytes of a stream the peer takes just now."""
        return self._connection.local_flow_control_window(stream)

    def open(self, fields: Sequence[Field], *, end: bool) -> tuple[int, bytes]:
        """A new stream with its head."""
        stream = self._connection.get_next_available_stream_id()
        return stream, self.head(stream, fields, end=end)

    def head(self, stream: int, fields: Sequence[Field], *, end: bool) -> bytes:
        """A head or trailers."""
        self._connection.send_headers(stream, fields, end_stream=end)
        return self._connection.data_to_send()

    def data(self, stream: int, data: bytes, *, end: bool) -> bytes:
        """Content for which there is room."""
        most = min(self._connection.max_outbound_frame_size, FRAME_MOST)
        for start in range(0, len(data) or 1, most):
            piece = data[start : start + most] if len(data) > most else data
            self._connection.send_data(stream, piece, end_stream=end and start + most >= len(data))
            self._idle.earn(2)
        self.moved += len(data)
        return self._connection.data_to_send()

    def reset(self, stream: int, code: int) -> None:
        """End a stream out of order."""
        try:
            self._connection.reset_stream(stream, code)
        except (StreamClosedError, NoSuchStreamError):
            return
        self._flush()

    def leave(self, code: int, reason: str = "", *, last: int | None = None) -> None:
        """Say that no stream beyond `last` is answered any more; without it, beyond those that have come."""
        if self._begun:
            if self._last is None and last is not None:
                self._last = last
            highest = self._connection.highest_inbound_stream_id if self._server else 0
            self._send(goaway(highest if self._last is None else self._last, code, reason))

    def _flush(self) -> None:
        if data := self._connection.data_to_send():
            self._send(data)


def _said(error: ProtocolError) -> str:
    # some repeat what the peer sent; the first words say what it is about
    return f"{type(error).__name__}: {str(error).partition(chr(58))[0][:100]}"
