"""The key store: one wrapped data key for each recording, apart from the recordings.

Destroying a key makes its recording unreadable for ever, even where the object itself is locked; it stays
verifiable, because hashes cover ciphertext. The store is as precious as the recordings.
"""

import contextlib
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE = 12
_ZEROS = 1 << 16
_CONTEXT = b"bodycam data key v1"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS keys (session BLOB PRIMARY KEY, wrapped BLOB NOT NULL, made INTEGER NOT NULL)"
)


class KeyGone(KeyError):
    """The recording's key was destroyed, or was never here."""


class KeyStore:
    """Data keys by session (16 raw bytes), wrapped by AES-256-GCM under the key-encryption key.

    Safe to use from several threads. `secure_delete` overwrites what is deleted, and the rollback journal is
    one file that stays and is filled with zeros when a key is destroyed, so that no copy of it is left in a
    file or in the free blocks of unlinked ones. What a disk keeps of overwritten blocks is beyond us; there
    the key-encryption key still stands before the data key.
    """

    def __init__(self, file: Path, wrapping: bytes) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        self._cipher = AESGCM(wrapping)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, check_same_thread=False, timeout=10, isolation_level=None)
        self._journal = file.with_name(file.name + "-journal")
        for pragma in ("secure_delete=ON", "journal_mode=PERSIST", "synchronous=EXTRA"):
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        self._database.execute(_SCHEMA)

    def wrap(self, session: bytes, key: bytes) -> bytes:
        """A data key as it is kept: nonce and AES-256-GCM, bound to its session."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, key, _CONTEXT + session)

    def put(self, keys: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep `(session, data key)` pairs, durably, in one transaction. A key that is there stays."""
        now = int(time.time())
        rows = [(session, self.wrap(session, key), now) for session, key in keys]
        with self._lock, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?, ?)", rows)

    def get(self, session: bytes) -> bytes:
        """The data key of a session.

        Raises:
            KeyGone: it was destroyed, or never was here, or does not open under this key-encryption key.
        """
        with self._lock:
            row = self._database.execute("SELECT wrapped FROM keys WHERE session = ?", (session,)).fetchone()
        if row is None:
            raise KeyGone("the key of this recording is gone")
        try:
            return self._cipher.decrypt(row[0][:_NONCE], row[0][_NONCE:], _CONTEXT + session)
        except InvalidTag as error:
            raise KeyGone("the key of this recording does not open under this wrapping key") from error

    def destroy(self, *sessions: bytes) -> int:
        """Destroy the keys of these sessions, all in one transaction; returns how many there were.

        Raises:
            OSError: they are destroyed, but traces may be left in the rollback journal; call again.
        """
        with self._lock:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                named = [(session,) for session in sessions]
                cursor = self._database.executemany("DELETE FROM keys WHERE session = ?", named)
            self._scrub()
        return cursor.rowcount

    def _scrub(self) -> None:
        """Overwrite the rollback journal, which holds pages as they were; no transaction is open now."""
        with contextlib.suppress(FileNotFoundError), self._journal.open("r+b", buffering=0) as stream:
            left = stream.seek(0, os.SEEK_END)
            stream.seek(0)
            while left:
                left -= stream.write(bytes(min(left, _ZEROS)))
            os.fsync(stream.fileno())

    def close(self) -> None:
        """Close the file."""
        self._database.close()
