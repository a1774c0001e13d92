"""A private key of many lines that comes in pieces: what still belongs to it, and where it is over.

A program may print the first line of a key and nothing else: what can't be part of one ends it, so that a
terminal doesn't fall silent.
"""

import re
from typing import Final, final

from bodycam.policy.masking.escapes import where_together
from bodycam.policy.masking.stream import BLOCK, BLOCK_END, MOST_HELD

KEY_MOST: Final = MOST_HELD
"""Bytes after which nothing is taken for the same key any more."""

# numbers of lines, quotes and the marks of a listing before it; line ends may be written as escapes
_LINE: Final = re.compile(
    rb"[\s0-9:|.+-]{0,64}(?:-----BEGIN[ A-Z0-9_-]{0,120})?(?:[A-Za-z0-9+/=]|\\[nr])*"
    rb"(?:-{1,5}[ A-Z0-9_-]{0,120})?\s*"
    rb"|(?:Proc-Type|DEK-Info|Comment|Version|Hash|Charset|MessageID): .*\s*"
    rb"|[>\s0-9:|.]{0,64}[A-Za-z0-9+/=]{16,}\s*"
)


@final
class KeyBlock:
    """One that is open: its beginning has been seen."""

    __slots__ = ("_size",)

    def __init__(self) -> None:
        self._size = 0

    def take(self, data: bytes, *, ended: bool) -> tuple[int, bool]:
        """How much of what comes next is the key's, and whether that was the last of it.

        The beginning of a line that may be the key's is not taken and no end of it, unless all has ended.
        """
        read = where_together(data)
        text = read.text
        position = self._first(text)
        end = BLOCK_END.search(text)
        until = len(text) if end is None else end.end()
        while position < until:
            line_end = text.find(b"\n", position, until) + 1
            if end is not None and (not line_end or line_end > end.start()):
                # what stands before the end in its line is the key's in any case
                return read.span(0, until)[1], True
            line = text[position : line_end or until]
            if _LINE.fullmatch(line) is None:
                return read.at(position) if position else 0, True
            if not line_end and not ended:
                break
            position = line_end or until
            self._size += len(line)
            if self._size > KEY_MOST:
                return read.at(position), True
        return read.at(position) if position else 0, False

    def _first(self, text: bytes) -> int:
        """Behind the first line's words, which are the key's whatever stands there."""
        found = None if self._size else BLOCK.match(text)
        if found is None:
            return 0
        self._size = found.end()
        return found.end()
