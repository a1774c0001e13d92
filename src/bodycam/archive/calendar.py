"""Whether the wall clock can be believed when it says that a recording is old enough to go.

Nothing proves to a machine what time it is. What can be noticed is noticed: a clock that is behind the
ledger, one that jumps while the process lives, and one that has gone far ahead while nothing was running.
Where it is in doubt nothing is deleted for a day, which is time enough for a person to look; they may also
say that the clock is right.
"""

import time
from collections.abc import Callable

JUMP = 60.0
"""Seconds by which the wall clock may move against the one that only counts; more is a jump."""
LONG_AWAY = 86_400.0
"""Seconds between the ledger's last leaf and a start after which the clock is in doubt."""
DOUBT = 86_400.0
"""Seconds for which a clock that moved oddly is in doubt."""


def steady() -> float:
    """Seconds that only count, also while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Calendar:
    """Watches the wall clock (seconds) against one that only counts. Used by one thread at a time.

    `newest` is the time of the last leaf that was in the ledger when the process started, in Unix
    milliseconds; 0 for a new ledger.
    """

    def __init__(
        self, newest: int, wall: Callable[[], float] = time.time, counting: Callable[[], float] = steady
    ) -> None:
        self._wall, self._counting = wall, counting
        self._seen = wall(), counting()
        self._doubt_ends = 0.0
        self._reason = ""
        away = self._seen[0] - newest / 1000
        if newest and away > LONG_AWAY:
            self._doubt(f"the clock says that the ledger was left alone for {away / 3600:.0f} hours")

    def now(self) -> float:
        """What the wall clock says."""
        return self._wall()

    def refusal(self, newest: int) -> str | None:
        """Why nothing may be deleted at present; `newest` is the time of the ledger's newest head."""
        wall, counted = self._wall(), self._counting()
        jumped = (wall - self._seen[0]) - (counted - self._seen[1])
        self._seen = wall, counted
        if abs(jumped) > JUMP:
            self._doubt(f"the clock jumped by {jumped:+.0f} seconds")
        if wall * 1000 < newest - JUMP * 1000:
            return "the clock is behind the ledger's newest head"
        return self._reason if counted < self._doubt_ends else None

    def _doubt(self, reason: str) -> None:
        self._doubt_ends, self._reason = self._seen[1] + DOUBT, reason
