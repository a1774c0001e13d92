"""The output queue of one direction of a link: bytes that wait for their journal position to be released."""

from collections import deque
from typing import final


@final
class Outbox:
    """Bytes for one peer, each with the journal position that must be released before it may leave.

    Law 1 lives here: nothing is written to a socket but through `release`, and `release` hands out only what
    the journal holds.
    """

    __slots__ = ("_waiting", "size")

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, bytes]] = deque()
        self.size = 0

    def append(self, data: bytes, position: int) -> None:
        """Queue `data`, to leave once `position` is released, and after all that was queued before."""
        if self._waiting and self._waiting[-1][0] > position:
            position = self._waiting[-1][0]
        self._waiting.append((position, data))
        self.size += len(data)

    def release(self, watermark: int) -> list[bytes]:
        """Take out, in order, all that waits for positions at or below `watermark`."""
        waiting = self._waiting
        if not waiting or waiting[0][0] > watermark:
            return []
        if len(waiting) == 1:
            self.size = 0
            return [waiting.popleft()[1]]
        if waiting[-1][0] <= watermark:
            freed = [data for _, data in waiting]
            waiting.clear()
            self.size = 0
            return freed
        freed = []
        while waiting[0][0] <= watermark:
            data = waiting.popleft()[1]
            self.size -= len(data)
            freed.append(data)
        return freed

    def discard(self) -> int:
        """Drop what still waits; returns how many bytes that was."""
        dropped, self.size = self.size, 0
        self._waiting.clear()
        return dropped
