"""The ledger: an append-only Merkle log of what was opened, sealed, viewed and administered.

The folder holds `entries` (the leaves), `heads` (signed heads over them), `tree` (hashes of subtrees, derived
from the entries) and `lock`. Leaves carry random ids and salted hashes, no names. The layout is in
`docs/recording-format.md`.
"""

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import cbor2
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bodycam.archive import frames, merkle
from bodycam.archive.frames import BadFrame, LedgerDamaged
from bodycam.archive.head import LOG_BYTES, MAX_HEAD, Head, decode_head, encode_head
from bodycam.archive.leaf import Leaf, decode_leaf, new_salt, salted
from bodycam.archive.succession import Succession, path_between
from bodycam.archive.treefile import TreeFile

__all__ = ["Head", "Leaf", "Ledger", "LedgerDamaged", "new_salt", "salted"]

LOCK_PATIENCE = 2.0
"""Seconds to wait for the lock: a verification holds it for a moment to see whether somebody writes."""

_TREE_BUFFER = 1 << 20


class Ledger:
    """The log, open for appending by this process alone. Not safe to use from two threads at once.

    Appended leaves count once `commit` has brought them to the disk and signed a head over them.
    """

    def __init__(self, folder: Path, signing: Ed25519PrivateKey, words: Sequence[Succession] = ()) -> None:
        """Open the ledger in `folder`, or begin one.

        Where the newest head is an older key's, `words` have to lead from that key to this one; they enter
        the ledger before anything else does.

        Opening reads the newest head, the leaves behind it if a crash left any, and of the tree only what
        leads to the root; everything is read only when those don't fit together.

        Raises:
            LedgerDamaged: the files are not what was written, or another process has them open.
        """
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._signing, self._words = signing, tuple(words)
        self._entries_file, self._heads_file = folder / "entries", folder / "heads"
        self._pending: list[bytes] = []
        self._lock = _locked(folder)
        self._open = [self._lock]
        try:
            self._tree = TreeFile(folder / "tree")
            self._entries, self._heads = self._opened(self._entries_file), self._opened(self._heads_file)
            self._recover()
        except BaseException:
            self._release()
            raise

    @property
    def log(self) -> bytes:
        """This log's random name."""
        return self._head.log

    @property
    def size(self) -> int:
        """How many leaves are under the newest head."""
        return self._head.size

    def append(self, leaf: Sequence[Any]) -> int:
        """Add a leaf, `[kind, ...]`, and return its index; the time in milliseconds is put behind the kind.

        Raises:
            ValueError: it is not of its kind's shape.
        """
        kind, *rest = leaf
        data = cbor2.dumps([int(kind), _now(), *rest])
        decode_leaf(data)
        self._pending.append(data)
        return self._tree.size + len(self._pending) - 1

    def commit(self) -> Head:
        """Bring what was appended to the disk and sign a head over it.

        Raises:
            OSError: it can't be written; the leaves stay pending, and the next commit tries again.
        """
        if self._pending:
            data = b"".join(map(frames.encode, self._pending))
            _write(self._entries, data, self._extent)
            self._extent += len(data)
            for leaf in self._pending:
                self._tree.add(merkle.leaf_hash(leaf))
            self._pending = []
        if self._tree.size != self._head.size:
            self._sign(self._head.log)
        return self._head

    @property
    def signing(self) -> Ed25519PrivateKey:
        """The key in use: what signs the newest head."""
        return self._signing

    def replace_key(self, signing: Ed25519PrivateKey, words: Sequence[Succession]) -> int:
        """Go on under another signing key, for which the one in use vouches; returns the leaves of that.

        Raises:
            LedgerDamaged: no words lead from the key in use to this one; nothing was changed.
            OSError: it can't be written; the next commit tries again, under the new key.
        """
        path = self._path(words, self._signing.public_key().public_bytes_raw(), signing)
        if not path:
            return 0
        self.commit()
        for one in path:
            self.append([Leaf.SIGNING, *one.leaf])
        self._signing = signing
        self.commit()
        return len(path)

    def head(self) -> Head:
        """The newest signed head."""
        return self._head

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof that the head over `first` leaves is the beginning of that over `second`.

        Raises:
            ValueError: there are no such heads.
        """
        if second > self._head.size:
            raise ValueError(f"the ledger has {self._head.size} leaves")
        return merkle.consistency_proof(first, second, self._tree.subtree)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that leaf `index` is under the head over `size` leaves.

        Raises:
            ValueError: there is no such leaf or head.
        """
        if size > self._head.size:
            raise ValueError(f"the ledger has {self._head.size} leaves")
        return merkle.inclusion_proof(index, size, self._tree.subtree)

    def peaks(self, size: int) -> list[bytes]:
        """The roots of the complete subtrees of the first `size` leaves, largest first.

        Raises:
            ValueError: the ledger has fewer leaves.
        """
        if not 0 <= size <= self._head.size:
            raise ValueError(f"the ledger has {self._head.size} leaves")
        return merkle.peaks(size, self._tree.subtree)

    def leaves(self) -> Iterator[list[Any]]:
        """Every leaf under the newest head, decoded, in order.

        Raises:
            LedgerDamaged: one can't be read.
        """
        number, until = 0, self._head.size
        with self._entries_file.open("rb") as stream:
            try:
                for offset, data in frames.read(stream):
                    if number >= until:
                        return
                    try:
                        yield decode_leaf(data)
                    except ValueError as error:
                        raise LedgerDamaged(self._entries_file, str(error), offset) from error
                    number += 1
            except BadFrame as error:
                if number < until:
                    raise LedgerDamaged(self._entries_file, error.what, error.offset) from error

    def close(self) -> None:
        """Commit and close the files."""
        try:
            self.commit()
            self._tree.write()
        finally:
            self._release()

    # -- writing ---------------------------------------------------------------------------------------

    def _sign(self, log: bytes) -> None:
        head = Head.sign(self._signing, log, self._tree.size, self._tree.root, _now())
        framed = frames.encode(encode_head(head, self._extent))
        _write(self._heads, framed, self._heads_extent)
        self._heads_extent += len(framed)
        self._head = head
        if self._tree.unwritten >= _TREE_BUFFER:
            # what can't be written stays in memory, and can be made anew
            with contextlib.suppress(OSError):
                self._tree.write()

    def _opened(self, file: Path) -> int:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        self._open.append(descriptor)
        return descriptor

    def _release(self) -> None:
        for descriptor in reversed(self._open):
            os.close(descriptor)
        self._open = []
        if hasattr(self, "_tree"):
            self._tree.close()

    # -- opening -----------------------------------------------------------------------------------------

    def _recover(self) -> None:
        newest = self._newest_head()
        size = os.fstat(self._entries).st_size
        if newest is None:
            if size:
                raise LedgerDamaged(self._heads_file, f"holds no head for {size} bytes of entries")
            self._extent = 0
            self._sign(secrets.token_bytes(LOG_BYTES))
            return
        self._head, extent = newest
        if size < extent:
            raise LedgerDamaged(
                self._entries_file, f"ends here; a head was signed over {extent} bytes", offset=size
            )
        if self._tree.adopt(self._head.size) != self._head.root:
            self._read_all()
        signer = self._take_up(extent, self._signed_by)
        if signer is not None:
            for one in self._path(self._words, signer, self._signing):
                self.append([Leaf.SIGNING, *one.leaf])
            self.commit()
        if self._tree.size != self._head.size:
            # whole leaves that were on the disk before their head was: they count, and get one now
            self._sign(self._head.log)

    def _newest_head(self) -> tuple[Head, int] | None:
        """The newest head; what a crash left of a later one is cut off."""
        size = os.fstat(self._heads).st_size
        with self._heads_file.open("rb") as stream:
            found = frames.last(stream, MAX_HEAD)
            if found is None and size:
                try:
                    for one in frames.read(stream):
                        found = one
                except BadFrame as error:
                    if not error.torn:
                        raise LedgerDamaged(self._heads_file, error.what, error.offset) from error
                    os.ftruncate(self._heads, error.offset)
                    size = error.offset
        self._heads_extent = size
        if found is None:
            return None
        try:
            head, extent = decode_head(found[1])
        except ValueError as error:
            raise LedgerDamaged(self._heads_file, str(error), found[0]) from error
        self._signed_by = self._signer(head)
        if self._signed_by is None:
            raise LedgerDamaged(self._heads_file, "a head that this key did not sign", found[0])
        return head, extent

    def _signer(self, head: Head) -> bytes | None:
        """The raw public key that signed a head: this one's, or one that words lead from to this one."""
        own = self._signing.public_key()
        if head.holds(own):
            return own.public_bytes_raw()
        for word in self._words:
            if head.holds(Ed25519PublicKey.from_public_bytes(word.old)):
                return word.old
        return None

    def _path(self, words: Sequence[Succession], old: bytes, signing: Ed25519PrivateKey) -> list[Succession]:
        path = path_between(words, old, signing.public_key().public_bytes_raw())
        if path is None:
            raise LedgerDamaged(
                self._heads_file, "signed by another key, which did not vouch for the one that is in use now"
            )
        return path

    def _read_all(self) -> None:
        """Make the tree anew from the entries, head by head, so that what does not fit is named."""
        self._tree.clear()
        position = 0
        with self._entries_file.open("rb") as entries, self._heads_file.open("rb") as heads:
            leaves = frames.read(entries)
            try:
                for head, extent in _heads(heads, self._heads_file):
                    begin = position
                    while self._tree.size < head.size and (found := next(leaves, None)) is not None:
                        self._tree.add(merkle.leaf_hash(found[1]))
                        position = found[0] + frames.OVERHEAD + len(found[1])
                    if (self._tree.root, position) != (head.root, extent):
                        what = (
                            f"the bytes up to offset {position} are not what the head over {head.size} covers"
                        )
                        raise LedgerDamaged(self._entries_file, what, begin)
            except BadFrame as error:
                raise LedgerDamaged(self._entries_file, error.what, error.offset) from error

    def _take_up(self, extent: int, signer: bytes | None) -> bytes | None:
        """The leaves behind the newest head, up to the first that a crash cut: nobody was told of it.

        Returns the key that is in use behind them; a head's signer was, before them.
        """
        self._extent = extent
        with self._entries_file.open("rb") as stream:
            try:
                for offset, data in frames.read(stream, extent):
                    leaf = decode_leaf(data)
                    self._tree.add(merkle.leaf_hash(data))
                    self._extent = offset + frames.OVERHEAD + len(data)
                    if leaf[0] == Leaf.SIGNING:
                        signer = leaf[3]
            except (BadFrame, ValueError):
                os.ftruncate(self._entries, self._extent)
        return signer


def _locked(folder: Path) -> int:
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise LedgerDamaged(folder, "in use by another process") from error
            time.sleep(0.05)
        else:
            return descriptor


def _heads(stream: BinaryIO, file: Path) -> Iterator[tuple[Head, int]]:
    try:
        for offset, data in frames.read(stream):
            try:
                yield decode_head(data)
            except ValueError as error:
                raise LedgerDamaged(file, str(error), offset) from error
    except BadFrame as error:
        raise LedgerDamaged(file, error.what, error.offset) from error


def _write(descriptor: int, data: bytes, position: int) -> None:
    """At its place, and durable: what failed halfway is written over when it is tried again."""
    view = memoryview(data)
    while view:
        done = os.pwrite(descriptor, view, position)
        view, position = view[done:], position + done
    os.fdatasync(descriptor)


def _now() -> int:
    return time.time_ns() // 1_000_000
