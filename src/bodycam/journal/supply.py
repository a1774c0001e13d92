"""The supply of segments: the next one is made in a thread before it is needed."""

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from bodycam.journal.failure import JournalUnwritable
from bodycam.journal.pressure import Gauge
from bodycam.journal.segment import Segment, prepare
from bodycam.journal.settings import JournalSettings

PREPARE_TIMEOUT = 30.0
"""Seconds that a commit waits at most for a segment that is still being made."""


class Supply:
    """Makes a writer's segments, one ahead. Used on the writer's own thread; the making runs in another."""

    def __init__(
        self,
        folder: Path,
        *,
        incarnation: bytes,
        recipient: X25519PublicKey,
        settings: JournalSettings,
        gauge: Gauge,
        made: int,
    ) -> None:
        self._folder, self._incarnation, self.recipient = folder, incarnation, recipient
        self._settings, self._gauge = settings, gauge
        self._made = made
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal-prepare")
        self._coming: Future[Segment] | None = None
        self.waits = 0

    @property
    def spare(self) -> bool:
        """Whether the next segment is there, or being made."""
        coming = self._coming
        return coming is not None and not (coming.done() and coming.exception() is not None)

    @property
    def further(self) -> int:
        """How many segments may be made after the spare one; none while the making fails."""
        # the free space that a file system shows says nothing of quotas, a failure does
        coming = self._coming
        return 0 if coming is not None and not self.spare else self._gauge.further

    def order(self) -> None:
        """Have the next segment made, unless it is there or there is no space for it."""
        if self.spare or not self._gauge.further:
            return
        self._gauge.making()
        self._coming = self._pool.submit(self._prepare)

    def take(self) -> Segment:
        """The next segment: at once when it was made in time, else after waiting for it.

        Raises:
            JournalUnwritable: there is none and none can be made, or not in time.
        """
        self.order()
        coming, self._coming = self._coming, None
        if coming is None:
            raise JournalUnwritable(self._no_space())
        if not coming.done():
            self.waits += 1
        try:
            segment = coming.result(PREPARE_TIMEOUT)
        except TimeoutError:
            # whatever the thread still makes is removed with the folder once all is sealed
            self._coming = coming
            raise JournalUnwritable(
                f"the next journal segment in {self._folder} was not made within {PREPARE_TIMEOUT:g} s"
            ) from None
        self._made = segment.generation
        return segment

    def close(self) -> None:
        """Remove the spare segment and end the thread; waits for a segment that is being made."""
        self._pool.shutdown(wait=True)
        coming, self._coming = self._coming, None
        if coming is not None and coming.exception() is None:
            coming.result().discard()

    def _prepare(self) -> Segment:
        return prepare(
            self._folder,
            self._made + 1,
            incarnation=self._incarnation,
            recipient=self.recipient,
            size=self._settings.segment_bytes,
        )

    def _no_space(self) -> str:
        if self._gauge.limited_by_disk:
            return (
                f"the disk that holds the journal {self._folder} is full "
                f"({self._gauge.space.disk_free} bytes free, {self._settings.disk_reserve} kept in reserve)"
            )
        return (
            f"the journal {self._folder} has reached its {self._settings.max_bytes} bytes; "
            "the archivist is away or too slow"
        )
