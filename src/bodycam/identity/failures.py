"""Failed logins as counted audit events: who isn't known gets a count, never a session."""

from collections.abc import Callable
from dataclasses import dataclass

MAX_KEYS = 1000
_MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class FailedLogin:
    """How often a name failed from an address since the last report; `first` and `last` in Unix seconds."""

    reason: str
    name: str
    address: str
    count: int
    first: float
    last: float


class FailedLogins:
    """Counts failures until they are written to the audit, so that a flood is some rows and not a million.

    Names beyond the bound are counted together under an empty name and address.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: dict[tuple[str, str, str], tuple[int, float, float]] = {}
        self.total = 0

    def add(self, reason: str, name: str, address: str, times: int = 1) -> None:
        """Count a failure; the claimed name is cut short and made printable."""
        now = self._clock()
        shown = "".join(character if character.isprintable() else "?" for character in name[:_MAX_NAME])
        key = (reason, shown, address)
        if key not in self._counts and len(self._counts) >= MAX_KEYS:
            key = (reason, "", "")
        count, first, _ = self._counts.get(key, (0, now, now))
        self._counts[key] = (count + times, first, now)
        self.total += times

    def drain(self) -> list[FailedLogin]:
        """What was counted since the last call."""
        drained = [FailedLogin(*key, *value) for key, value in self._counts.items()]
        self._counts.clear()
        return drained
