"""The leaves of the ledger: what happened, without names."""

import hashlib
import json
import secrets
from enum import IntEnum
from typing import Any

import cbor2

from bodycam.archive.succession import KEY_BYTES, SIGNATURE_BYTES

MAX_LEAF = 4096
SESSION_BYTES = WORKER_BYTES = 16
HASH_BYTES = 32
_MAX_NUMBER = 2**63


class Leaf(IntEnum):
    """The kinds of leaf; numbers are part of the format. `ms` is Unix milliseconds."""

    OPENED = 1  # [1, ms, session, incarnation, opening number]
    HEAD = 2  # [2, ms, session, blocks, chain head]
    SEALED = 3  # [3, ms, session, root]
    ADMIN = 4  # [4, ms, salted hash]
    DELETED = 5  # [5, ms, session, salted hash]
    VIEWED = 6  # [6, ms, session, salted hash]
    SIGNING = 7  # [7, ms, old public key, new public key, the old key's signature]
    REDACTED = 8  # [8, ms, session, old root, new root, salted hash]


_SHAPES: dict[int, tuple[type | int, ...]] = {
    # a number is the length of a byte string
    Leaf.OPENED: (SESSION_BYTES, WORKER_BYTES, int),
    Leaf.HEAD: (SESSION_BYTES, int, HASH_BYTES),
    Leaf.SEALED: (SESSION_BYTES, HASH_BYTES),
    Leaf.ADMIN: (HASH_BYTES,),
    Leaf.DELETED: (SESSION_BYTES, HASH_BYTES),
    Leaf.VIEWED: (SESSION_BYTES, HASH_BYTES),
    Leaf.REDACTED: (SESSION_BYTES, HASH_BYTES, HASH_BYTES, HASH_BYTES),
    Leaf.SIGNING: (KEY_BYTES, KEY_BYTES, SIGNATURE_BYTES),
}


def decode_leaf(data: bytes) -> list[Any]:
    """A leaf as a list, its kind first and its time second.

    Raises:
        ValueError: it is none of these kinds, or not of its kind's shape.
    """
    try:
        leaf = cbor2.loads(data)
    except Exception as error:  # a decoder of what may be damaged: whatever it trips over, it is no leaf
        raise ValueError(f"not a leaf: {error}") from error
    if not isinstance(leaf, list) or len(leaf) < 2 or not all(isinstance(n, int) for n in leaf[:2]):
        raise ValueError("not a leaf: no kind and time")
    shape = _SHAPES.get(leaf[0])
    if shape is None:
        raise ValueError(f"not a leaf: its kind is {leaf[0]}")
    fields = leaf[2:]
    if len(fields) != len(shape) or not all(map(_fits, fields, shape)):
        raise ValueError(f"not a leaf of kind {Leaf(leaf[0]).name.lower()}")
    return leaf


def _fits(value: Any, shape: type | int) -> bool:
    if shape is int:
        return isinstance(value, int) and 0 <= value < _MAX_NUMBER
    return isinstance(value, bytes) and len(value) == shape


def salted(*parts: str, salt: bytes) -> bytes:
    """The salted hash that a leaf holds of something with names in it: SHA-256 over salt and CBOR."""
    return hashlib.sha256(salt + cbor2.dumps(list(parts), canonical=True)).digest()


def detail_text(detail: Any) -> str:
    """The details of an act as the text that is hashed: JSON with sorted keys."""
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), default=str)


def new_salt() -> bytes:
    """A salt, to be kept beside the details, and lost with them."""
    return secrets.token_bytes(16)
