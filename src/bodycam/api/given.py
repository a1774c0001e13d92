"""The sessions that were lately given to each run: what its end waits for, even before they are indexed."""

import time
from collections.abc import Callable

KEPT_SECONDS = 900.0
MOST_SESSIONS = 200_000


class GivenSessions:
    """Sessions by run, each forgotten after some minutes, when the catalog's index has long known it.

    `clock` gives monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._given: dict[str, tuple[str, float]] = {}
        self._by_run: dict[str, dict[str, None]] = {}

    def add(self, run: str, session: str) -> None:
        """A session was given to a run."""
        self._forget()
        if session not in self._given:
            self._given[session] = (run, self._clock())
            self._by_run.setdefault(run, {})[session] = None

    def of_run(self, run: str) -> list[str]:
        """Those of a run, in the order in which they were given."""
        return list(self._by_run.get(run, ()))

    def _forget(self) -> None:
        oldest = self._clock() - KEPT_SECONDS
        while self._given:
            session, (run, at) = next(iter(self._given.items()))
            if at > oldest and len(self._given) < MOST_SESSIONS:
                return
            del self._given[session]
            of_run = self._by_run[run]
            del of_run[session]
            if not of_run:
                del self._by_run[run]
