"""Whether a request's body gets on: one that trickles would keep a connection to the target for ever."""

import time
from typing import Final, final

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.trip import Trip

LEAST: Final = 1024
"""Bytes of a body that have to come in each stretch of time."""


def too_slow(seconds: float) -> BadMessage:
    """What the client of a body is told that did not get on for so long."""
    return BadMessage(f"less than {LEAST} bytes of the body came in {seconds:g} s", 408)


@final
class Pace:
    """The body of one request, from its head on; `seconds` is the stretch."""

    __slots__ = ("_due", "_seconds", "_seen", "_trip")

    def __init__(self, trip: Trip, seconds: float) -> None:
        self._trip, self._seconds = trip, seconds
        self._seen, self._due = trip.taken, time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until it has to have got on; 0.0 if it has not by now."""
        left, taken = self._due - time.monotonic(), self._trip.taken
        # a timer may be a little early
        if left > 0.01:
            return left
        if taken < self._seen + LEAST:
            return 0.0
        self._seen, self._due = taken, time.monotonic() + self._seconds
        return self._seconds
