"""What a target says, brought to the streams that it says it on."""

from collections.abc import Callable
from typing import Final

from h2 import events

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.h2 import heads
from bodycam.protocols.http.h2.codes import PROTOCOL
from bodycam.protocols.http.h2.endpoint import Leaving
from bodycam.protocols.http.h2.far_side import FarSide
from bodycam.protocols.http.h2.frames import Broken
from bodycam.protocols.http.h2.plain import BadAnswer
from bodycam.protocols.http.h2.stream import Stream

Weigh = Callable[[Stream], None]
Pump = Callable[[dict[int, Stream], int], None]

_ALL: Final = 0


def answered(event: events.Event, far: FarSide, weigh: Weigh, pump: Pump) -> None:
    """The target has done something: `weigh` a stream that keeps more now, `pump` what has more room.

    Raises:
        Broken: it must not.
    """
    match event:
        case events.RemoteSettingsChanged():
            pump(far.streams, _ALL)
            far.let_in()
        case Leaving(last=last, code=code):
            far.leaves(last, code)
        case events.WindowUpdated(stream_id=number):
            pump(far.streams, number or _ALL)
        case events.DataReceived(flow_controlled_length=size):
            far.endpoint.took(size)
            on_stream(event, far, weigh)
        case events.RequestReceived():
            # nothing may be pushed, which the library asks of promises alone
            raise Broken("an answer that nobody asked for", PROTOCOL)
        case _:
            on_stream(event, far, weigh)


def on_stream(event: events.Event, far: FarSide, weigh: Weigh, *, held: bool = False) -> None:
    """Something on one stream; `held` says that it was known before, and has waited."""
    number = getattr(event, "stream_id", None) or 0
    stream = far.streams.get(number)
    if stream is None or (not held and far.holds(number, event)):
        return
    try:
        match event:
            case events.ResponseReceived(headers=listed):
                stream.answered(heads.response(listed or []), ended=event.stream_ended is not None)
                weigh(stream)
            case events.InformationalResponseReceived(headers=listed):
                stream.answered(heads.response(listed or []), ended=False)
                weigh(stream)
            case events.DataReceived(data=data, flow_controlled_length=size, stream_ended=end):
                stream.answer_data(data or b"", size, last=end is not None)
                weigh(stream)
            case events.TrailersReceived(headers=listed):
                stream.answer_ends(heads.trailers(listed or []))
            case events.StreamEnded():
                stream.answer_ends()
            case events.StreamReset(error_code=code):
                far.refuses(stream, int(code or 0))
            case BadAnswer(reason=reason):
                stream.bad_answer(reason)
    except BadMessage as error:
        stream.bad_answer(error.reason)
