"""The SHA-256 of what streams by, made beside the event loop where there is much of it.

Hashing takes as long as all else that a worker does with a large body. hashlib lets go of the interpreter's
lock meanwhile, so that a thread does it on another core; one thread for a process, as there is one loop.
"""

import hashlib
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, final

BATCH: Final = 256 * 1024
"""Bytes that are handed to the thread at once; less is hashed where it is."""

WAITING_MOST: Final = 8 * 1024 * 1024
"""Bytes of all digests of a process that wait for the thread at most; beyond them the loop does it itself."""

_PATIENCE: Final = 30.0
"""Seconds that the thread may take for what waits; then something is broken."""


class _Beside:
    """The thread, begun when it is first needed, and how much waits for it."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self.waiting = 0

    def hand(self, state: "hashlib._Hash", pieces: list[bytes], size: int) -> "Future[None]":
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="digest")
        with self._lock:
            self.waiting += size
        return self._pool.submit(self._work, state, pieces, size)

    def _work(self, state: "hashlib._Hash", pieces: list[bytes], size: int) -> None:
        try:
            for piece in pieces:
                state.update(piece)
        finally:
            with self._lock:
                self.waiting -= size


_BESIDE: Final = _Beside()


@final
class Digest:
    """SHA-256 of all pieces, in their order."""

    __slots__ = ("_pieces", "_size", "_state", "_under_way")

    def __init__(self) -> None:
        self._state = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._size = 0
        self._under_way: Future[None] | None = None

    def update(self, piece: bytes) -> None:
        """Add a piece, which may be hashed later."""
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= BATCH:
            self._hand_over()

    def hexdigest(self) -> str:
        """Of all that was added; waits for what is under way.

        Raises:
            TimeoutError: the thread is stuck.
        """
        self._hash_here()
        return self._state.hexdigest()

    def _hand_over(self) -> None:
        under_way = self._under_way
        if under_way is not None and not under_way.done() and self._size < 4 * BATCH:
            return
        if _BESIDE.waiting + self._size > WAITING_MOST:
            self._hash_here()
            return
        self._arrive()
        pieces, size = self._pieces, self._size
        self._pieces, self._size = [], 0
        self._under_way = _BESIDE.hand(self._state, pieces, size)

    def _hash_here(self) -> None:
        self._arrive()
        for piece in self._pieces:
            self._state.update(piece)
        self._pieces, self._size = [], 0

    def _arrive(self) -> None:
        if self._under_way is not None:
            self._under_way.result(_PATIENCE)
            self._under_way = None
