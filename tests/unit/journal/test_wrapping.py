"""Data keys open for their recipient in their place and for nobody else."""

import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.journal.wrapping import KeyNotUnwrapped, fingerprint, unwrap, wrap


def test_the_recipient_gets_the_key_back(private: X25519PrivateKey) -> None:
    key = os.urandom(32)
    sealed = wrap(key, private.public_key(), b"here")
    assert len(sealed) == 80
    assert unwrap(sealed, private, b"here") == key
    assert wrap(key, private.public_key(), b"here") != sealed


def test_nobody_else_and_nowhere_else(private: X25519PrivateKey) -> None:
    sealed = wrap(os.urandom(32), private.public_key(), b"here")
    with pytest.raises(KeyNotUnwrapped):
        unwrap(sealed, X25519PrivateKey.generate(), b"here")
    with pytest.raises(KeyNotUnwrapped):
        unwrap(sealed, private, b"there")


def test_every_byte_counts(private: X25519PrivateKey) -> None:
    sealed = wrap(os.urandom(32), private.public_key(), b"")
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1
        with pytest.raises(KeyNotUnwrapped):
            unwrap(bytes(changed), private, b"")
    # the point at infinity gives everybody the same secret; it is refused
    with pytest.raises(KeyNotUnwrapped):
        unwrap(bytes(32) + sealed[32:], private, b"")


def test_a_fingerprint_names_a_key(private: X25519PrivateKey) -> None:
    assert fingerprint(private.public_key()) == fingerprint(private.public_key())
    assert fingerprint(private.public_key()) != fingerprint(X25519PrivateKey.generate().public_key())
