"""The journal's writer: entries are appended, a commit encrypts them into the mapped segment.

One writer belongs to one worker process and to one event loop: all but the work in its own threads runs on
the loop's thread. Law 1 rests on `commit` and `released`.
"""

import asyncio
import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

from bodycam.journal import layout
from bodycam.journal.entry import MAX_BODY
from bodycam.journal.failure import JournalUnwritable
from bodycam.journal.folder import LOCK, UNBORN
from bodycam.journal.layout import ENTRY_HEAD, RECORD_OVERHEAD, RecordType
from bodycam.journal.pressure import Gauge, Pressure, look
from bodycam.journal.segment import Segment, prepare, sync_folder
from bodycam.journal.settings import Fsync, JournalSettings
from bodycam.journal.supply import Supply
from bodycam.journal.syncing import Syncer

__all__ = ["JournalUnwritable", "JournalWriter"]

WATCH_INTERVAL = 0.5
"""Seconds between two looks at the folder and the disk."""

_ENTRIES: Final = bytes((RecordType.ENTRIES,))
ENTRY_HEAD_BYTES: Final = 21


class JournalWriter:
    """Writes one incarnation's journal.

    Attributes:
        incarnation: 16 random bytes, also the folder's name in hexadecimal.
        pending: the position that appends made now will have.
        released: the highest position whose bytes may leave.
        on_release: called on the loop when `released` advanced outside `commit`, and when the writer failed
            outside of it; a caller then commits again and learns which.
    """

    def __init__(
        self,
        folder: Path,
        *,
        incarnation: bytes,
        settings: JournalSettings,
        clock: Callable[[], int],
        lock: int,
        active: Segment,
        gauge: Gauge,
        supply: Supply,
    ) -> None:
        self.folder, self.incarnation = folder, incarnation
        self._settings, self._clock, self._lock = settings, clock, lock
        self._active, self._gauge, self._supply = active, gauge, supply
        capacity = settings.segment_bytes - layout.HEADER_BYTES - layout.MARK_BYTES
        self._capacity = capacity
        self._limit = min(layout.MAX_RECORD, capacity - RECORD_OVERHEAD - 8)
        self._piece = min(layout.MAX_PIECE, self._limit // 2 - ENTRY_HEAD_BYTES)
        self._strict = settings.fsync is Fsync.STRICT
        self._batch: list[bytes] = [_ENTRIES]
        self._size = 0
        self._sequence = self._now = 0
        self._failure: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        self._records = self._bytes = 0
        self._syncer = Syncer(settings, released=self._synced, failed=self._fail)
        self._syncer.active = active
        self.pending = 1
        self.released = 0
        self.on_release: Callable[[], None] | None = None

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        incarnation: bytes,
        recipient: X25519PublicKey,
        settings: JournalSettings,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> "JournalWriter":
        """Make the journal of a new incarnation at `folder`, whose name is the incarnation in hexadecimal.

        The folder appears under its name only with its lock held and its first segment in it, so that nobody
        ever sees an incarnation without a writer that is about to get one.

        Raises:
            JournalUnwritable: it can't be made here; the text says why.
        """
        if folder.name != incarnation.hex() or len(incarnation) != 16:
            raise ValueError("a journal's folder is named by its incarnation, 16 bytes in hexadecimal")
        unborn = folder.with_name(folder.name + UNBORN)
        lock = -1
        try:
            folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if folder.exists():
                raise JournalUnwritable(f"the journal {folder} is there already; an incarnation has one life")
            unborn.mkdir(mode=0o700)
            lock = os.open(unborn / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            gauge = Gauge(settings, look(unborn))
            if gauge.further < 2:
                raise JournalUnwritable(
                    f"the disk that holds {folder} has no room for two journal segments: "
                    f"{gauge.space.disk_free} bytes free, {settings.disk_reserve} kept in reserve"
                )
            gauge.making()
            active = prepare(
                unborn, 1, incarnation=incarnation, recipient=recipient, size=settings.segment_bytes
            )
            unborn.rename(folder)
            active.path = folder / active.path.name
            sync_folder(folder.parent)
        except (OSError, JournalUnwritable) as error:
            if lock >= 0:
                os.close(lock)
                shutil.rmtree(unborn, ignore_errors=True)
            if isinstance(error, JournalUnwritable):
                raise
            reason = error.strerror or str(error)
            raise JournalUnwritable(f"the journal {folder} can't be made: {reason}") from error
        supply = Supply(
            folder,
            incarnation=incarnation,
            recipient=recipient,
            settings=settings,
            gauge=gauge,
            made=1,
        )
        supply.order()
        return cls(
            folder,
            incarnation=incarnation,
            settings=settings,
            clock=clock,
            lock=lock,
            active=active,
            gauge=gauge,
            supply=supply,
        )

    def write_to(self, recipient: X25519PublicKey) -> None:
        """Write to another key of the archivist's from the next segment on that is not made yet."""
        self._supply.recipient = recipient

    # -- the hot path ----------------------------------------------------------------------------

    def append(self, session: int, exchange: int, kind: int, body: bytes) -> int:
        """Add an event to the batch; returns the position it will have when it is committed.

        Raises:
            ValueError: the body is longer than `entry.MAX_BODY`.
        """
        size = len(body)
        if not self._size:
            # what one turn of the loop brings has one time: a clock read for each event costs as much as it
            self._now = self._clock()
        if size > self._piece:
            self._append_pieces(session, exchange, kind, body)
            return self.pending
        batch = self._batch
        batch.append(ENTRY_HEAD.pack(session, exchange, kind, self._now, size))
        batch.append(body)
        self._size += size + ENTRY_HEAD_BYTES
        return self.pending

    def commit(self) -> None:
        """Write the batch, so that it survives this process. Nothing to do when nothing was appended.

        Raises:
            JournalUnwritable: it can't be written, now or since an earlier failure.
        """
        if self._failure is not None:
            raise JournalUnwritable(self._failure)
        size = self._size
        if not size:
            return
        try:
            if size <= self._limit and size + RECORD_OVERHEAD <= self._active.end - self._active.offset:
                self._record(b"".join(self._batch))
            else:
                self._commit_parts()
        except JournalUnwritable:
            raise
        except Exception as error:
            self._failure = f"the journal {self.folder} failed: {type(error).__name__}: {error}"
            raise JournalUnwritable(self._failure) from error
        self._batch = [_ENTRIES]
        self._size = 0
        position = self.pending
        self.pending = position + 1
        if self._strict:
            self._syncer.wanted(position)
        else:
            self._syncer.committed = position
            self.released = position

    def _record(self, plain: bytes) -> None:
        self._sequence += 1
        self._records += 1
        self._bytes += len(plain)
        self._active.write(plain, self._sequence)

    # -- what the hot path leaves out --------------------------------------------------------------

    def _append_pieces(self, session: int, exchange: int, kind: int, body: bytes) -> None:
        if len(body) > MAX_BODY:
            raise ValueError(f"an event of {len(body)} bytes is over the journal's {MAX_BODY}")
        at, last = self._now, (len(body) - 1) // self._piece
        for number in range(last + 1):
            piece = body[number * self._piece : (number + 1) * self._piece]
            marked = kind if number == last else kind | layout.MORE
            self._batch += (ENTRY_HEAD.pack(session, exchange, marked, at, len(piece)), piece)
            self._size += len(piece) + ENTRY_HEAD_BYTES

    def _commit_parts(self) -> None:
        """Write a batch that is too long for one record, or for what the segment has left."""
        batch = self._batch
        part, size = [_ENTRIES], 0
        for index in range(1, len(batch), 2):
            length = len(batch[index]) + len(batch[index + 1])
            if size and size + length > min(self._limit, self._active.room - RECORD_OVERHEAD):
                self._record(b"".join(part))
                part, size = [_ENTRIES], 0
            if not size and length > self._active.room - RECORD_OVERHEAD:
                self._roll()
            part += batch[index : index + 2]
            size += length
        self._record(b"".join(part))

    def _roll(self) -> None:
        try:
            following = self._supply.take()
        except JournalUnwritable as error:
            self._failure = str(error)
            raise
        # only now: a mark of the end promises that the next segment is there
        self._mark(RecordType.SEGMENT_END)
        self._syncer.rolled(following)
        self._active = following
        self._supply.order()

    def _mark(self, record: RecordType) -> None:
        self._sequence += 1
        self._active.write(bytes((record,)), self._sequence)

    # -- space ---------------------------------------------------------------------------------------

    @property
    def gathered(self) -> int:
        """Bytes that were appended and not committed yet."""
        return self._size

    @property
    def room(self) -> int:
        """Bytes that can still be journaled before a commit must fail."""
        spare = 1 if self._supply.spare else 0
        return self._active.room + (spare + self._supply.further) * self._capacity

    @property
    def pressure(self) -> Pressure:
        """What the room that is left asks of the worker."""
        if self._failure is not None:
            return Pressure.FULL
        return self._gauge.pressure(self.room)

    # -- the background --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin syncing and watching the space, on the running loop."""
        self._tasks = [
            asyncio.create_task(self._guard(self._syncer.run), name="journal-sync"),
            asyncio.create_task(self._guard(self._watch), name="journal-watch"),
        ]

    async def close(self) -> None:
        """Commit, mark the journal as closed, bring it to the disk, trim it, and give the lock back.

        A writer that has failed leaves its files as they are. Idempotent.

        Raises:
            JournalUnwritable: what was appended last could not be written.
        """
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        try:
            if self._failure is None:
                self.commit()
                self._mark(RecordType.CLOSED)
                await self._syncer.finish()
                self.released = self.pending - 1
                await loop.run_in_executor(None, self._active.trim)
        except OSError as error:
            self._failure = f"the journal {self.folder} can't be closed: {error.strerror or error}"
            raise JournalUnwritable(self._failure) from error
        finally:
            self._failure = self._failure or f"the journal {self.folder} is closed"
            self._active.close()
            await loop.run_in_executor(None, self._supply.close)
            self._syncer.close()
            with contextlib.suppress(OSError):
                os.close(self._lock)
        if self.on_release is not None:
            self.on_release()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._gauge.space = await loop.run_in_executor(None, look, self.folder)
            self._supply.order()
            await asyncio.sleep(WATCH_INTERVAL)

    async def _guard(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:
            # law 2: a journal that nobody syncs or watches is not one
            self._fail(f"the journal {self.folder} failed: {type(error).__name__}: {error}")

    def _synced(self, position: int) -> None:
        self.released = position
        if self.on_release is not None:
            self.on_release()

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason
            if self.on_release is not None:
                self.on_release()

    def stats(self) -> dict[str, float]:
        """Counters and gauges for the worker's metrics; bytes and seconds."""
        return {
            "records": self._records,
            "bytes": self._bytes,
            "generation": self._active.generation,
            "prepare_waits": self._supply.waits,
            "allocated_bytes": self._gauge.space.allocated,
            "room_bytes": self.room,
            "max_bytes": self._settings.max_bytes,
            "disk_free_bytes": self._gauge.space.disk_free,
            "pressure": self.pressure,
            "failed": self._failure is not None,
            **self._syncer.stats(),
        }
