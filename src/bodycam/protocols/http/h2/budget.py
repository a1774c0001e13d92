"""How much of what costs us more than its sender somebody may do: so much at once, and so much a second."""

from collections.abc import Callable
from typing import final


@final
class Budget:
    """What is left of something that comes back with time, and with work that is worth it."""

    __slots__ = ("_clock", "_left", "_most", "_per_second", "_seen")

    def __init__(self, most: int, per_second: float, clock: Callable[[], float]) -> None:
        self._most, self._per_second, self._clock = most, per_second, clock
        self._left, self._seen = float(most), clock()

    def spend(self) -> bool:
        """Take one; False when there is none."""
        self._left -= 1
        if self._left < 0:
            now = self._clock()
            self._left = min(self._left + (now - self._seen) * self._per_second, self._most)
            self._seen = now
        return self._left >= 0

    def earn(self, much: int) -> None:
        """It was worth its cost."""
        self._left = min(self._left + much, self._most)
