"""One pattern of sensitive data: what finds it, what confirms it, what of it may stay readable."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

Span = tuple[int, int]
Confirm = Callable[[bytes], Span | None]
"""Takes what the pattern found; gives the part of it that is the thing itself, or None if it isn't one."""

Keep = Callable[[bytes], bytes]


def whole(found: bytes) -> Span:
    """Confirms everything that the pattern found."""
    return 0, len(found)


def nothing(found: bytes) -> bytes:
    """Keeps nothing readable."""
    return b""


class Coarse(NamedTuple):
    """What a scan over everything looks for; all that `pattern` matches has `run` digits in a row."""

    pattern: bytes
    run: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern that RE2 and hyperscan take; the first of `groups` that took part is what was found.

    `name` is what settings choose it by and what a mask names. `secret` is whether the value is a key or
    token whose keyed fingerprint can't be guessed back to it. `words`, if any, is a pattern of the names that
    the thing goes by, behind which alone it is found. `effort` is what one match costs of the work that a
    text may take, in bytes looked at. `run` is how many digits in a row there are in whatever matches: a text
    without them is not looked at.
    """

    name: str
    pattern: bytes
    groups: tuple[int, ...] = (0,)
    confirm: Confirm = whole
    keep: Keep = nothing
    secret: bool = False
    filter: bytes = b""
    words: bytes = b""
    effort: int = 1024
    run: int = 0

    @property
    def coarse(self) -> Coarse:
        """What the one scan over everything looks for: where it matches nothing, `pattern` doesn't either.

        Rules with the same one cost a scan only once.
        """
        return Coarse(self.filter or self.pattern, self.run)
