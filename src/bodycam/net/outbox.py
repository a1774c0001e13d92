"""The output queue of one direction of a link: bytes that wait for their journal position to be released."""

from bisect import bisect_right
from typing import final


@final
class Outbox:
    """Bytes for one peer, each with the journal position that must be released before it may leave.

    Law 1 lives here: nothing is written to a socket but through `release`, and `release` hands out only what
    the journal holds.
    """

    __slots__ = ("_positions", "_waiting", "size")

    def __init__(self) -> None:
        # beside each other and not in pairs: one pair for each message would have to be made and taken apart
        self._positions: list[int] = []
        self._waiting: list[bytes] = []
        self.size = 0

    def append(self, data: bytes, position: int) -> None:
        """Queue `data`, to leave once `position` is released, and after all that was queued before."""
        positions = self._positions
        if positions and positions[-1] > position:
            position = positions[-1]
        positions.append(position)
        self._waiting.append(data)
        self.size += len(data)

    def release(self, watermark: int) -> list[bytes]:
        """Take out, in order, all that waits for positions at or below `watermark`."""
        positions = self._positions
        if not positions or positions[0] > watermark:
            return []
        if positions[-1] <= watermark:
            freed = self._waiting
            self._positions, self._waiting, self.size = [], [], 0
            return freed
        count = bisect_right(positions, watermark)
        freed = self._waiting[:count]
        del positions[:count]
        del self._waiting[:count]
        for data in freed:
            self.size -= len(data)
        return freed

    def discard(self) -> int:
        """Drop what still waits; returns how many bytes that was."""
        dropped, self.size = self.size, 0
        self._positions, self._waiting = [], []
        return dropped
