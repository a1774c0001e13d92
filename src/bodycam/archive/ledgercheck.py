"""Verification of the ledger: its leaves, the signed heads over them, and a head that was kept outside."""

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive import frames, merkle
from bodycam.archive.findings import Findings
from bodycam.archive.frames import BadFrame
from bodycam.archive.head import MAX_HEAD, Head, decode_head
from bodycam.archive.kept import KeptHead
from bodycam.archive.leaf import Leaf, decode_leaf
from bodycam.archive.story import Story
from bodycam.archive.succession import KeyChain
from bodycam.model import ids

PATIENCE = 2.0
"""Seconds that a head may take to be written."""
_SIGNING = bytes([Leaf.SIGNING])  # the second byte of such a leaf's CBOR


class LedgerCheck:
    """Reads a ledger head by head, and later what was added meanwhile.

    Leaves are taken only when a head covers them; after damage, reading goes on at the next place that can be
    known, so that one bad byte is one finding.
    """

    def __init__(
        self,
        folder: Path,
        key: Ed25519PublicKey,
        kept: Sequence[KeptHead],
        story: Story,
        findings: Findings,
    ) -> None:
        self._entries, self._heads = folder / "entries", folder / "heads"
        self._lock, self._kept = folder / "lock", kept
        self.chain = KeyChain(self._first_key(key))
        if not self.chain.has(key):
            # it came into use later: what stands before it, its own heads cover
            self._wanted: Ed25519PublicKey | None = key
        else:
            self._wanted = None
        self._story, self._findings = story, findings
        self._tree = merkle.Frontier()
        self._whole = True  # whether the tree is still worth comparing
        self._position = self._heads_position = 0
        self._stopped = False
        self._kept_at: dict[int, list[KeptHead]] = {}
        for one in kept:
            self._kept_at.setdefault(one.head.size, []).append(one)
        self._met = set[str]()
        self.leaves = self.heads = 0
        self.newest: Head | None = None

    def advance(self) -> None:
        """Read all heads that are there and the leaves that they cover."""
        try:
            with self._heads.open("rb") as heads, self._entries.open("rb") as entries:
                while not self._stopped and self._next_head(heads, entries):
                    pass
        except OSError as error:
            self._stopped = True
            self._findings.add(str(error.filename or self._heads), f"can't be read: {error.strerror}")

    def finish(self) -> None:
        """Say what only the end shows: nothing signed, a cut ledger, bytes that no head covers."""
        if self._stopped:
            pass
        elif self._being_written():
            self._settle()
        else:
            self._check_rest()
        if self._wanted is not None and not self.chain.has(self._wanted):
            self._findings.add(
                str(self._entries), "no signing key of this ledger leads to the key that it is verified with"
            )
        if self.newest is None:
            if not self._stopped:
                self._findings.add(str(self._heads), "holds no signed head")
        else:
            for one in self._kept:
                self._check_kept(one, self.newest)

    def _settle(self) -> None:
        """A head that is being written is whole in a moment, or never was one."""
        deadline = time.monotonic() + PATIENCE
        while not self._stopped and self._heads.stat().st_size > self._heads_position:
            if time.monotonic() > deadline:
                where = f"{self._heads}: at offset {self._heads_position}"
                self._findings.add(where, "bytes that are no whole head")
                return
            time.sleep(0.05)
            self.advance()

    def _check_rest(self) -> None:
        for file, position in ((self._heads, self._heads_position), (self._entries, self._position)):
            size = file.stat().st_size
            if size > position:
                self._findings.add(
                    f"{file}: at offset {position}",
                    f"{size - position} bytes that no signed head covers: the archivist died while it wrote "
                    "them and settles them when it starts, or something was cut off or added",
                )

    def _next_head(self, heads: BinaryIO, entries: BinaryIO) -> bool:
        try:
            found = next(frames.read(heads, self._heads_position), None)
        except BadFrame as error:
            if error.torn and self._heads.stat().st_size - error.offset <= frames.OVERHEAD + MAX_HEAD:
                return False
            self._findings.add(f"{self._heads}: at offset {error.offset}", error.what)
            self._stopped = error.behind is None
            self._heads_position = error.behind or error.offset
            return error.behind is not None
        if found is None:
            return False
        offset, data = found
        self._heads_position = offset + frames.OVERHEAD + len(data)
        self.heads += 1
        if (head := self._head(f"{self._heads}: at offset {offset}", data)) is not None:
            self._cover(entries, *head)
            self.newest = head[0]
        return True

    def _head(self, where: str, data: bytes) -> tuple[Head, int] | None:
        try:
            head, extent = decode_head(data)
        except ValueError as error:
            self._findings.add(where, str(error))
            return None
        if not head.holds(self.chain.current) and (wrong := self._after(head, extent)) is not None:
            self._findings.add(where, wrong)
            return None
        if self.newest is not None and (head.log != self.newest.log or head.size <= self.newest.size):
            self._findings.add(where, "a head of another log, or one that goes back")
            return None
        return head, extent

    def _first_key(self, key: Ed25519PublicKey) -> Ed25519PublicKey:
        """The key that the ledger began with, where leaves say that this one came later; else this one."""
        try:
            with self._heads.open("rb") as heads:
                first, _ = decode_head(next(frames.read(heads))[1])
            if first.holds(key):
                return key
            with self._entries.open("rb") as entries:
                for _, data in frames.read(entries):
                    if data[1:2] == _SIGNING and (leaf := decode_leaf(data))[0] == Leaf.SIGNING:
                        old = Ed25519PublicKey.from_public_bytes(leaf[2])
                        return old if first.holds(old) else key
        except (OSError, StopIteration, ValueError, BadFrame):
            pass  # what is wrong is found when it is read in its order
        return key

    def _after(self, head: Head, extent: int) -> str | None:
        """What is wrong with a head that the key in use did not sign.

        Nothing is, if it is signed by the key that leaves which only it covers bring into use.
        """
        wrong = "a head that this key did not sign"
        ahead = KeyChain(self.chain.current)
        ahead.keys = list(self.chain.keys)
        try:
            with self._entries.open("rb") as entries:
                for offset, data in frames.read(entries, self._position):
                    if offset >= extent:
                        break
                    if data[1:2] == _SIGNING and (odd := ahead.follow(decode_leaf(data)[2:])) is not None:
                        return f"{wrong}; it covers {odd}"
        except (OSError, ValueError, BadFrame):
            return wrong
        return None if head.holds(ahead.current) else wrong

    def _cover(self, entries: BinaryIO, head: Head, extent: int) -> None:
        """Take the leaves up to a head, and compare."""
        begin = self._position
        try:
            self._take(entries, extent)
        except BadFrame as error:
            self._bad(error, head)
            return
        if (
            self._whole
            and not self._stopped
            and (self._tree.size, self._tree.root, self._position) != (head.size, head.root, extent)
        ):
            self._findings.add(
                f"{self._entries}: from offset {begin} to {self._position}",
                f"the leaves do not have the root that was signed over {head.size} leaves",
            )
            self._whole = False
        if not self._stopped and not head.holds(self.chain.current):
            self._findings.add(
                f"{self._heads}: the head over {head.size} leaves",
                "is signed by a key that had been replaced",
            )
        self._position = extent

    def _take(self, entries: BinaryIO, extent: int) -> None:
        while self._position < extent and not self._stopped:
            try:
                for offset, data in frames.read(entries, self._position):
                    self._position = offset + frames.OVERHEAD + len(data)
                    self._leaf(offset, data)
                    if self._position >= extent:
                        return
                self._stopped = True
                self._findings.add(
                    f"{self._entries}: at offset {self._position}",
                    f"the file ends here; a head was signed over {extent} bytes",
                )
            except BadFrame as error:
                if error.behind is None or error.behind > extent:
                    raise
                self._findings.add(f"{self._entries}: at offset {error.offset}", error.what)
                self._whole, self._position = False, error.behind

    def _bad(self, error: BadFrame, head: Head) -> None:
        size = self._entries.stat().st_size
        self._findings.add(
            f"{self._entries}: at offset {error.offset}",
            f"{error.what}; a head was signed over {head.size} leaves, and the file has {size} bytes",
        )
        self._whole = False
        if error.torn:
            self._stopped = True

    def _leaf(self, offset: int, data: bytes) -> None:
        where = f"{self._entries}: at offset {offset}"
        try:
            leaf = decode_leaf(data)
            if leaf[0] == Leaf.SIGNING:
                if (wrong := self.chain.follow(leaf[2:])) is not None:
                    self._findings.add(where, wrong)
            elif (wrong := self._story.leaf(leaf, self.leaves)) is not None:
                self._findings.add(where, f"session {ids.session_id(leaf[2])} {wrong}")
        except (ValueError, OverflowError) as error:
            self._findings.add(where, str(error))
        self.leaves += 1
        self._tree.add(merkle.leaf_hash(data))
        if self._whole and (kept := self._kept_at.get(self._tree.size)):
            root = self._tree.root
            self._met |= {one.where for one in kept if one.head.root == root}

    def _check_kept(self, one: KeptHead, newest: Head) -> None:
        kept, where = one.head, f"the head kept outside, {one.where}"
        if not any(kept.holds(key) for key in self.chain.keys):
            self._findings.add(where, "is not signed by this key")
        elif kept.log != newest.log:
            self._findings.add(where, "is of another ledger")
        elif kept.size > newest.size:
            self._findings.add(
                str(self._entries),
                f"the ledger was cut: a head over {kept.size} leaves was kept ({one.where}), "
                f"{newest.size} are left",
            )
        elif kept.size == 0:
            if kept.root != merkle.EMPTY_ROOT:
                self._findings.add(where, "has another root than an empty ledger")
        elif one.where not in self._met:
            self._findings.add(where, f"has another root over {kept.size} leaves than this ledger")

    def _being_written(self) -> bool:
        """Whether an archivist has the ledger open."""
        try:
            descriptor = os.open(self._lock, os.O_RDONLY)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            return False
        finally:
            os.close(descriptor)
