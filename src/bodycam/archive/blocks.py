"""How a session is cut into blocks: the more it has, the larger they become, so that they last.

With the smallest blocks that the settings allow a recording holds more than 7 TB this way, and one that is
staged every two seconds lasts for more than ten years. What is longer still is ended.
"""

from dataclasses import dataclass

from bodycam.archive.format import v1

MOST = 900_000
"""Blocks of one recording: what an index of 64 MiB has room for, at 72 bytes a block."""

ROOM = 8
"""Blocks that are kept for the end of a recording that has no others left."""

BEHIND = 4
"""Journal segments that may be kept for what waits to be staged."""

_STEPS = 16
_LONGEST = 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class BlockPlan:
    """The size of a session's first blocks in bytes, before compression, and how many it may have."""

    size: int
    most: int = MOST

    def target(self, blocks: int) -> int:
        """The bytes at which the next block is cut, behind so many."""
        return min(self.size << self._step(blocks), v1.MAX_PLAIN)

    def patience(self, blocks: int, interval: float) -> float:
        """The seconds after which a block is staged that is not full; `interval` at first."""
        return min(interval * (1 << self._step(blocks)), max(interval, _LONGEST))

    def spent(self, blocks: int) -> bool:
        """Whether only the blocks for the end are left."""
        return blocks >= self.most - ROOM

    def _step(self, blocks: int) -> int:
        half = self.most // 2
        return 0 if blocks < half else 1 + (blocks - half) * _STEPS // (self.most - half)
