"""The hyperscan database of a set of patterns: compiled once, then read from the cache's folder."""

import hashlib
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

import cbor2
import hyperscan

from bodycam.policy.detectors import stored

# each pattern reports once a scan, so that no text makes it call back for every byte. `^` and `$` also match
# at line ends, so that cells joined by line feeds are found in as they would be alone
_ONCE = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_MULTILINE
# each match is reported, so that it is known in which cell of many it is; whoever scans has to stop in time
_EACH = hyperscan.HS_FLAG_MULTILINE
# what stands for the whole text's beginning and end, and how the flags of a group turn line ends off; the
# other pieces are those within which the same signs mean something else
_ENDS = re.compile(
    rb"\\Q.*?(?:\\E|\Z)|\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?(?P<on>\w*)-(?P<off>\w*)(?=[:)])",
    re.DOTALL,
)
_OF_A_LINE = {rb"\A": b"^", rb"\z": b"$"}

Scan = Callable[..., None]


LEAST: Final = 8
"""Bytes that all known secrets have at least: what is shorter need not be looked at for those alone."""


class PatternRefused(Exception):
    """Hyperscan doesn't take a pattern; the message says why."""


class Database:
    """Patterns as one automaton. One thread at a time may scan with it.

    `refused` are the places of the patterns that hyperscan doesn't take, which it so knows nothing of. A scan
    tells of each pattern once, or with `each` of all places where a match ends. In a text that is shorter
    than `least` it finds nothing.
    """

    __slots__ = ("_inner", "least", "refused", "scan")

    def __init__(self, inner: "hyperscan.Database", refused: frozenset[int], least: int) -> None:
        self._inner = inner
        self.refused, self.least = refused, least
        inner.scratch = hyperscan.Scratch(inner)
        self.scan: Scan = inner.scan

    @classmethod
    def open(cls, patterns: Mapping[int, bytes], cache: Path | None, *, each: bool = False) -> "Database":
        """Load from the cache, or compile (seconds for hundreds of patterns) and put it there.

        The patterns are by their places, of which a scan tells.
        """
        patterns = {place: by_line(pattern) for place, pattern in patterns.items()}
        flags = _EACH if each else _ONCE
        path = None if cache is None else cache / f"{_key(patterns, flags)}.hs"
        if path is not None and (body := stored.load(path)) is not None:
            # a database of another version or machine is made anew, too
            with suppress(hyperscan.error, ValueError, KeyError, TypeError):
                kept = cbor2.loads(body)
                inner = hyperscan.loadb(kept["database"], hyperscan.HS_MODE_BLOCK)
                return cls(inner, frozenset(kept["refused"]), kept["least"])
        inner, refused = _compiled(patterns, flags)
        least = _least([pattern for place, pattern in patterns.items() if place not in refused], flags)
        if path is not None:
            # without it the next start compiles again
            with suppress(OSError):
                entry = {"database": hyperscan.dumpb(inner), "refused": sorted(refused), "least": least}
                stored.save(path, cbor2.dumps(entry))
        return cls(inner, refused, least)


def check(pattern: bytes) -> None:
    """Whether hyperscan takes a pattern.

    Raises:
        PatternRefused: it doesn't.
    """
    try:
        _compile({0: by_line(pattern)}, _ONCE)
    except hyperscan.error as error:
        raise PatternRefused(str(error)) from error


def by_line(pattern: bytes) -> bytes:
    """A pattern that matches a line of a text wherever `pattern` would match that line alone.

    What is only at the beginning or the end of a text, `\\A` and `\\z`, is at those of each of its lines.
    """
    return _ENDS.sub(_of_a_line, pattern)


def _of_a_line(match: re.Match[bytes]) -> bytes:
    on, off = match.group("on", "off")
    if off is not None and b"m" in off:
        rest = off.replace(b"m", b"")
        return b"(?m" + on + (b"-" + rest if rest else b"")
    return _OF_A_LINE.get(match.group(), match.group())


def _compiled(patterns: Mapping[int, bytes], flags: int) -> "tuple[hyperscan.Database, frozenset[int]]":
    try:
        return _compile(patterns, flags), frozenset()
    except hyperscan.error:
        taken = {place: pattern for place, pattern in patterns.items() if _taken(pattern)}
        return _compile(taken, flags), frozenset(patterns.keys() - taken.keys())


def _least(patterns: Sequence[bytes], flags: int) -> int:
    """`LEAST` where hyperscan says of each pattern that it takes more bytes than one less, else 0."""
    # its stubs do not have what it takes beside a pattern
    within = hyperscan.ExpressionExt(  # type: ignore[attr-defined]
        flags=hyperscan.HS_EXT_FLAG_MAX_OFFSET, max_offset=LEAST - 1
    )
    for pattern in patterns:
        inner = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        try:
            inner.compile(expressions=[pattern], ids=[0], flags=flags, ext=[within])
        except hyperscan.error as error:
            if "bytes to match" in str(error):
                continue
        return 0
    return LEAST


def _taken(pattern: bytes) -> bool:
    try:
        _compile({0: pattern}, _ONCE)
    except hyperscan.error:
        return False
    return True


def _compile(patterns: Mapping[int, bytes], flags: int) -> "hyperscan.Database":
    inner = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    inner.compile(expressions=list(patterns.values()), ids=list(patterns), flags=flags)
    return inner


def _key(patterns: Mapping[int, bytes], flags: int) -> str:
    digest = hashlib.sha256()
    places = str(list(patterns)).encode()
    for part in (
        version("hyperscan").encode(),
        str(flags).encode(),
        _processor(),
        places,
        *patterns.values(),
    ):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:32]


def _processor() -> bytes:
    """What hyperscan compiles for: the machine and what its processor can do."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_bytes().splitlines():
            if line.startswith((b"flags", b"Features")):
                return platform.machine().encode() + line
    return platform.machine().encode() + platform.processor().encode()
