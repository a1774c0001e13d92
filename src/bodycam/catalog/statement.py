"""A statement's text as the index keeps it, once for all exchanges that hold it."""

import hashlib
from dataclasses import dataclass

SHORT = 400
"""Characters up to which a statement's words are in the documents of the bundles that use it.

Longer ones have one document of their own, lest the words of a long statement are written again and again.
"""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement's text as it is kept, and the digest of the whole of it."""

    digest: bytes
    text: str
    truncated: bool = False

    @property
    def long(self) -> bool:
        """Whether it has a document of its own."""
        return is_long(self.text)


def is_long(text: str) -> bool:
    """Whether a statement of that text has a document of its own."""
    return len(text) > SHORT


def statement_of(text: str, kept: int) -> Statement:
    """The statement of that text, of which `kept` characters are kept."""
    clean = storable(text)
    digest = hashlib.blake2b(clean.encode(), digest_size=16).digest()
    return Statement(digest, clean[:kept], len(clean) > kept)


def storable(text: str) -> str:
    """The text without what PostgreSQL (NUL) or UTF-8 (lone surrogates) can't hold."""
    if "\0" in text:
        text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
