"""Bringing the journal to the disk: one fdatasync at a time, in a thread of its own; another unmaps.

`mmap.flush` would hold the interpreter's lock while the disk works; `os.fdatasync` does not.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from bodycam.journal.segment import Segment
from bodycam.journal.settings import Fsync, JournalSettings


class Syncer:
    """Syncs the segment in use and those that were left since the last sync.

    Attributes:
        active: the segment in use; set by the writer before anything else.
        committed: the highest position that is in the page cache.
    """

    active: Segment

    def __init__(
        self,
        settings: JournalSettings,
        *,
        released: Callable[[int], None],
        failed: Callable[[str], None],
    ) -> None:
        self._settings, self._released, self._failed = settings, released, failed
        self._strict = settings.fsync is Fsync.STRICT
        self._left: list[Segment] = []
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-sync")
        self._unmapping = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-unmap")
        self.committed = self._synced = 0
        self._count = 0
        self._sum = self._max = 0.0

    def wanted(self, position: int) -> None:
        """A position was committed that is released by the sync that covers it."""
        self.committed = position
        self._wake.set()

    def rolled(self, following: Segment) -> None:
        """The writer goes on in `following`; the segment before it is closed after its last sync."""
        # apart from the syncs, which may take long: what waits for the disk is not held in memory as well
        self._unmapping.submit(self.active.leave)
        self._left.append(self.active)
        self.active = following

    async def run(self) -> None:
        """Sync for ever: each interval, or in `strict` as soon as something waits for it.

        Raises:
            OSError: the disk failed. A second sync would say that all is well, so there is none.
        """
        while True:
            if self._strict:
                await self._wake.wait()
                self._wake.clear()
            else:
                await asyncio.sleep(self._settings.fsync_interval)
            if self.committed > self._synced:
                await self._sync()

    async def finish(self) -> None:
        """One last sync of all that was written.

        Raises:
            OSError: the disk failed.
        """
        await self._sync()

    def close(self) -> None:
        """End the thread and close segments that were left and never synced."""
        self._unmapping.shutdown(wait=True)
        self._pool.shutdown(wait=True)
        for segment in self._left:
            segment.close()
        self._left = []

    def stats(self) -> dict[str, float]:
        """How many syncs there were and how long they took, in seconds."""
        return {
            "fsyncs": self._count,
            "fsync_seconds_sum": self._sum,
            "fsync_seconds_max": self._max,
            "unsynced_positions": self.committed - self._synced,
        }

    async def _sync(self) -> None:
        position, left, active = self.committed, self._left, self.active
        self._left = []
        try:
            took = await asyncio.get_running_loop().run_in_executor(self._pool, _sync_all, left, active)
        except BaseException:
            self._left = left + self._left
            raise
        if left:
            # behind the sync and not with it: a sync whose waiter was cancelled leaves them to the next one
            self._pool.submit(_close_all, left)
        self._count += 1
        self._sum += took
        self._max = max(self._max, took)
        self._synced = position
        if self._strict:
            self._released(position)


def _sync_all(left: list[Segment], active: Segment) -> float:
    started = time.perf_counter()
    for segment in left:
        segment.sync()
    active.sync()
    return time.perf_counter() - started


def _close_all(left: list[Segment]) -> None:
    for segment in left:
        segment.close()
