"""How much a session and its run have used so far, as rules may ask."""

from collections.abc import Mapping, Sequence
from typing import Final, final

RUNS_MOST: Final = 10_000
"""Runs that are kept in mind; beyond, those without a session here are forgotten."""


@final
class RunUsage:
    """What all sessions of one run have used: at this worker, and at others as far as one was told."""

    __slots__ = ("_elsewhere", "_minute", "_slots", "_told", "own_operations", "own_rows", "sessions")

    def __init__(self) -> None:
        self.own_operations = self.own_rows = self.sessions = 0
        # operations, rows and operations a minute
        self._elsewhere: tuple[int, int, int] = (0, 0, 0)
        self._told: tuple[int, int, int] = (0, 0, 0)
        # one counter a second for the last minute
        self._slots = [0] * 60
        self._minute = 0

    @property
    def operations(self) -> int:
        """Operations so far."""
        return self.own_operations + self._elsewhere[0]

    @property
    def rows(self) -> int:
        """Rows moved so far."""
        return self.own_rows + self._elsewhere[1]

    def per_minute(self, now: float) -> int:
        """Operations in the 60 seconds before."""
        return self._own_per_minute(now) + self._elsewhere[2]

    def count(self, now: float) -> None:
        """An operation was asked for, at this Unix time."""
        self.own_operations += 1
        self._turn(int(now))
        self._slots[int(now) % 60] += 1

    def elsewhere(self, operations: int, rows: int, per_minute: int) -> None:
        """What the run's sessions at other workers have used."""
        self._elsewhere = (operations, rows, per_minute)

    def news(self, now: float) -> tuple[int, int, int] | None:
        """Operations, rows and operations a minute here, if they are others than when this was last asked."""
        own = (self.own_operations, self.own_rows, self._own_per_minute(now))
        if own == self._told:
            return None
        self._told = own
        return own

    def _own_per_minute(self, now: float) -> int:
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
        self.run.own_rows += rows


@final
class UsageOfRuns:
    """What the runs with sessions at this worker have used."""

    def __init__(self) -> None:
        self._runs: dict[str, RunUsage] = {}

    def open(self, run: str) -> RunUsage:
        """A session of that run opens."""
        usage = self._runs.setdefault(run, RunUsage())
        usage.sessions += 1
        return usage

    def closed(self, run: str) -> None:
        """A session of that run is over."""
        usage = self._runs.get(run)
        if usage is not None:
            usage.sessions -= 1
            if usage.sessions <= 0 and len(self._runs) > RUNS_MOST:
                self._runs = {name: one for name, one in self._runs.items() if one.sessions > 0}

    def news(self, now: float) -> dict[str, tuple[int, int, int]]:
        """What has changed since this was last asked, by run: operations, rows, operations a minute."""
        news = {run: usage.news(now) for run, usage in self._runs.items()}
        return {run: own for run, own in news.items() if own is not None}

    def elsewhere(self, told: Mapping[str, Sequence[int]]) -> None:
        """What runs have used at other workers; a session of theirs may be about to open here."""
        for run, (operations, rows, per_minute) in told.items():
            if run in self._runs or len(self._runs) < RUNS_MOST:
                self._runs.setdefault(run, RunUsage()).elsewhere(operations, rows, per_minute)
