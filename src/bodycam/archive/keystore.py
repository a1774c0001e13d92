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

from bodycam.archive.kek import DEFAULT
from bodycam.archive.keyring import FixedKeyring, Kek, KekMissing, Keyring

_NONCE = 12
_ZEROS = 1 << 16
_CONTEXT, _NAMED = b"bodycam data key v1", b"bodycam data key v2"
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS keys"
    " (session BLOB PRIMARY KEY, wrapped BLOB NOT NULL, made INTEGER NOT NULL, kek BLOB)"
)
_REDACTED = (
    "CREATE TABLE IF NOT EXISTS successors (session BLOB, root BLOB, wrapped BLOB NOT NULL,"
    " made INTEGER NOT NULL, kek BLOB, PRIMARY KEY (session, root))",
    "CREATE TABLE IF NOT EXISTS superseded (root BLOB PRIMARY KEY, session BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS known (kind TEXT, name TEXT, id TEXT, PRIMARY KEY (kind, name, id))",
)


class KeyGone(KeyError):
    """The recording's key was destroyed, or was never here."""


class KeyStore:
    """Data keys by session (16 raw bytes), wrapped by AES-256-GCM under a key-encryption key that each names.

    Safe to use from several threads. `secure_delete` overwrites what is deleted, and the rollback journal is
    one file that stays and is filled with zeros when a key is destroyed, so that no copy of it is left in a
    file or in the free blocks of unlinked ones. What a disk keeps of overwritten blocks is beyond us; there
    the key-encryption key still stands before the data key.
    """

    def __init__(self, file: Path, wrapping: bytes | Keyring) -> None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not file.exists():
            os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))
        self.keyring = wrapping if isinstance(wrapping, Keyring) else FixedKeyring(wrapping)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(file, check_same_thread=False, timeout=10, isolation_level=None)
        self._journal = file.with_name(file.name + "-journal")
        self._passed = b""  # of those that name no key-encryption key, up to here none can be opened
        for pragma in ("secure_delete=ON", "journal_mode=PERSIST", "synchronous=EXTRA"):
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        self._database.execute(_SCHEMA)
        if "kek" not in {row[1] for row in self._database.execute("PRAGMA table_info(keys)")}:
            # of a version that had one key-encryption key, and named none
            self._database.execute("ALTER TABLE keys ADD COLUMN kek BLOB")
        for statement in ("CREATE INDEX IF NOT EXISTS keks ON keys (kek)", *_REDACTED):
            self._database.execute(statement)

    def put(self, keys: Iterable[tuple[bytes, bytes] | tuple[bytes, bytes, str]]) -> None:
        """Keep `(session, data key, name of the key-encryption key)`, durably, in one transaction.

        Without a name it is `default`. A key that is there stays, unless its key-encryption key is lost.

        Raises:
            KeyAway: a key-encryption key can't be had just now.
        """
        now = int(time.time())
        with self.keyring.using():
            rows = [
                (session, wrap(kek := self.keyring.current(*named or [DEFAULT]), session, key), now, kek.id)
                for session, key, *named in keys
            ]
            with self._lock, self._database:
                self._database.execute("BEGIN IMMEDIATE")
                for row in rows:
                    self._database.execute("INSERT OR IGNORE INTO keys VALUES (?, ?, ?, ?)", row)
                    (named,) = self._database.execute(
                        "SELECT kek FROM keys WHERE session = ?", row[:1]
                    ).fetchone()
                    if named is not None and not self.keyring.has(named):
                        self._database.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?, ?)", row)

    def get(self, session: bytes) -> bytes:
        """The data key of a session.

        Raises:
            KeyGone: it was destroyed, or never was here, or its key-encryption key is lost or another.
            KeyAway: its key-encryption key can't be had just now.
        """
        with self._lock:
            row = self._database.execute(
                "SELECT wrapped, kek FROM keys WHERE session = ?", (session,)
            ).fetchone()
        if row is None:
            raise KeyGone("the key of this recording is gone")
        return self._unwrap(session, *row)

    def find(self, session: bytes) -> bytes | None:
        """The same, or None where it is gone. Raises KeyAway."""
        try:
            return self.get(session)
        except KeyGone:
            return None

    def _unwrap(self, session: bytes, wrapped: bytes, named: bytes | None) -> bytes:
        try:
            if named is not None:
                return unwrap(self.keyring.opening(named), session, wrapped)
            for kek in self.keyring.unnamed():
                with contextlib.suppress(InvalidTag):
                    return AESGCM(kek.secret).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _CONTEXT + session)
        except KekMissing as error:
            raise KeyGone(f"the key of this recording can't be unwrapped: {error.args[0]}") from error
        except InvalidTag:
            pass
        raise KeyGone("the key of this recording does not open under this wrapping key")

    def known_keys(self) -> frozenset[tuple[str, str, str]]:
        """The archivist's keys that were there when it last looked: kind, name and id of each."""
        with self._lock:
            return frozenset(self._database.execute("SELECT kind, name, id FROM known"))

    def know_keys(self, keys: Iterable[tuple[str, str, str]]) -> None:
        """Write down which keys there are."""
        with self._lock, self._database:
            self._database.execute("BEGIN IMMEDIATE")
            self._database.execute("DELETE FROM known")
            self._database.executemany("INSERT INTO known VALUES (?, ?, ?)", sorted(keys))

    # -- redaction -------------------------------------------------------------------------------------

    def prepare(self, session: bytes, root: bytes, key: bytes) -> None:
        """Keep the data key of a recording that is about to take another's place, under the same name.

        Raises:
            KeyAway: the key-encryption key can't be had just now.
        """
        with self.keyring.using():
            with self._lock:
                row = self._database.execute("SELECT kek FROM keys WHERE session = ?", (session,)).fetchone()
            name = DEFAULT if row is None or row[0] is None else self.keyring.name_of(row[0]) or DEFAULT
            kek = self.keyring.current(name)
            made = (session, root, wrap(kek, session, key), int(time.time()), kek.id)
            with self._lock:
                self._database.execute("INSERT OR REPLACE INTO successors VALUES (?, ?, ?, ?, ?)", made)

    def promote(self, session: bytes, old: bytes, new: bytes) -> None:
        """Put a prepared key in the place of the old recording's, which is destroyed."""
        own = (session, new)
        with self._lock:
            with self._database:
                self._database.execute("BEGIN IMMEDIATE")
                self._database.execute(
                    "INSERT OR REPLACE INTO keys (session, wrapped, made, kek)"
                    " SELECT session, wrapped, made, kek FROM successors WHERE session = ? AND root = ?",
                    own,
                )
                self._database.execute("DELETE FROM successors WHERE session = ? AND root = ?", own)
                self._database.execute("INSERT OR IGNORE INTO superseded VALUES (?, ?)", (old, session))
            self._scrub()

    def abandon(self, session: bytes, root: bytes) -> None:
        """Forget a key that was prepared."""
        with self._lock:
            self._database.execute("DELETE FROM successors WHERE session = ? AND root = ?", (session, root))
            self._scrub()

    def superseded(self, root: bytes) -> bool:
        """Whether another recording took the place of the one with this root."""
        with self._lock:
            found = self._database.execute("SELECT 1 FROM superseded WHERE root = ?", (root,)).fetchone()
        return found is not None

    # -- rotation --------------------------------------------------------------------------------------

    def wrapped_by(self) -> dict[bytes | None, int]:
        """How many data keys each key-encryption key wraps; None is for those that name none."""
        with self._lock:
            every = "SELECT kek FROM keys UNION ALL SELECT kek FROM successors"
            return dict(self._database.execute(f"SELECT kek, count(*) FROM ({every}) GROUP BY kek"))  # noqa: S608

    def rewrap_left(self) -> int:
        """How many data keys an older key-encryption key wraps of one that is there."""
        newest = self.keyring.newest()
        older = {one.id for one in self.keyring.files()} - newest.keys()
        return sum(count for kek, count in self.wrapped_by().items() if kek is None or kek in older)

    def rewrap(self, most: int) -> int:
        """Wrap some data keys anew that an older key-encryption key wraps; returns how many it were.

        Those whose key-encryption key is lost are left as they are.

        Raises:
            KeyAway: a key-encryption key can't be had just now.
        """
        with self.keyring.using():
            newest = {name: id_ for id_, name in self.keyring.newest().items()}
            away = self.keyring.without(newest)
            due = [
                one.id
                for one in self.keyring.files()
                if one.name in newest and one.name not in away and one.id != newest[one.name]
            ]
            marks = ", ".join("?" * len(due))
            query = f"SELECT session, wrapped, kek FROM keys WHERE kek IN ({marks}) LIMIT ?"  # noqa: S608
            with self._lock:
                rows = self._database.execute(query, (*due, most)).fetchall()
                if len(rows) < most:
                    unnamed = (
                        "SELECT session, wrapped, kek FROM keys WHERE kek IS NULL AND session > ? LIMIT ?"
                    )
                    rows += self._database.execute(unnamed, (self._passed, most - len(rows))).fetchall()
            changed = []
            for session, wrapped, named in rows:
                name = DEFAULT if named is None else self.keyring.name_of(named) or DEFAULT
                kek = self.keyring.current(name)
                try:
                    key = self._unwrap(session, wrapped, named)
                except KeyGone:
                    self._passed = max(self._passed, session)
                    continue
                changed.append((wrap(kek, session, key), kek.id, session, wrapped))
            if changed:
                again = "UPDATE keys SET wrapped = ?, kek = ? WHERE session = ? AND wrapped = ?"
                with self._lock:
                    with self._database:
                        self._database.execute("BEGIN IMMEDIATE")
                        self._database.executemany(again, changed)
                    self._scrub()
            return len(changed)

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
                self._database.executemany("DELETE FROM successors WHERE session = ?", named)
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


def wrap(kek: Kek, session: bytes, key: bytes) -> bytes:
    """A data key as it is kept: nonce and AES-256-GCM, bound to its session and to what wraps it."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(kek.secret).encrypt(nonce, key, _NAMED + kek.id + session)


def unwrap(kek: Kek, session: bytes, wrapped: bytes) -> bytes:
    """The data key that `wrap` wrapped.

    Raises:
        InvalidTag: it is of another session or under another key.
    """
    return AESGCM(kek.secret).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], _NAMED + kek.id + session)
