"""Signing keys that follow one another: each one's word for the next, and the chain that they make.

The words are in the file `signing-keys` beside the public keys, where a rotation puts them, and in leaves of
the ledger, where they count: from such a leaf on, heads are the new key's.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bodycam.archive import frames
from bodycam.archive.frames import BadFrame

FILE = "signing-keys"
KEY_BYTES, SIGNATURE_BYTES = 32, 64
_CONTEXT = b"bodycam signing key v1\0"


@dataclass(frozen=True, slots=True)
class Succession:
    """The word of a signing key for the one that takes its place; keys are raw public keys."""

    old: bytes
    new: bytes
    signature: bytes

    @classmethod
    def by(cls, old: Ed25519PrivateKey, new: Ed25519PublicKey) -> Self:
        """The old key's word for the new one."""
        mine, theirs = old.public_key().public_bytes_raw(), new.public_bytes_raw()
        return cls(mine, theirs, old.sign(_CONTEXT + mine + theirs))

    @property
    def holds(self) -> bool:
        """Whether it is the old key's word."""
        try:
            Ed25519PublicKey.from_public_bytes(self.old).verify(
                self.signature, _CONTEXT + self.old + self.new
            )
        except (InvalidSignature, ValueError):
            return False
        return self.old != self.new

    def to_plain(self) -> dict[str, str]:
        """As JSON: bytes in hexadecimal."""
        return {"old": self.old.hex(), "new": self.new.hex(), "signature": self.signature.hex()}

    @classmethod
    def from_plain(cls, plain: Any) -> Self:
        """What `to_plain` wrote.

        Raises:
            ValueError: it is not that.
        """
        try:
            return cls(*(bytes.fromhex(plain[name]) for name in ("old", "new", "signature")))
        except (KeyError, TypeError) as error:
            raise ValueError("not a signing key's word for another") from error

    @property
    def leaf(self) -> list[Any]:
        """What a leaf of the ledger says of it, behind its kind."""
        return [self.old, self.new, self.signature]


def add_succession(public: Path, one: Succession) -> None:
    """Write a key's word down, durably.

    Raises:
        OSError: it can't be written.
    """
    descriptor = os.open(public / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    with os.fdopen(descriptor, "ab") as stream:
        stream.write(frames.encode(cbor2.dumps(one.leaf)))
        stream.flush()
        os.fsync(stream.fileno())


def successions(public: Path) -> list[Succession]:
    """The words in a folder of public keys that hold; what a crash left half written is passed over."""
    found = list[Succession]()
    try:
        stream = (public / FILE).open("rb")
    except FileNotFoundError:
        return found
    with stream:
        start: int | None = 0
        while start is not None:
            try:
                for _, data in frames.read(stream, start):
                    match cbor2.loads(data):
                        case [bytes(old), bytes(new), bytes(signature)]:
                            one = Succession(old, new, signature)
                            if one.holds:
                                found.append(one)
                start = None
            except BadFrame as error:
                start = error.behind
            except cbor2.CBORDecodeError:
                start = None
    return found


def path_between(words: Iterable[Succession], old: bytes, new: bytes) -> list[Succession] | None:
    """The words that lead from one key to another, in order; None if none do."""
    known = {one.new: one for one in words}
    path, at = list[Succession](), new
    while at != old:
        one = known.pop(at, None)
        if one is None:
            return None
        path.append(one)
        at = one.old
    return path[::-1]


class KeyChain:
    """The signing keys of one ledger, in order; the first is known, each vouched for the one after it."""

    def __init__(self, first: Ed25519PublicKey) -> None:
        self.keys = [first]
        self.words: list[Succession] = []

    @property
    def current(self) -> Ed25519PublicKey:
        """The key of the heads that come."""
        return self.keys[-1]

    def follow(self, fields: Sequence[bytes]) -> str | None:
        """Take a leaf's word for a new key; returns what is wrong with it."""
        one = Succession(*fields)
        if one.old != self.current.public_bytes_raw():
            return "a new signing key that another key than the one in use vouches for"
        if not one.holds:
            return "a new signing key that the one before it did not vouch for"
        if any(one.new == key.public_bytes_raw() for key in self.keys):
            return "a signing key that was replaced before"
        self.words.append(one)
        self.keys.append(Ed25519PublicKey.from_public_bytes(one.new))
        return None

    def has(self, key: Ed25519PublicKey) -> bool:
        """Whether a key is one of them."""
        return any(key.public_bytes_raw() == one.public_bytes_raw() for one in self.keys)
