"""How full the store of recordings is, against the quota that the settings give it."""

from typing import Final

WARN_AT: Final = (80, 90, 100)
"""Percents of the quota at which operators are warned."""

MARGIN: Final = 5
"""Percents by which it has to fall below one of them before that one is told of again."""


class Quota:
    """What was seen last. Until `see` was called, and without a quota, nothing is full."""

    __slots__ = ("_told", "most", "used")

    def __init__(self) -> None:
        self.used: int | None = None
        self.most: int | None = None
        self._told = 0

    @property
    def full(self) -> bool:
        """Whether sealed recordings take all that they may, so that no new session is let in."""
        return self.most is not None and self.used is not None and self.used >= self.most

    @property
    def percent(self) -> int:
        """How much of the quota is used, rounded down; 0 without one."""
        return 0 if self.most is None or self.used is None else self.used * 100 // self.most

    @property
    def warning(self) -> int:
        """The highest percent of `WARN_AT` that is reached; 0 for none."""
        return max((at for at in WARN_AT if at <= self.percent), default=0)

    def see(self, used: int | None, most: int | None) -> int | None:
        """Take what is used of how much, in bytes; None for what is not known, or no quota.

        Returns the percent of `WARN_AT` to warn of now, the highest that was passed since the last call. Each
        is given once, and again only after it fell by `MARGIN` below.
        """
        self.used, self.most = used, most
        if most is not None and used is None:
            return None
        while self._told and self.percent < self._told - MARGIN:
            self._told = max((at for at in WARN_AT if at < self._told), default=0)
        if self.warning <= self._told:
            return None
        self._told = self.warning
        return self._told
