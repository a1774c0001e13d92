"""Patterns without what they ask of the text around: they find the same, wherever it stands, and more.

So a text can be looked through while it still stands among other things, such as the lengths of a protocol's
messages, which may be letters to `\\b` and no ends of lines to `$`.
"""

import re

# what a backslash, a class or a quotation holds means something else within
_TOKEN = re.compile(
    rb"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?#[^)]*\)|[\^$]", re.DOTALL
)
_ASSERTIONS = frozenset((rb"\b", rb"\B", rb"\A", rb"\z", rb"\Z", rb"\G", b"^", b"$"))
_EXTENDED = re.compile(rb"\(\?[a-zA-Z]*x")


def loosened(pattern: bytes) -> bytes | None:
    """The pattern without assertions; None where it can't be told what is one.

    An empty group takes their place, so that a sign of repetition behind one still repeats nothing.
    """
    if _EXTENDED.search(pattern) and b"#" in pattern:
        # a comment may hold anything
        return None
    return _TOKEN.sub(_without, pattern)


def _without(match: re.Match[bytes]) -> bytes:
    token = match.group()
    return b"(?:)" if token in _ASSERTIONS else token
