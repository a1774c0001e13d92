"""The form of a mask: `[bodycam:KIND]`, or `[bodycam:KIND:KEPT]` where a part of the value stays readable.

It holds nothing that has to be escaped in JSON, CSV, COPY text, an array or a composite, and no blank, so
that it is one value wherever it is put.
"""

import re

MARK_START = b"[bodycam:"
_KIND = rb"[A-Za-z0-9][A-Za-z0-9._-]{0,80}"
_KEPT_MOST = 64
MARK = re.compile(rb"\[bodycam:" + _KIND + rb"(?::[A-Za-z0-9.@_+-]{1,64})?\]")
_NOT_KEPT = re.compile(rb"[^A-Za-z0-9.@_+-]+")


def mark(kind: str, kept: bytes = b"") -> bytes:
    """A mask for a value of this kind, with what of it may be read."""
    if kept:
        kept = _NOT_KEPT.sub(b"", kept)[-_KEPT_MOST:]
    return b"[bodycam:%b:%b]" % (kind.encode(), kept) if kept else b"[bodycam:%b]" % kind.encode()


def mask_token_in(text: str | bytes) -> bool:
    """Whether a mask stands anywhere in a text, in any case of its letters.

    A statement or value that holds one would write what was masked over what it stands for.
    """
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    return MARK_START in data or MARK_START in data.lower()
