"""Logins under way: bounded in number, each with a deadline, each good once."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

# an honest login is through within a second; older ones give way when the table is full
_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[T]):
    since: float
    state: T


class Attempts(Generic[T]):
    """The state of each login between its steps, by an unguessable name.

    `clock` gives monotonic seconds; `limit` and `timeout` may be changed while logins wait.
    """

    def __init__(self, limit: int, timeout: float, clock: Callable[[], float]) -> None:
        self.limit, self.timeout, self._clock = limit, timeout, clock
        self._waiting: dict[str, _Waiting[T]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, state: T) -> str | None:
        """Keep `state` for the login's next step; None when too many logins are under way.

        A flood of logins that are never finished pushes out its own oldest, not those just begun.
        """
        now = self._clock()
        self._forget(now)
        if len(self._waiting) >= self.limit:
            oldest = next(iter(self._waiting))
            if now - self._waiting[oldest].since < _PATIENCE:
                return None
            del self._waiting[oldest]
        name = secrets.token_urlsafe(16)
        self._waiting[name] = _Waiting(now, state)
        return name

    def look(self, login: str) -> T | None:
        """The state of a login that goes on; None when it is unknown, over or too late."""
        self._forget(self._clock())
        waiting = self._waiting.get(login)
        return None if waiting is None else waiting.state

    def take(self, login: str) -> T | None:
        """The state of a login that ends now, one way or the other; the same name is unknown after."""
        self._forget(self._clock())
        waiting = self._waiting.pop(login, None)
        return None if waiting is None else waiting.state

    def _forget(self, now: float) -> None:
        # in order of their beginning, so that the look costs only as much as there is to forget
        while self._waiting:
            name, waiting = next(iter(self._waiting.items()))
            if now - waiting.since < self.timeout:
                return
            del self._waiting[name]
