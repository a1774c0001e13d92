"""How much a session and its run have used so far, as rules may ask; counted in this worker alone."""

from typing import final


@final
class RunUsage:
    """What all sessions of one run have used at this worker."""

    __slots__ = ("_minute", "_slots", "operations", "rows", "sessions")

    def __init__(self) -> None:
        self.operations = self.rows = self.sessions = 0
        # one counter a second for the last minute
        self._slots = [0] * 60
        self._minute = 0

    def count(self, now: float) -> None:
        """An operation was asked for, at this Unix time."""
        self.operations += 1
        self._turn(int(now))
        self._slots[int(now) % 60] += 1

    def per_minute(self, now: float) -> int:
        """Operations in the 60 seconds before."""
        self._turn(int(now))
        return sum(self._slots)

    def _turn(self, second: int) -> None:
        behind = second - self._minute
        if behind <= 0:
            return
        if behind >= 60:
            self._slots = [0] * 60
        else:
            for passed in range(self._minute + 1, second + 1):
                self._slots[passed % 60] = 0
        self._minute = second


@final
class Usage:
    """What one session has used, and its run's."""

    __slots__ = ("operations", "rows", "run")

    def __init__(self, run: RunUsage) -> None:
        self.operations = self.rows = 0
        self.run = run

    def add_rows(self, rows: int) -> None:
        """Rows were moved."""
        self.rows += rows
        self.run.rows += rows
