"""Keyset pages: an opaque cursor says where the last one ended, and any depth costs the same."""

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_LIMIT = 1000


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
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode().rstrip("=")


def decode(cursor: str, parts: int) -> tuple[int, ...]:
    """The position that `encode` made into a cursor of so many parts.

    Raises:
        BadCursor: it is not such a cursor.
    """
    try:
        plain = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise BadCursor("the cursor is not one that this server gave out") from error
    fits = isinstance(plain, list) and len(plain) == parts
    if not fits or not all(type(part) is int and 0 <= part < 2**63 for part in plain):
        raise BadCursor("the cursor is not one that this server gave out")
    return tuple(plain)
