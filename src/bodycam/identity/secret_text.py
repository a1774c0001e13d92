"""Secrets that the gateway gives out: `<prefix><id>_<52 base32 characters>`, kept as a SHA-256.

The secret part is 256 random bits, which no dictionary reaches, so that a slow hash would only slow us.
"""

import hashlib
import secrets
from typing import Final

from bodycam.model.ids import encode

_MAX_LENGTH: Final = 256
_BYTES: Final = 32


def make(prefix: str, name: str) -> str:
    """A new one for the thing with this id."""
    return f"{prefix}{name}_{encode(secrets.token_bytes(_BYTES))}"


def digest_of(text: str) -> bytes:
    """What is stored of one, whatever somebody sent for it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def name_in(text: str, prefix: str, kind: str) -> str | None:
    """The id, of a `kind` of `ids`, that a text says it is of; None when it is no such secret at all."""
    if not text.startswith(prefix) or len(text) > _MAX_LENGTH:
        return None
    name, _, random = text.removeprefix(prefix).rpartition("_")
    return name if random and name.startswith(f"{kind}_") else None
