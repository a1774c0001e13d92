"""Signed heads: what the ledger held at a moment, in a form that a user can keep outside and compare."""

from dataclasses import dataclass
from typing import Any

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_CONTEXT = b"bodycam ledger head v1\0"
MAX_HEAD = 256
LOG_BYTES, ROOT_BYTES, SIGNATURE_BYTES = 16, 32, 64
_MAX_NUMBER = 2**63


@dataclass(frozen=True, slots=True)
class Head:
    """A signed head: the root over the first `size` leaves of the log `log`, at `at` (Unix milliseconds)."""

    log: bytes
    size: int
    root: bytes
    at: int
    signature: bytes

    @classmethod
    def sign(cls, key: Ed25519PrivateKey, log: bytes, size: int, root: bytes, at: int) -> "Head":
        """A head with the signature of `key`."""
        return cls(log, size, root, at, key.sign(cls(log, size, root, at, b"").signed()))

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
            parts = (
                bytes.fromhex(plain["log"]),
                plain["size"],
                bytes.fromhex(plain["root"]),
                plain["at"],
                bytes.fromhex(plain["signature"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"not a signed head: {error!r}") from error
        return _checked(parts)


def encode_head(head: Head, extent: int) -> bytes:
    """A head as the file `heads` holds it; `extent` is the size in bytes of the entries that it covers."""
    return cbor2.dumps([head.log, head.size, head.root, head.at, head.signature, extent])


def decode_head(data: bytes) -> tuple[Head, int]:
    """The head and the extent that `encode_head` wrote.

    Raises:
        ValueError: it is not one.
    """
    try:
        *parts, extent = cbor2.loads(data)
    except Exception as error:  # a decoder of what may be damaged: whatever it trips over, it is no head
        raise ValueError(f"not a signed head: {error}") from error
    head = _checked(tuple(parts))
    if type(extent) is not int or encode_head(head, extent) != data:
        raise ValueError("not a signed head in the form that was written")
    return head, extent


def _checked(parts: tuple[Any, ...]) -> Head:
    match parts:
        case (bytes(log), int(size), bytes(root), int(at), bytes(signature)) if (
            (len(log), len(root), len(signature)) == (LOG_BYTES, ROOT_BYTES, SIGNATURE_BYTES)
            and 0 <= size < _MAX_NUMBER
            and 0 <= at < _MAX_NUMBER
        ):
            return Head(log, size, root, at, signature)
        case _:
            raise ValueError("not a signed head: it lacks log, size, root, at or signature")
