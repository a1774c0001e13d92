"""Containers on their way: what has ended is sealed by a thread of the store's own, one container at a time.

A store may hang, and it may fail: then the same batch goes again after a pause, under the same name.
"""

import sqlite3
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import final

import structlog

from bodycam.archive.builder import SessionKey
from bodycam.archive.ended import Ended
from bodycam.archive.sealing import Batch, Sealed, Sealer, container_name
from bodycam.archive.store import StoreUnavailable

log = structlog.get_logger(__name__)

RETRY_FIRST, RETRY_MOST = 0.25, 15.0
"""Seconds before the first try again, and at most."""


@final
class Shipping:
    """Takes sessions from the queue of those that have ended, and gives what was sealed."""

    def __init__(self, sealer: Sealer, ended: Ended) -> None:
        self._sealer, self._ended = sealer, ended
        self._under_way: tuple[Batch, Future[Sealed]] | None = None
        self._again: Batch | None = None
        self._retry_at = self._retry_pause = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sealer")
        self.failure: str | None = None
        """Why the store did not take the last one."""

    @property
    def idle(self) -> bool:
        """Whether nothing has ended that is not sealed."""
        return not self._ended and self._under_way is None and self._again is None

    @property
    def keys(self) -> set[SessionKey]:
        """The sessions that are being sealed just now."""
        return set() if self._under_way is None else {one.key for one in self._under_way[0].builders}

    def step(self, now: float) -> tuple[Batch, Sealed] | None:
        """Go on; returns what is in the store since, once. `now` is in seconds of the archivist's clock."""
        if self._under_way is not None:
            batch, future = self._under_way
            if not future.done():
                return None
            self._under_way = None
            try:
                sealed = future.result()
            except (StoreUnavailable, OSError, sqlite3.Error) as error:
                self._failed(batch, error, now)
                return None
            self._retry_pause, self.failure = 0.0, None
            return batch, sealed
        if now >= self._retry_at:
            following, self._again = self._again or self._next(now), None
            if following is not None:
                self._under_way = following, self._thread.submit(self._sealer.seal, following)
        return None

    def stop(self) -> None:
        """Begin nothing any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _next(self, now: float) -> Batch | None:
        taken = self._ended.take(now)
        return Batch(container_name(time.time()), taken) if taken else None

    def _failed(self, batch: Batch, error: Exception, now: float) -> None:
        self._retry_pause = min(max(self._retry_pause * 2, RETRY_FIRST), RETRY_MOST)
        self._retry_at = now + self._retry_pause
        self.failure = str(error)
        log.error("sealing failed and is tried again", error=str(error), in_seconds=self._retry_pause)
        # under another name it could end up in the store twice: a put that failed may have done its work
        self._again = batch
