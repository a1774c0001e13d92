"""The target's side of a link: one connection after the other, what is on it, and what waits for one.

A target may leave at any time (GOAWAY, or it closes). What it did nothing of is asked again on the next
connection (RFC 9113, sections 6.8 and 8.7), which is made once the last one's other streams have ended.
"""

from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, final

from h2.events import Event

from bodycam.model.event import Outcome
from bodycam.protocols.http.answers import Problem
from bodycam.protocols.http.door import UNREACHED
from bodycam.protocols.http.h2.codes import NO_ERROR, REFUSED, name_of
from bodycam.protocols.http.h2.end import End
from bodycam.protocols.http.h2.plain import PlainEnd
from bodycam.protocols.http.h2.stream import Stream
from bodycam.protocols.http.opening import H2
from bodycam.session.link import DialDone, DialFailed

FRUITLESS_MOST: Final = 3
"""Connections in a row on which no stream came to a good end; then those that wait wait no longer."""

CLOSED: Final = "the target closed the connection"

_HINT: Final = "Nothing of this request was done. Send it again in a moment."


class State(Enum):
    """How the target's connection stands."""

    STANDS = auto()
    LEAVING = auto()
    """It takes nothing new, and goes on with what it has begun."""
    GONE = auto()
    DIALLED = auto()
    """Another is being made."""


@final
class FarSide:
    """The streams at the target (`streams`, by its numbers), and the connection that they are on.

    `make` gives the near end of a new connection, and `dial` asks for one; `told` hears why. With `plain`
    there is none yet, and the target may speak HTTP/1.1.
    """

    def __init__(
        self,
        make: Callable[[], End],
        dial: Callable[[], None],
        told: Callable[[str], None],
        plain: Callable[[], PlainEnd] | None = None,
    ) -> None:
        self._make, self._dial, self._told, self._plain = make, dial, told, plain
        self.endpoint: End = make()
        self.streams: dict[int, Stream] = {}
        self._waiting: deque[Stream] = deque()
        self._state = State.STANDS
        self._why = CLOSED
        self._fruitless = 0
        # whether anything came to a good end on this connection
        self._served = False
        # whether what came on a stream waits for something else
        self.holds: Callable[[int, Event], bool] = lambda number, event: False
        self._fresh = plain is not None
        if self._fresh:
            self._state = State.GONE
        else:
            self.endpoint.begin()

    @property
    def dialled(self) -> bool:
        """Whether a connection is being made."""
        return self._state is State.DIALLED

    @property
    def lingers(self) -> bool:
        """Whether some wait until others have ended on a connection that takes nothing new."""
        return self._state is State.LEAVING and bool(self._waiting)

    # -- streams ---------------------------------------------------------------------------------------

    def enter(self, stream: Stream) -> None:
        """Let it have a stream at the target, now or later."""
        self._waiting.append(stream)
        self.let_in()

    def over(self, stream: Stream, *, well: bool) -> None:
        """It is done with: another may go."""
        self.streams.pop(stream.far, None)
        if stream in self._waiting:
            self._waiting.remove(stream)
        if well:
            self._fruitless, self._served = 0, True
        self.let_in()

    def let_in(self) -> None:
        """Send what waits, as far as there is room, or make room."""
        while (
            self._waiting and self._state is State.STANDS and len(self.streams) < self.endpoint.streams_most
        ):
            self._waiting.popleft().send()
        left = self._state is State.GONE or (self._state is State.LEAVING and not self.streams)
        if left and self._waiting:
            self._renew()

    def _renew(self) -> None:
        if self._fruitless >= FRUITLESS_MOST:
            self._fruitless = 0
            self.give_up(f"{FRUITLESS_MOST} connections to it in a row came to nothing: {self._why}")
            return
        self._state, self._served = State.DIALLED, False
        self._fruitless += 1
        if not self._fresh:
            self._told(self._why)
        self._fresh = False
        self._dial()

    def give_up(self, why: str) -> None:
        """Those that wait do so no longer."""
        self._turn_away(Problem(503, f"the target takes no request: {why}", _HINT), Outcome.ERROR)

    def _turn_away(self, problem: Problem, outcome: Outcome) -> None:
        # whoever comes while these are told tries again
        waiting, self._waiting = self._waiting, deque()
        for stream in waiting:
            stream.turned_away(problem, outcome)

    # -- the connection --------------------------------------------------------------------------------

    def reached(self, said: DialDone | DialFailed, target: str) -> None:
        """What came of the next connection to the target of that name."""
        match said:
            case DialDone(alpn=alpn) if alpn == H2 or self._plain is not None:
                self._state = State.STANDS
                self.endpoint = self._make() if alpn == H2 or self._plain is None else self._plain()
                self.endpoint.begin()
                self.let_in()
                return
            case DialDone():
                problem = Problem(502, "the target does not speak HTTP/2 any more", "Connect anew.")
                outcome = Outcome.ERROR
            case DialFailed(message=message, hint=hint, refused=refused):
                status, why = 403 if refused else 502, f"target {target}: {message}"
                problem = Problem(status, why, hint, more={"rule": UNREACHED})
                outcome = Outcome.DENIED if refused else Outcome.ERROR
        self._state, self._fruitless = State.GONE, 0
        self._turn_away(problem, outcome)

    def leaves(self, last: int, code: int) -> None:
        """It answers no stream above `last`: what is below goes on."""
        self._why = CLOSED + (f": {name_of(code)}" if code else "")
        self._state = State.LEAVING
        above = [self.streams.pop(far) for far in sorted(self.streams) if far > last]
        self._back([stream for stream in above if self._in_vain(stream)])
        self.let_in()

    def refuses(self, stream: Stream, code: int) -> None:
        """It has ended one stream."""
        self.streams.pop(stream.far, None)
        if code == REFUSED and stream.in_vain(f"the target ended the stream: {name_of(code)}", again=True):
            self._back([stream])
        else:
            stream.target_reset(code)
        self.let_in()

    def dropped(self) -> None:
        """We have closed it."""
        self._state = State.GONE

    def gone(self) -> list[Stream]:
        """It has closed: those of which it may have done something, and which nobody answers any more."""
        if self._state is not State.LEAVING:
            self._why = CLOSED
        self._state = State.GONE
        streams, self.streams = list(self.streams.values()), {}
        # what was sent while it closed for having had nothing to do (RFC 9110, section 9.2.2)
        kept = [
            stream
            for stream in streams
            if self._served and stream.harmless and stream.in_vain(self._why, again=True)
        ]
        self._back(kept)
        return [stream for stream in streams if stream not in kept]

    def _in_vain(self, stream: Stream) -> bool:
        if stream.in_vain(self._why):
            return True
        why = f"{self._why}, and too much of this request had gone to it to send it again"
        stream.turned_away(Problem(503, why, _HINT))
        return False

    def back(self, streams: list[Stream]) -> None:
        """They are asked anew, before all that came later."""
        self._back(streams)
        self.let_in()

    def _back(self, streams: list[Stream]) -> None:
        self._waiting.extendleft(reversed(streams))

    def leave(self, code: int = NO_ERROR) -> None:
        """Say that we leave."""
        if self._state in (State.STANDS, State.LEAVING):
            self.endpoint.leave(code)
