"""Wrapping a segment's data key to the archivist's public key.

X25519 (RFC 7748) with a fresh ephemeral key, HKDF-SHA256 (RFC 5869) over the shared secret, AES-256-GCM over
the data key. The wrapping key is used once, so its nonce is zero. The worker can make keys and can't read
them back: what it wrote yesterday is closed to whoever takes the worker over today.
"""

import hashlib
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_PURPOSE = b"bodycam journal segment key v1"
_NONCE = bytes(12)


Opener = X25519PrivateKey | Callable[[bytes], X25519PrivateKey | None]
"""A private key, or what gives the one of a public key's fingerprint."""


class KeyNotUnwrapped(ValueError):
    """The private key at hand does not open this wrapped key."""


def fingerprint(recipient: X25519PublicKey) -> bytes:
    """Eight bytes that name a public key in a header."""
    return hashlib.sha256(recipient.public_bytes_raw()).digest()[:8]


def opener(private: Opener, recipient: bytes) -> X25519PrivateKey | None:
    """The private key of the public key with that fingerprint, if it is at hand."""
    if not isinstance(private, X25519PrivateKey):
        return private(recipient)
    return private if fingerprint(private.public_key()) == recipient else None


def wrap(key: bytes, recipient: X25519PublicKey, context: bytes) -> bytes:
    """Wrap a 32-byte data key for `recipient`, bound to `context`: 80 bytes."""
    ephemeral = X25519PrivateKey.generate()
    public = ephemeral.public_key().public_bytes_raw()
    wrapping = _derive(ephemeral.exchange(recipient), public, recipient)
    return public + AESGCM(wrapping).encrypt(_NONCE, key, context)


def unwrap(sealed: bytes, private: X25519PrivateKey, context: bytes) -> bytes:
    """The data key that `wrap` wrapped.

    Raises:
        KeyNotUnwrapped: made for another key, bound to another context, or damaged.
    """
    public = sealed[:32]
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
        return AESGCM(_derive(shared, public, private.public_key())).decrypt(_NONCE, sealed[32:], context)
    except (InvalidTag, ValueError) as error:
        raise KeyNotUnwrapped("its data key does not open with this private key") from error


def _derive(shared: bytes, ephemeral: bytes, recipient: X25519PublicKey) -> bytes:
    salt = ephemeral + recipient.public_bytes_raw()
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=_PURPOSE).derive(shared)
