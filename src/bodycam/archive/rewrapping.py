"""Wrapping data keys anew after a rotation, in the background, a few at a time.

Which ones are left is what the key store says, so that whoever comes after a crash goes on where it was.
"""

import sqlite3
import threading
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bodycam.archive.keys import KeysUnusable
from bodycam.archive.keystore import KeyStore

log = structlog.get_logger(__name__)

AT_ONCE = 200
PAUSE, IDLE = 0.1, 2.0
"""Seconds between two batches, and between two looks while there is nothing to do."""


class Rewrapper:
    """Goes through the key store whenever a key-encryption key has a newer one of its name.

    `watch` is called before each look.
    """

    def __init__(
        self, keystore: KeyStore, watch: Callable[[], None], *, pause: float = PAUSE, idle: float = IDLE
    ) -> None:
        self._keystore, self._watch, self._pause, self._idle = keystore, watch, pause, idle
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rewrap", daemon=True)
        self.done_total = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        under_way, failed = 0, False
        while not self._stopping.is_set():
            done = 0
            try:
                self._watch()
                done = self._keystore.rewrap(AT_ONCE)
                failed = False
            except (OSError, sqlite3.Error, SQLAlchemyError, KeysUnusable) as error:
                if not failed:
                    log.error("data keys wait to be wrapped anew", error=str(error))
                failed = True
            if under_way and not done and not failed:
                log.info("data keys are wrapped with the newest key-encryption keys", keys=under_way)
                under_way = 0
            under_way += done
            self.done_total += done
            self._stopping.wait(self._pause if done else self._idle)
