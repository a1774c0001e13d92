"""The signing keys that count in one bundle: the one it is verified with, and those tied to it by their word.

A key's word for the one after it is the old key's own signature, so that it holds wherever it stands. A key
that came before is believed only through the ledger: anybody can make a key that vouches for another.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bodycam.archive import frames
from bodycam.archive.evidence import bundle
from bodycam.archive.evidence.dsse import Envelope
from bodycam.archive.evidence.opened import OpenedBundle
from bodycam.archive.format import v1
from bodycam.archive.frames import BadFrame
from bodycam.archive.head import Head
from bodycam.archive.leaf import Leaf, decode_leaf
from bodycam.archive.succession import Succession, path_between

MOST_WORDS: Final = 1000
_SIGNING: Final = bytes([Leaf.SIGNING])  # the second byte of such a leaf's CBOR


class Signers:
    """The keys; `anchor` is the one that was given. `words` are all that the bundle has, proved or not."""

    def __init__(self, anchor: Ed25519PublicKey, words: Iterable[Succession] = ()) -> None:
        self.anchor = anchor
        self._keys = {anchor.public_bytes_raw(): anchor}
        following = {one.old: one for one in words if one.holds}
        at = anchor.public_bytes_raw()
        while (one := following.pop(at, None)) is not None:
            at = one.new
            self._keys[at] = Ed25519PublicKey.from_public_bytes(at)

    def proved(self, leaves: Mapping[int, list[Any]]) -> None:
        """Take the keys before the anchor too, from leaves that were proved under a head of these keys."""
        words = [Succession(*leaf[2:]) for _, leaf in sorted(leaves.items())]
        if not words:
            return
        first = words[0].old
        path = path_between([one for one in words if one.holds], first, self.anchor.public_bytes_raw())
        for one in path or ():
            self._keys[one.old] = Ed25519PublicKey.from_public_bytes(one.old)

    def has(self, key: Ed25519PublicKey) -> bool:
        """Whether a key counts."""
        return key.public_bytes_raw() in self._keys

    def signed_head(self, head: Head) -> bool:
        """Whether a head is signed by one of them."""
        return any(head.holds(key) for key in self._keys.values())

    def signed_envelope(self, envelope: Envelope) -> bool:
        """Whether an envelope is."""
        return any(envelope.holds(key) for key in self._keys.values())

    def signed_manifest(self, signature: bytes, manifest: bytes) -> bool:
        """Whether a recording's manifest is."""
        return any(v1.holds(signature, manifest, key) for key in self._keys.values())


def words_in(opened: OpenedBundle) -> list[Succession]:
    """Every word for another key that stands in a bundle; what can't be read is for others to say."""
    found = list[Succession]()
    for data in _leaves(opened):
        if data[1:2] == _SIGNING and len(found) < MOST_WORDS:
            try:
                leaf = decode_leaf(data)
            except ValueError:
                continue
            if leaf[0] == Leaf.SIGNING:
                found.append(Succession(*leaf[2:]))
    return found


def _leaves(opened: OpenedBundle) -> Iterator[bytes]:
    try:
        for _, data in frames.of_pieces(opened.pieces(bundle.SECTION)):
            yield data
    except (BadFrame, ValueError, LookupError):
        pass
    try:
        for one in opened.lines(bundle.LEAVES):
            yield bytes.fromhex(one["leaf"])
    except (KeyError, TypeError, ValueError, LookupError):
        pass
