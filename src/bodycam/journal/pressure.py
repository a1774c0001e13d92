"""How much journal is left, and what that means for the gateway (design promise 4).

Room is what can still be written before a commit must fail: the rest of the segment in use, the spare
segment, and the further ones that `max_bytes` and the disk allow. One segment of it is the reserve, in which
open exchanges and sessions are ended; the steps divide what is above the reserve.
"""

import os
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from bodycam.journal.folder import segments_of, used_bytes
from bodycam.journal.settings import JournalSettings


class Pressure(IntEnum):
    """What the worker has to do; a higher one includes the lower ones."""

    CLEAR = 0
    THROTTLE = 1  # read more slowly: above the reserve, less than a half or 16 segments are left
    REFUSE = 2  # open no more sessions: less than a quarter or 8 segments are left
    FULL = 3  # end the open sessions: the reserve, at most one segment, is being used


@dataclass(frozen=True, slots=True)
class Space:
    """What a look at the folder and its file system saw, in bytes."""

    allocated: int
    disk_free: int


def look(folder: Path) -> Space:
    """Measure the folder; for a thread.

    Raises:
        OSError: the folder or its file system can't be read.
    """
    disk = os.statvfs(folder)
    return Space(used_bytes(segments_of(folder)), disk.f_bavail * disk.f_frsize)


class Gauge:
    """The account of one writer's space: the last look at it, and the segments made since."""

    def __init__(self, settings: JournalSettings, space: Space) -> None:
        self._segment, self._max, self._reserve = (
            settings.segment_bytes,
            settings.max_bytes,
            settings.disk_reserve,
        )
        self.space = space
        above = self._max - self._segment
        # bounded by whole segments, so that a small disk with a large max_bytes can be used at all
        self.clear_from = self._segment + min(above // 2, 16 * self._segment)
        self.open_from = self._segment + min(above // 4, 8 * self._segment)

    def making(self) -> None:
        """A segment is about to be made; until the next look it counts as made."""
        space = self.space
        self.space = Space(space.allocated + self._segment, max(0, space.disk_free - self._segment))

    @property
    def further(self) -> int:
        """How many more segments may be made."""
        allowed = (self._max - self.space.allocated) // self._segment
        fitting = (self.space.disk_free - self._reserve) // self._segment
        return max(0, min(allowed, fitting))

    @property
    def limited_by_disk(self) -> bool:
        """Whether it is the disk, and not `max_bytes`, that allows no further segment."""
        return self.space.allocated + self._segment <= self._max

    def pressure(self, room: int) -> Pressure:
        """What `room` bytes left mean."""
        if room >= self.clear_from:
            return Pressure.CLEAR
        if room >= self.open_from:
            return Pressure.THROTTLE
        return Pressure.REFUSE if room > self._segment else Pressure.FULL
