"""How one worker's journal is kept."""

from dataclasses import dataclass
from enum import StrEnum

MIN_SEGMENT = 16 * 1024
MAX_SEGMENT = 1024 * 1024 * 1024


class Fsync(StrEnum):
    """When journaled bytes may leave: once in the page cache, or once on the disk."""

    INTERVAL = "interval"
    STRICT = "strict"


@dataclass(frozen=True, slots=True)
class JournalSettings:
    """How one worker's journal is kept.

    Attributes:
        segment_bytes: size of one segment file, a multiple of 4096.
        max_bytes: bytes of segment files that may exist at once, waiting for the archivist.
        fsync: whether a release waits for the disk.
        fsync_interval: seconds between two syncs in the mode `interval`.
        disk_reserve: bytes of the file system that the journal leaves free, for the archivist to work in.

    Raises:
        ValueError: the numbers do not fit each other.
    """

    segment_bytes: int = 16 * 1024 * 1024
    max_bytes: int = 2 * 1024 * 1024 * 1024
    fsync: Fsync = Fsync.INTERVAL
    fsync_interval: float = 1.0
    disk_reserve: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        if not MIN_SEGMENT <= self.segment_bytes <= MAX_SEGMENT or self.segment_bytes % 4096:
            raise ValueError("a journal segment is a multiple of 4096 bytes, from 16 KiB to 1 GiB")
        if self.max_bytes < 3 * self.segment_bytes:
            raise ValueError("a journal has room for at least three segments")
        if not 0.001 <= self.fsync_interval <= 60:
            raise ValueError("a journal is synced every 1 ms to 60 s")
        if self.disk_reserve < 0:
            raise ValueError("the disk reserve is not negative")
