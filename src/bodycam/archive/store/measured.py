"""A store that knows how many bytes its objects have together."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import structlog

from bodycam.archive.store import Store, StoreUnavailable

log = structlog.get_logger(__name__)

AGAIN: Final = 60.0
"""Seconds until a store that could not be listed is listed again."""


class MeasuredStore:
    """A `Store` over another, which is listed once; from then on what comes and goes is counted.

    What is put and deleted waits while the store is listed, so that the sum is exact, and each object is
    looked at before and after: a put that failed may have done its work. What others put there by hand counts
    from the next start on.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._changing = threading.Lock()
        self._total: int | None = None
        self._again_at = 0.0

    @property
    def total(self) -> int | None:
        """What the objects take together; None while it is not known."""
        return self._total

    def measure(self) -> None:
        """List the store, unless that was done; one that can't be listed is listed again later."""
        with self._changing:
            self._measure()

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a new object made of these parts. Raises as the store does."""
        with self._counted(name):
            self._store.put(name, parts)

    def delete(self, name: str) -> None:
        """Remove an object. Raises as the store does."""
        with self._counted(name):
            self._store.delete(name)

    def get(self, name: str) -> bytes:
        """A whole object. Raises as the store does."""
        return self._store.get(name)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`. Raises as the store does."""
        return self._store.get_range(name, offset, length)

    def size(self, name: str) -> int:
        """How many bytes an object has. Raises as the store does."""
        return self._store.size(name)

    def list(self, prefix: str = "") -> Iterator[str]:
        """The names that begin with `prefix`. Raises as the store does."""
        return self._store.list(prefix)

    def _measure(self) -> None:
        if self._total is not None or self._clock() < self._again_at:
            return
        try:
            self._total = sum(map(self._size, self._store.list()))
        except StoreUnavailable as error:
            self._again_at = self._clock() + AGAIN
            log.error("it is not known how much the recordings take", error=str(error))

    @contextlib.contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        with self._changing:
            self._measure()
            before = self._size(name)
            try:
                yield
            finally:
                if self._total is not None:
                    self._total += self._size(name) - before

    def _size(self, name: str) -> int:
        """What an object takes; what is none, such as somebody's link, takes nothing."""
        try:
            return self._store.size(name)
        except (StoreUnavailable, ValueError):
            return 0
