"""Masks a stream of bytes that comes in pieces: what was split over pieces is found all the same.

What can't be the beginning of something goes on; the rest is held back, a bounded amount of it, until more
comes, the stream ends, or whoever reads it has waited long enough (`release_held`).
"""

import re
from typing import Final, final

from bodycam.policy.detectors.marks import mark
from bodycam.policy.detectors.matcher import Hit, Matcher
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.transforms import Choose, masked, shown

MOST_HELD: Final = 64 << 10
# of what has gone on, so much is looked at again with what follows, because a keyword may stand in it
CONTEXT: Final = 1 << 10
# without a line's end nothing longer than this is found across pieces; the longest of rules is shorter
WINDOW: Final = 8 << 10
BLOCK: Final = re.compile(rb"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----")
BLOCK_END: Final = re.compile(rb"-----END[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----")
# longer than the first and the last line of a block, to know one that is not whole yet
OPENING: Final = 160
PRIVATE_KEY: Final = Rule("secrets.private-key", b"")
TOKEN_END: Final = re.compile(rb"[\s\"'`,;<>|(){}\[\]]")
# before a word: a number in groups, or the first line of a private key, as far as it has come
BEGUN: Final = re.compile(rb"(?:-----BEGIN[ A-Z0-9_-]{0,120}|(?<![^\s])[0-9][0-9 .-]{0,40})\Z")


@final
class TextStream:
    """One stream. What is given out is what came, but for masks.

    `same_size` keeps every mask as long as what it stands for, for streams whose length was announced.
    """

    __slots__ = (
        "_block",
        "_blocks",
        "_context",
        "_held",
        "_matcher",
        "_most",
        "_same_size",
        "_then",
        "changed",
        "hits",
    )

    def __init__(
        self,
        matcher: Matcher,
        then: Choose,
        fingerprints: Fingerprints | None = None,
        *,
        most_held: int = MOST_HELD,
        same_size: bool = False,
    ) -> None:
        if most_held < 2 * WINDOW:
            raise ValueError(f"a stream holds back at least {2 * WINDOW} bytes")
        self._matcher, self._then, self._most = matcher, then, most_held
        self._same_size = same_size
        self.hits = Hits(fingerprints)
        self._held = bytearray()
        self._context = b""
        self._blocks = PRIVATE_KEY.name in matcher.names
        self.changed = False
        """Whether anything was masked."""
        # within a private key whose beginning has been masked and whose end has not come
        self._block = False

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what came; gives what can go on."""
        held = self._held
        held += data
        if not self._block and b"\n" not in data and len(held) < self._most:
            return b""
        taken = bytes(held)
        held.clear()
        out: list[bytes] = []
        if self._block:
            taken = self._swallowed(taken, out)
        if self._block:
            held += taken
            return b"".join(out)
        cut = self._cut(taken)
        if cut:
            out.append(self._released(taken[:cut]))
        held += taken[cut:]
        return b"".join(out)

    def flush(self) -> bytes:
        """The stream has ended: everything that is held, masked."""
        data = bytes(self._held)
        self._held.clear()
        out: list[bytes] = []
        if self._block:
            data = self._swallowed(data, out)
        if self._block:
            out.append(b"*" * len(data) if self._same_size else b"")
        elif data:
            out.append(self._released(data))
        self._block = False
        return b"".join(out)

    def release_held(self) -> bytes:
        """Everything that is held, masked as far as it is known; what follows may be the rest of it."""
        if self._block or not self._held:
            return b""
        data = bytes(self._held)
        self._held.clear()
        return self._released(data)

    def release_words(self) -> bytes:
        """The same but for a word, or a number in groups, that has begun and is not longer than a window."""
        if self._block or not self._held:
            return b""
        data = bytes(self._held)
        start = max(0, len(data) - WINDOW)
        ends = [match.end() for match in TOKEN_END.finditer(data, start)]
        if ends:
            begun = BEGUN.search(data, max(0, ends[-1] - OPENING), ends[-1])
            cut = ends[-1] if begun is None else begun.start()
        else:
            cut = len(data) if start else 0
        if not cut:
            return b""
        self._held[:] = data[cut:]
        return self._released(data[:cut])

    def _cut(self, data: bytes) -> int:
        """How much of it can go on: up to the last line's end, or if it gets too much, all but a window."""
        size = len(data)
        cut = data.rfind(b"\n") + 1
        if size - cut >= self._most:
            # the token that stands there goes with what follows
            cut = size - WINDOW
            ends = [match.end() for match in TOKEN_END.finditer(data, cut - WINDOW, cut)]
            cut = ends[-1] if ends else cut
            across = BLOCK.search(data, max(0, cut - OPENING), cut + OPENING) if self._blocks else None
            if across is not None and across.start() < cut < across.end():
                cut = across.start()
        opening = self._opened(data, cut)
        if opening is None:
            return cut
        # a key is never as long as what may be held: what follows is taken out up to its end, whose own
        # beginning may be here already
        return opening if size - opening < self._most else size - OPENING

    def _opened(self, data: bytes, until: int) -> int | None:
        """Where a private key begins before `until` whose end is not there, or too far away."""
        if not self._blocks or b"-----BEGIN" not in data:
            return None
        for match in BLOCK.finditer(data, 0, until):
            if BLOCK_END.search(data, match.end(), min(until, match.end() + self._most)) is None:
                return match.start()
        return None

    def _released(self, data: bytes) -> bytes:
        opened = self._opened(data, len(data))
        if opened is None:
            return self._masked(data)
        end = BLOCK_END.search(data, opened)
        until = len(data) if end is None else end.end()
        self._block, self.changed = end is None, True
        before = self._masked(data[:opened]) if opened else b""
        self.hits.add(PRIVATE_KEY, b"")
        put = mark(PRIVATE_KEY.name)
        if self._same_size:
            put = fitted(put, until - opened)
        return before + put + (self._released(data[until:]) if until < len(data) else b"")

    def _swallowed(self, data: bytes, out: list[bytes]) -> bytes:
        """What follows the end of the block that is open; all but that is gone."""
        match = BLOCK_END.search(data)
        if match is not None:
            self._block = False
            if self._same_size:
                out.append(b"*" * match.end())
            return data[match.end() :]
        kept = data[-OPENING:]
        if self._same_size:
            out.append(b"*" * (len(data) - len(kept)))
        return kept

    def _masked(self, data: bytes) -> bytes:
        before = self._context
        text = before + data if before else data
        self._context = text[-CONTEXT:]
        start = len(before)
        hits = [
            Hit(max(hit.start, start) - start, hit.end - start, hit.rule)
            for hit in self._matcher.find(text)
            if hit.end > start
        ]
        if not hits:
            return data
        self.changed = True
        for hit in hits:
            self.hits.add(hit.rule, data[hit.start : hit.end])
        if self._same_size:
            return _in_place(data, hits)
        # a stream has no null: what would be one is a mask
        put = masked(data, hits, lambda rule: shown(self._then(rule)))
        return data if put is None else put


def fitted(put: bytes, size: int) -> bytes:
    """A mask of exactly `size` bytes: filled with asterisks, or nothing else where it doesn't fit."""
    return put + b"*" * (size - len(put)) if len(put) <= size else b"*" * size


def _in_place(data: bytes, hits: list[Hit]) -> bytes:
    text = bytearray(data)
    for hit in hits:
        text[hit.start : hit.end] = fitted(mark(hit.rule.name), hit.end - hit.start)
    return bytes(text)
