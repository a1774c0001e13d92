"""What a journal holds and where in it something stands."""

from typing import NamedTuple

MAX_BODY = 64 * 1024 * 1024
"""The longest event body in bytes; longer data has to be cut into several events by its maker."""


class Entry(NamedTuple):
    """One event of one session, its body ready-made.

    Attributes:
        session: the session's opening number in this incarnation of the worker, from 1 without gaps.
        exchange: the exchange in the session, 0 for none.
        kind: the event's kind (`model.event.Kind`), 0 to 127.
        at: monotonic nanoseconds of the writing worker's clock.
        body: the event's body as CBOR.
    """

    session: int
    exchange: int
    kind: int
    at: int
    body: bytes


Plain = tuple[int, int, int, int, bytes]
"""The fields of an `Entry`, as the tuple that costs less to make."""


class Position(NamedTuple):
    """Where a batch stands.

    Attributes:
        generation: the segment in which the batch begins; it must be kept until all in it is sealed.
        sequence: the record with which the batch ends; records count from 1 through a whole incarnation.
    """

    generation: int
    sequence: int
