"""Keyset pages: an opaque cursor says where the last one ended, and any depth costs the same.

Cursors are encrypted under a key of this process: a position names rows by numbers that count all there are,
which somebody who may see a few of them is not to learn. When the process ends, so do they.
"""

import base64
import binascii
import json
import os
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

T = TypeVar("T")
MAX_LIMIT = 1000
_SEAL: Final = AESSIV(os.urandom(64))
_WIDTH: Final = 24  # characters of a position's number, so that a cursor's length tells nothing of it


class BadCursor(ValueError):
    """A cursor that no page gave out."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some results, and the cursor of the page after them (None at the end)."""

    items: tuple[T, ...]
    next: str | None


def bounded(limit: int) -> int:
    """`limit` within 1 and MAX_LIMIT."""
    return max(1, min(limit, MAX_LIMIT))


def encode(*position: int) -> str:
    """The cursor for a position in an ordering."""
    plain = json.dumps(position).ljust(_WIDTH * len(position)).encode()
    return base64.urlsafe_b64encode(_SEAL.encrypt(plain, None)).decode().rstrip("=")


def decode(cursor: str, parts: int) -> tuple[int, ...]:
    """The position that `encode` made into a cursor of so many parts.

    Raises:
        BadCursor: it is not such a cursor.
    """
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        plain = json.loads(_SEAL.decrypt(sealed, None))
    except (binascii.Error, ValueError, RecursionError, InvalidTag) as error:
        raise BadCursor("the cursor is not one that this server gave out") from error
    fits = isinstance(plain, list) and len(plain) == parts
    if not fits or not all(type(part) is int and 0 <= part < 2**63 for part in plain):
        raise BadCursor("the cursor is not one that this server gave out")
    return tuple(plain)
