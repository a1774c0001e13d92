"""Paths of requests: the one form in which they can be compared, and the patterns that select them.

A path that a server may read in two ways (with dots, empty segments, escaped slashes, parameters) is in no
normal form, and no pattern matches it.
"""

import re
from typing import Final, final

MOST_SEGMENTS: Final = 64

# RFC 3986: pchar without ";", which some servers cut off
_PLAIN: Final = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,=:@/-]|%[0-9A-Fa-f]{2})*", re.ASCII)
# most paths are plainly so: segments without escapes of which none begins with a dot
_EASY: Final = re.compile(r"(?:/[A-Za-z0-9_~!$&'()*+,=:@-][A-Za-z0-9._~!$&'()*+,=:@-]*+)*+/?", re.ASCII)
_ESCAPE: Final = re.compile(r"%([0-9A-Fa-f]{2})", re.ASCII)
# what an escape may not hide: control characters, the unreserved ones, and what ends a segment somewhere
_HIDDEN: Final = frozenset(
    [*range(0x20), 0x7F, *b"/\\;%?#-._~", *range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B)]
)


def is_normal(path: str) -> bool:
    """Whether all servers read a path, which is without a query, in the same way."""
    if path and _EASY.fullmatch(path):
        return True
    if not _PLAIN.fullmatch(path):
        return False
    segments = path.split("/")
    if "" in segments[1:-1] or "." in segments or ".." in segments:
        return False
    return not any(int(escape, 16) in _HIDDEN for escape in _ESCAPE.findall(path))


@final
class PathPattern:
    """Paths by their segments: `*` is a segment or, once in it, a part of it; `**` at the end is all below.

    Raises:
        ValueError: the text is no such pattern; the message says what was expected.
    """

    __slots__ = ("deep", "segments", "text")

    def __init__(self, text: str) -> None:
        segments = text.split("/")[1:]
        self.text, self.deep = text, bool(segments) and segments[-1] == "**"
        if self.deep:
            segments.pop()
        if not text.startswith("/") or not is_normal("/" + "/".join(segments)):
            raise ValueError(
                "expected a path in normal form that begins with '/': no '//', '.', '..', ';' or needless "
                "escape"
            )
        if len(segments) > MOST_SEGMENTS or any(segment.count("*") > 1 for segment in segments):
            raise ValueError("expected '*' once in a segment, and '**' as the last segment only")
        self.segments = [segment.partition("*") for segment in segments]

    def matches(self, path: str) -> bool:
        """Whether it stands for a path in normal form, without its query."""
        found = path.split("/")[1:]
        if len(found) <= len(self.segments) if self.deep else len(found) != len(self.segments):
            return False
        for (before, star, after), segment in zip(self.segments, found, strict=False):
            if not star:
                if segment != before:
                    return False
            # a star is for one character at least: an empty segment is another path
            elif len(segment) <= len(before) + len(after) or not (
                segment.startswith(before) and segment.endswith(after)
            ):
                return False
        return True
