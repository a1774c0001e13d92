"""The time of a replay: where it is, how fast it goes, whether it stands still. No terminal, no waiting."""

from collections.abc import Callable

SPEEDS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)


class Clockwork:
    """A position in microseconds that runs with `now` (monotonic seconds), times the speed."""

    def __init__(self, now: Callable[[], float], *, speed: float = 1.0) -> None:
        self._now, self.speed, self.paused = now, speed, False
        self._base, self._since = 0.0, now()

    @property
    def position(self) -> float:
        """Microseconds since the session opened."""
        return self._base if self.paused else self._base + (self._now() - self._since) * 1e6 * self.speed

    def seek(self, position: float) -> None:
        """Go on from there; before the beginning is the beginning."""
        self._base, self._since = max(0.0, position), self._now()

    def toggle(self) -> None:
        """Stand still, or go on."""
        self.seek(self.position)
        self.paused = not self.paused

    def faster(self) -> None:
        """The next higher speed."""
        self._change(next((one for one in SPEEDS if one > self.speed), self.speed))

    def slower(self) -> None:
        """The next lower speed."""
        self._change(next((one for one in reversed(SPEEDS) if one < self.speed), self.speed))

    def until(self, position: float) -> float | None:
        """Seconds until the position is reached; None while it stands still."""
        return None if self.paused else max(0.0, (position - self.position) / 1e6 / self.speed)

    def _change(self, speed: float) -> None:
        self.seek(self.position)
        self.speed = speed
