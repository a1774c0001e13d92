"""Several deadlines on the one alarm that a link has."""

from collections.abc import Callable
from typing import final


@final
class Alarms:
    """Deadlines by what they are for; `ring` is what the link is told, in seconds."""

    __slots__ = ("_clock", "_due", "_next", "_ring")

    def __init__(self, ring: Callable[[float | None], None], clock: Callable[[], float]) -> None:
        self._ring, self._clock = ring, clock
        self._due: dict[str, float] = {}
        self._next: float | None = None

    def set(self, what: str, seconds: float, *, wanted: bool) -> None:
        """It is waited for, from the first time that this is said until it is said to be wanted no more."""
        if not wanted:
            if self._due.pop(what, None) is not None:
                self._arm()
        elif what not in self._due:
            self._due[what] = self._clock() + seconds
            self._arm()

    def rung(self) -> list[str]:
        """The link's alarm went off: what it was for."""
        now = self._clock()
        # a timer may be a little early
        over = [what for what, due in self._due.items() if due <= now + 0.01]
        for what in over:
            del self._due[what]
        self._next = None
        self._arm()
        return over

    def stop(self) -> None:
        """Nothing is waited for any more."""
        self._due.clear()
        self._arm()

    def _arm(self) -> None:
        soonest = min(self._due.values(), default=None)
        if soonest != self._next:
            self._next = soonest
            self._ring(None if soonest is None else max(0.0, soonest - self._clock()))
