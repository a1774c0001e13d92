"""The ledger's tree on disk: the hash of every complete subtree, so that opening and proving stay cheap.

The file is derived and can be made anew from the entries. Subtrees are written in the order in which they
become complete: a leaf's hash, then every inner node that it completes. Before leaf `i` stand `2i - ones(i)`
hashes, where ones(i) counts the bits set in i, so every subtree's place is known without an index.
"""

import os
from pathlib import Path

from bodycam.archive import merkle

_HASH = 32


class TreeFile:
    """A growing Merkle tree, kept in a file; whoever opens it checks the root before trusting it."""

    def __init__(self, file: Path) -> None:
        self._fd = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        self._written = 0  # hashes in the file that count
        self._fresh = bytearray()  # and those behind them, not written yet
        self.size = 0
        self._peaks: list[bytes] = []

    def adopt(self, size: int) -> bytes | None:
        """Take what the file holds as the tree of `size` leaves; returns its root, None if it holds less."""
        nodes = _before(size)
        if os.fstat(self._fd).st_size < nodes * _HASH:
            return None
        self.size, self._written, self._fresh = size, nodes, bytearray()
        self._peaks, begin = [], 0
        for height in reversed(range(size.bit_length())):
            if size >> height & 1:
                begin += 1 << height
                self._peaks.append(self._node(_before(begin - 1) + height))
        return self.root

    def clear(self) -> None:
        """Begin with the empty tree."""
        self.size, self._written, self._fresh, self._peaks = 0, 0, bytearray(), []

    def add(self, digest: bytes) -> None:
        """Append the hash of a leaf."""
        self._fresh += digest
        rest = self.size
        while rest & 1:
            digest = merkle.node_hash(self._peaks.pop(), digest)
            self._fresh += digest
            rest >>= 1
        self._peaks.append(digest)
        self.size += 1

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        return merkle.fold(self._peaks)

    @property
    def unwritten(self) -> int:
        """Bytes that `write` has still to bring to the file."""
        return len(self._fresh)

    def write(self) -> None:
        """Bring what is new to the file; it need not be durable.

        Raises:
            OSError: it can't be written; it stays in memory.
        """
        view, position = memoryview(self._fresh), self._written * _HASH
        while view:
            done = os.pwrite(self._fd, view, position)
            view, position = view[done:], position + done
        view.release()
        self._written += len(self._fresh) // _HASH
        self._fresh = bytearray()

    def subtree(self, begin: int, end: int) -> bytes:
        """The root over the leaves in a range whose begin is a multiple of its greatest power of two."""
        size = end - begin
        height = size.bit_length() - 1
        if size == 1 << height:
            return self._node(_before(end - 1) + height)
        split = begin + (1 << height)
        return merkle.node_hash(self.subtree(begin, split), self.subtree(split, end))

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _node(self, index: int) -> bytes:
        if index >= self._written:
            begin = (index - self._written) * _HASH
            return bytes(self._fresh[begin : begin + _HASH])
        return os.pread(self._fd, _HASH, index * _HASH)


def _before(leaf: int) -> int:
    """How many hashes stand before that of leaf `leaf`."""
    return 2 * leaf - leaf.bit_count()
