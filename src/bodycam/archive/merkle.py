"""The Merkle tree of RFC 9162, section 2: hashing, roots, inclusion and consistency proofs.

https://www.rfc-editor.org/rfc/rfc9162#section-2.1
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf: SHA-256 over a zero byte and the leaf."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node: SHA-256 over a one byte and both children."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Frontier:
    """A growing tree, kept as the roots of its complete subtrees: log2(n) hashes."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[tuple[int, bytes]] = []

    @classmethod
    def resumed(cls, size: int, peaks: Sequence[bytes]) -> "Frontier":
        """The tree of `size` leaves of which these are the roots of its complete subtrees, largest first.

        Raises:
            ValueError: such a tree has another number of them.
        """
        heights = [height for height in reversed(range(size.bit_length())) if size >> height & 1]
        if size < 0 or len(heights) != len(peaks):
            raise ValueError(f"a tree of {size} leaves has {len(heights)} complete subtrees")
        frontier = cls()
        frontier.size, frontier._peaks = size, list(zip(heights, peaks, strict=True))
        return frontier

    def add(self, leaf: bytes) -> None:
        """Append the hash of a leaf."""
        self.size += 1
        height, digest = 0, leaf
        while self._peaks and self._peaks[-1][0] == height:
            digest = node_hash(self._peaks.pop()[1], digest)
            height += 1
        self._peaks.append((height, digest))

    @property
    def root(self) -> bytes:
        """The root over all leaves so far."""
        return fold([digest for _, digest in self._peaks])


def peaks(size: int, subtree: "Subtree") -> list[bytes]:
    """The roots of the complete subtrees of the first `size` leaves, largest first."""
    found, begin = [], 0
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            found.append(subtree(begin, begin + (1 << height)))
            begin += 1 << height
    return found


def root(hashes: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    frontier = Frontier()
    for digest in hashes:
        frontier.add(digest)
    return frontier.root


Subtree = Callable[[int, int], bytes]
"""`(begin, end)` -> the root over the leaf hashes in that range."""


def subtrees(hashes: Sequence[bytes]) -> Subtree:
    """Roots of ranges of a sequence of leaf hashes."""
    return lambda begin, end: root(hashes[begin:end])


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The proof that leaf `index` is in the tree of `size` leaves (RFC 9162, 2.1.3.1).

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    proof = []
    begin, end = 0, size
    while end - begin > 1:
        split = begin + _split(end - begin)
        if index < split:
            proof.append(subtree(split, end))
            end = split
        else:
            proof.append(subtree(begin, split))
            begin = split
    return proof[::-1]


def verify_inclusion(digest: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> bool:
    """Whether the proof ties a leaf's hash to a root (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last = index, size - 1
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            digest = node_hash(sibling, digest)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            digest = node_hash(digest, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and digest == expected


def consistency_proof(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """The proof that the tree of `first` leaves is the beginning of that of `second` (2.1.4.1).

    Raises:
        ValueError: the sizes are not 0 < first <= second.
    """
    if not 0 < first <= second:
        raise ValueError(f"no consistency proof from {first} to {second} leaves")
    proof = []
    begin, end, whole = 0, second, True
    while first != end - begin:
        split = _split(end - begin)
        if first <= split:
            proof.append(subtree(begin + split, end))
            end = begin + split
        else:
            proof.append(subtree(begin, begin + split))
            begin, first, whole = begin + split, first - split, False
    if not whole:
        proof.append(subtree(begin, end))
    return proof[::-1]


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the proof ties an older root to a newer one (RFC 9162, 2.1.4.2)."""
    if first == second:
        return not proof and first_root == second_root
    if not 0 < first < second or not proof:
        return False
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def fold(peaks: Sequence[bytes]) -> bytes:
    """The root over the roots of complete subtrees, largest first."""
    if not peaks:
        return EMPTY_ROOT
    digest = peaks[-1]
    for peak in reversed(peaks[:-1]):
        digest = node_hash(peak, digest)
    return digest
