"""When API keys are used: remembered at each use, and written down at most once a minute for each key."""

from collections.abc import Mapping

WRITE_SECONDS = 60.0


class KeyUse:
    """The uses that are not written yet. For one thread."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}
        self._written: dict[str, float] = {}

    def used(self, key: str, now: float) -> None:
        """A key was proved at `now`, in Unix seconds."""
        # only what was proved is told here, so there are never more of them than keys
        self._used[key] = now

    def due(self, now: float) -> dict[str, float]:
        """The last use of each key that was used since it was written down, a minute ago or longer."""
        return {
            key: at
            for key, at in self._used.items()
            if key not in self._written or now - self._written[key] >= WRITE_SECONDS
        }

    def written(self, uses: Mapping[str, float], now: float) -> None:
        """These uses, which `due` gave, are written down."""
        for key, at in uses.items():
            self._written[key] = now
            if self._used.get(key) == at:
                del self._used[key]
