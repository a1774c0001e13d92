"""The ledger: an append-only Merkle log of what was opened, sealed, viewed and administered.

`entries` holds the leaves, each behind a 32-bit length; `heads` holds signed tree heads, likewise. Leaves
carry random ids and salted hashes, no names. The layout is in `docs/recording-format.md`.
"""

import fcntl
import hashlib
import os
import secrets
import struct
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bodycam.archive import merkle

_CONTEXT = b"bodycam ledger head v1\0"
_LENGTH = struct.Struct(">I")
MAX_LEAF = 4096
_CACHE = 12
"""Subtrees of 2^12 leaves are hashed once and kept, so that a proof in a long ledger stays cheap."""


class LedgerDamaged(Exception):
    """The ledger's files are not what was written; the text names file and offset."""


class Leaf(IntEnum):
    """The kinds of leaf; numbers are part of the format."""

    OPENED = 1  # [1, ms, session, incarnation, opening number]
    HEAD = 2  # [2, ms, session, blocks, chain head]
    SEALED = 3  # [3, ms, session, root]
    ADMIN = 4  # [4, ms, salted hash]
    DELETED = 5  # [5, ms, session, salted hash]
    VIEWED = 6  # [6, ms, session, salted hash]


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head: the root over the first `size` leaves of the log `log`, at `at` (Unix milliseconds)."""

    log: bytes
    size: int
    root: bytes
    at: int
    signature: bytes

    def signed(self) -> bytes:
        """The bytes that the signature is over."""
        return _CONTEXT + cbor2.dumps([self.log, self.size, self.root, self.at], canonical=True)

    def holds(self, key: Ed25519PublicKey) -> bool:
        """Whether the signature is that of `key`."""
        try:
            key.verify(self.signature, self.signed())
        except InvalidSignature:
            return False
        return True

    def to_plain(self) -> dict[str, Any]:
        """As JSON: bytes in hexadecimal."""
        return {
            "log": self.log.hex(),
            "size": self.size,
            "root": self.root.hex(),
            "at": self.at,
            "signature": self.signature.hex(),
        }

    @classmethod
    def from_plain(cls, plain: Any) -> "Head":
        """The head that `to_plain` wrote.

        Raises:
            ValueError: it is not one.
        """
        try:
            return cls(
                bytes.fromhex(plain["log"]),
                int(plain["size"]),
                bytes.fromhex(plain["root"]),
                int(plain["at"]),
                bytes.fromhex(plain["signature"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a signed head: {error}") from error


def salted(*parts: str, salt: bytes) -> bytes:
    """The salted hash that a leaf holds of something with names in it: SHA-256 over salt and CBOR."""
    return hashlib.sha256(salt + cbor2.dumps(list(parts), canonical=True)).digest()


def new_salt() -> bytes:
    """A salt, to be kept beside the details, and lost with them."""
    return secrets.token_bytes(16)


def read_frames(stream: BinaryIO, file: Path, limit: int) -> Iterator[tuple[int, bytes]]:
    """`(offset, data)` of each whole frame; ends quietly where the last one is cut off.

    Raises:
        LedgerDamaged: a length that no frame has.
    """
    offset = 0
    while len(head := stream.read(_LENGTH.size)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(head)
        if not 0 < length <= limit:
            raise LedgerDamaged(f"{file}: at offset {offset}: a length of {length} bytes")
        data = stream.read(length)
        if len(data) < length:
            return
        yield offset, data
        offset += _LENGTH.size + length


def decode_head(data: bytes) -> Head:
    """A head as the file `heads` holds it.

    Raises:
        ValueError: it is not one.
    """
    try:
        log, size, root, at, signature = cbor2.loads(data)
        if not (isinstance(size, int) and isinstance(at, int)):
            raise ValueError("numbers expected")
        return Head(bytes(log), size, bytes(root), at, bytes(signature))
    except (cbor2.CBORDecodeError, ValueError, TypeError) as error:
        raise ValueError(f"not a signed head: {error}") from error


class Ledger:
    """The log, open for appending by this process alone.

    Appended leaves count once `commit` has brought them to the disk and signed a head over them.
    """

    def __init__(self, folder: Path, signing: Ed25519PrivateKey) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder, self._signing = folder, signing
        self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise LedgerDamaged(f"{folder} is in use by another process") from error
        self._frontier = merkle.Frontier()
        self._hashes = bytearray()  # 32 bytes a leaf
        self._complete: dict[tuple[int, int], bytes] = {}
        self._pending: list[bytes] = []
        try:
            self._log, self._head, keep = self._recover()
        except BaseException:
            os.close(self._lock)
            raise
        self._entries: BinaryIO = (folder / "entries").open("ab")
        if self._entries.tell() != keep:
            # a crash in mid-write: what was never under a head never was
            self._entries.truncate(keep)
        self._heads: BinaryIO = (folder / "heads").open("ab")

    @property
    def log(self) -> bytes:
        """This log's random name."""
        return self._log

    @property
    def size(self) -> int:
        """How many leaves are under the newest head."""
        return self._head.size

    def append(self, leaf: Sequence[Any]) -> None:
        """Add a leaf, `[kind, ...]`; the time in milliseconds is put behind the kind."""
        kind, *rest = leaf
        data = cbor2.dumps([int(kind), time.time_ns() // 1_000_000, *rest])
        if len(data) > MAX_LEAF:
            raise ValueError(f"a leaf of {len(data)} bytes is over {MAX_LEAF}")
        self._pending.append(data)

    def commit(self) -> Head:
        """Bring what was appended to the disk and sign a head over it.

        Raises:
            OSError: it can't be written; the leaves stay pending.
        """
        if not self._pending:
            return self._head
        start = self._entries.tell()
        try:
            self._entries.write(b"".join(_LENGTH.pack(len(leaf)) + leaf for leaf in self._pending))
            self._entries.flush()
            os.fdatasync(self._entries.fileno())
        except OSError:
            self._entries = self._reopen("entries", start)
            raise
        for leaf in self._pending:
            digest = merkle.leaf_hash(leaf)
            self._frontier.add(digest)
            self._hashes += digest
        self._pending = []
        return self._sign()

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
        return merkle.consistency_proof(first, second, self._subtree)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that leaf `index` is under the head over `size` leaves.

        Raises:
            ValueError: there is no such leaf or head.
        """
        if size > self._head.size:
            raise ValueError(f"the ledger has {self._head.size} leaves")
        return merkle.inclusion_proof(index, size, self._subtree)

    def leaves(self) -> Iterator[list[Any]]:
        """Every leaf under the newest head, decoded, in order."""
        with (self._folder / "entries").open("rb") as stream:
            for number, (_, data) in enumerate(read_frames(stream, self._folder / "entries", MAX_LEAF)):
                if number >= self._head.size:
                    return
                yield cbor2.loads(data)

    def close(self) -> None:
        """Commit and close the files."""
        try:
            self.commit()
        finally:
            self._entries.close()
            self._heads.close()
            os.close(self._lock)

    def _sign(self) -> Head:
        unsigned = Head(self._log, self._frontier.size, self._frontier.root, time.time_ns() // 1_000_000, b"")
        signature = self._signing.sign(unsigned.signed())
        head = Head(unsigned.log, unsigned.size, unsigned.root, unsigned.at, signature)
        data = cbor2.dumps([head.log, head.size, head.root, head.at, head.signature])
        start = self._heads.tell()
        try:
            self._heads.write(_LENGTH.pack(len(data)) + data)
            self._heads.flush()
            os.fdatasync(self._heads.fileno())
        except OSError:
            self._heads = self._reopen("heads", start)
            raise
        self._head = head
        return head

    def _reopen(self, name: str, size: int) -> BinaryIO:
        """Take back what a failed write left, so that the next one begins where this one did."""
        os.truncate(self._folder / name, size)
        return (self._folder / name).open("ab")

    def _subtree(self, begin: int, end: int) -> bytes:
        size = end - begin
        if size == 1:
            return self._leaf(begin)
        if size & (size - 1) or begin % size or size < 1 << _CACHE:
            if size <= 1 << _CACHE:
                return merkle.root(map(self._leaf, range(begin, end)))
            split = 1 << ((size - 1).bit_length() - 1)
            return merkle.node_hash(self._subtree(begin, begin + split), self._subtree(begin + split, end))
        if (begin, end) not in self._complete:
            half = size // 2
            self._complete[begin, end] = (
                merkle.root(map(self._leaf, range(begin, end)))
                if size == 1 << _CACHE
                else merkle.node_hash(self._subtree(begin, begin + half), self._subtree(begin + half, end))
            )
        return self._complete[begin, end]

    def _leaf(self, index: int) -> bytes:
        return bytes(self._hashes[index * 32 : index * 32 + 32])

    def _recover(self) -> tuple[bytes, Head, int]:
        """Read both files back; returns the log's name, the newest head and how much of `entries` to keep."""
        heads = self._read_heads()
        entries = self._folder / "entries"
        keep = 0
        newest = heads[-1] if heads else None
        expected = {head.size: head for head in heads}
        if entries.exists():
            with entries.open("rb") as stream:
                for offset, data in self._whole_leaves(stream, entries, newest):
                    digest = merkle.leaf_hash(data)
                    self._frontier.add(digest)
                    self._hashes += digest
                    keep = offset + _LENGTH.size + len(data)
                    head = expected.get(self._frontier.size)
                    if head is not None and head.root != self._frontier.root:
                        raise LedgerDamaged(
                            f"{entries}: the leaves up to offset {keep} have another root than their head"
                        )
        if newest is not None and self._frontier.size < newest.size:
            raise LedgerDamaged(
                f"{entries} ends at offset {keep} after {self._frontier.size} leaves; "
                f"a head was signed over {newest.size}"
            )
        if newest is None:
            if self._frontier.size:
                raise LedgerDamaged(f"{self._folder / 'heads'} has no head for {self._frontier.size} leaves")
            return self._begin()
        if self._frontier.size > newest.size:
            # whole leaves that were synced before their head was: they count, and get one now
            self._log, self._head = newest.log, newest
            self._heads = (self._folder / "heads").open("ab")
            newest = self._sign()
            self._heads.close()
        return newest.log, newest, keep

    def _whole_leaves(
        self, stream: BinaryIO, entries: Path, newest: Head | None
    ) -> Iterator[tuple[int, bytes]]:
        """The leaves, up to what a power loss left behind the newest head without its bytes."""
        covered = 0 if newest is None else newest.size
        frames = read_frames(stream, entries, MAX_LEAF)
        while True:
            try:
                found = next(frames, None)
                if found is None:
                    return
                if self._frontier.size >= covered:
                    cbor2.loads(found[1])
            except (LedgerDamaged, cbor2.CBORDecodeError):
                if self._frontier.size < covered:
                    raise
                return
            yield found

    def _begin(self) -> tuple[bytes, Head, int]:
        self._log = secrets.token_bytes(16)
        self._heads = (self._folder / "heads").open("ab")
        head = self._sign()
        self._heads.close()
        return self._log, head, 0

    def _read_heads(self) -> list[Head]:
        file = self._folder / "heads"
        if not file.exists():
            return []
        heads: list[Head] = []
        end = 0
        public = self._signing.public_key()
        with file.open("rb") as stream:
            for offset, data in read_frames(stream, file, MAX_LEAF):
                try:
                    head = decode_head(data)
                except ValueError as error:
                    raise LedgerDamaged(f"{file}: at offset {offset}: {error}") from error
                if not head.holds(public):
                    raise LedgerDamaged(f"{file}: at offset {offset}: a head that this key did not sign")
                heads.append(head)
                end = offset + _LENGTH.size + len(data)
        if end != file.stat().st_size:
            os.truncate(file, end)
        return heads
