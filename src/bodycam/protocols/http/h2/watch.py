"""What is waited for on a link, how long: what is held back, a frame's rest, a peer that hardly moves."""

from collections.abc import Iterable
from typing import Final, final

from bodycam.protocols.http.conversation import HOLD_SECONDS
from bodycam.protocols.http.h2.alarms import Alarms
from bodycam.protocols.http.h2.end import End
from bodycam.protocols.http.h2.endpoint import Endpoint
from bodycam.protocols.http.h2.far_side import FarSide
from bodycam.protocols.http.h2.stream import Stream
from bodycam.protocols.http.pace import LEAST

PART_SECONDS: Final = 30.0
"""How long a frame, or a head of several, may take from its first byte to its last; up to twice that."""

STALL_SECONDS: Final = 300.0
"""How long a peer may take next to nothing of all that waits for it; up to twice that."""

LINGER_SECONDS: Final = 10.0
"""How long requests wait for others to end: where the target wants to leave, or for another session."""

HELD: Final = "held"
LINGER: Final = "linger"
PACE: Final = "pace"
OTHERS: Final = "others"
_PART: Final = "part"
_STALL: Final = "stall"


@final
class Watch:
    """The deadlines of one link's streams; `seconds` are for each further piece of a request's body."""

    def __init__(self, alarms: Alarms, client: Endpoint, far: FarSide, seconds: float) -> None:
        self._alarms, self._client, self._far, self._seconds = alarms, client, far, seconds
        # of the bodies that were waited for at the last look, how much had come
        self._came: dict[int, int] = {}
        # what each had done when it was looked at last
        self._seen = self._moved = (0, 0)

    def look(self, streams: Iterable[Stream]) -> None:
        """See what has to be waited for."""
        held = waits = comes = False
        for stream in streams:
            held = held or stream.held > 0
            comes = comes or stream.awaited
            waits = waits or stream.waits_for_room
        client, target = self._client, self._far.endpoint
        self._alarms.set(HELD, HOLD_SECONDS, wanted=held)
        self._alarms.set(LINGER, LINGER_SECONDS, wanted=self._far.lingers)
        self._alarms.set(_PART, PART_SECONDS, wanted=client.waits or target.waits)
        self._alarms.set(_STALL, STALL_SECONDS, wanted=waits)
        self._alarms.set(PACE, self._seconds, wanted=comes)
        if not comes and self._came:
            self._came.clear()

    def others(self, waits: bool) -> None:
        """Whether requests wait that are for another session."""
        self._alarms.set(OTHERS, LINGER_SECONDS, wanted=waits)

    def trickling(self, streams: Iterable[Stream]) -> list[Stream]:
        """Those of whose bodies next to nothing has come since the last look."""
        before, awaited = self._came, [stream for stream in streams if stream.awaited]
        self._came = {stream.number: stream.trip.taken for stream in awaited}
        return [
            stream
            for stream in awaited
            if stream.number in before and stream.trip.taken < before[stream.number] + LEAST
        ]

    def rung(self) -> list[str]:
        """What the alarm was for."""
        return self._alarms.rung()

    def overdue(self, what: str, streams: Iterable[Stream]) -> tuple[End, str] | None:
        """Who has done next to nothing since the last look, and what that is; None where both go on."""
        ends: tuple[End, End]
        ends = client, target = self._client, self._far.endpoint
        if what == _PART:
            before, self._seen = self._seen, (client.seen, target.seen)
            waits, now, least = (client.waits, target.waits), self._seen, 1
            reason = f"let a frame wait for longer than {PART_SECONDS:g} s"
        else:
            before, self._moved = self._moved, (client.moved, target.moved)
            open_ones = list(streams)
            waits, now, least = (
                (
                    any(stream.down.waiting for stream in open_ones),
                    any(stream.up is not None and stream.up.waiting for stream in open_ones),
                ),
                self._moved,
                LEAST,
            )
            reason = f"took less than {LEAST} bytes in {STALL_SECONDS:g} s"
        for at, end in enumerate(ends):
            if waits[at] and now[at] < before[at] + least:
                return end, reason
        return None

    def stop(self) -> None:
        """Nothing is waited for any more."""
        self._alarms.stop()
