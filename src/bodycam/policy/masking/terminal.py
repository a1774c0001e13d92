"""Masks what programs print, with or without a terminal, as it comes.

A secret may be cut anywhere, and sequences that drive a terminal may stand between its characters: it is
looked for in the text without them, and they stay where they were. Whole lines go on at once; the beginning
of one waits until more comes or whoever reads has waited long enough. What nothing is found in is given out
byte by byte as it came, text or not.
"""

import re
from typing import Final, final

from bodycam.model.escape_sequences import SEQUENCE, STRING, STRING_MOST, begun
from bodycam.policy.detectors.marks import mark
from bodycam.policy.detectors.matcher import Hit, Matcher
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.escapes import Reading, texts, where_divided, where_together
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.key_blocks import KeyBlock
from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.stream import (
    BEGUN,
    BLOCK,
    BLOCK_END,
    MOST_HELD,
    OPENING,
    PRIVATE_KEY,
    TOKEN_END,
    WINDOW,
    fitted,
)
from bodycam.policy.masking.transforms import Choose, instead, shown

# with sequences among it, more is kept than of plain text
CONTEXT: Final = 4 << 10
PLAIN_CONTEXT: Final = 1 << 10
SHORT_STRING: Final = 8
ZEROS: Final = b"\0" * 4
_WORD: Final = re.compile(TOKEN_END.pattern + rb"(?=[^\s\"'`,;<>|(){}\[\]]*\Z)")
# where a line reaches the terminal's edge a shell goes on with these, and the word does too
_WRAP: Final = b" \r"
# what somebody types shows letter by letter: a few small letters are no secret, if no key stands before them
_CALM: Final = re.compile(rb"(?:[./~]{0,4}|--?(?=[a-z]))[a-z]{0,12}(?:[./][a-z]{0,12}|-[a-z]{1,12}){0,4}\Z")
_CALM_MOST: Final = 32
_KEYED: Final = re.compile(rb"[=:]\s*[\"'`]?\Z|[\"'`]\Z")


@final
class TerminalStream:
    """One stream: a terminal's output, or what a program says on standard output or beside it.

    From the first run of zero bytes on, masks are as long as what they stand for: an archive stays one.
    """

    __slots__ = (
        "_begins",
        "_binary",
        "_block",
        "_blocks",
        "_context",
        "_held",
        "_looked",
        "_matcher",
        "_most",
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
    ) -> None:
        if most_held < 2 * WINDOW:
            raise ValueError(f"a stream holds back at least {2 * WINDOW} bytes")
        self._matcher, self._then, self._most = matcher, then, most_held
        self.hits = Hits(fingerprints)
        self.changed = False
        """Whether anything was masked."""
        self._held = bytearray()
        self._context = b""
        self._blocks = PRIVATE_KEY.name in matcher.names
        # within a private key whose beginning has been masked and whose end has not come
        self._block: KeyBlock | None = None
        self._binary = False
        self._looked, self._begins = b"", False

    @property
    def held(self) -> int:
        """How many bytes are held back. Of a key that is masked already nothing is."""
        return 0 if self._block is not None else len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what came; gives what can go on."""
        held = self._held
        held += data
        if b"\n" not in data and len(held) < self._most and self._block is None:
            return b""
        out: list[bytes] = []
        if not self._key_open(out):
            self._give(self._cut(bytes(held)), out)
        return b"".join(out)

    def flush(self) -> bytes:
        """The stream has ended: everything that is held, masked."""
        out: list[bytes] = []
        self._key_open(out, ended=True)
        self._give(len(self._held), out)
        self._key_open(out, ended=True)
        self._held.clear()
        self._block = None
        return b"".join(out)

    def release_held(self) -> bytes:
        """Everything that is held, masked as far as it is known; what follows may be the rest of it."""
        out: list[bytes] = []
        if not self._key_open(out):
            self._give(begun(bytes(self._held)), out)
        return b"".join(out)

    def release_words(self) -> bytes:
        """The same but for a word that has begun and may become something, or a number in groups."""
        out: list[bytes] = []
        if not self._key_open(out) and self._held:
            self._give(self._words(bytes(self._held)), out)
        return b"".join(out)

    # -- how much goes on ----------------------------------------------------------------------------

    def _cut(self, data: bytes) -> int:
        """Up to the last line's end, or if it gets too much, all but a window; never within a sequence."""
        whole = begun(data)
        cut = _between(data, data.rfind(b"\n", 0, whole) + 1)
        if len(data) - cut >= self._most:
            cut = max(0, min(whole, len(data) - WINDOW))
            ends = [match.end() for match in TOKEN_END.finditer(data, max(0, cut - WINDOW), cut)]
            cut = _between(data, ends[-1] if ends else cut)
        opening = self._opened(data[:cut])
        # a key is never as long as what may be held: what follows is taken out up to its end
        return opening if opening is not None and len(data) - opening < self._most else cut

    def _words(self, data: bytes) -> int:
        whole = begun(data)
        start = max(0, whole - WINDOW)
        read = where_together(data[start:whole])
        text = read.text
        found = _WORD.search(text, 0, len(text) - len(_WRAP) if text.endswith(_WRAP) else len(text))
        if found is None:
            # a single word so far
            cut = whole if start or self._calm(text, self._context) else 0
            return _between(data, cut)
        before = BEGUN.search(text, max(0, found.end() - OPENING), found.end())
        if before is not None:
            return _between(data, start + read.at(before.start()))
        if self._calm(text[found.end() :], text[: found.end()]):
            return whole
        return _between(data, start + read.at(found.end()))

    def _calm(self, word: bytes, before: bytes) -> bool:
        """Whether a word that has begun may show, because it is none of what secrets begin with."""
        return len(word) <= _CALM_MOST and _CALM.match(word) is not None and _KEYED.search(before) is None

    def _give(self, cut: int, out: list[bytes]) -> None:
        held = self._held
        while cut > 0:
            data = bytes(held[:cut])
            opened = self._opened(data)
            if opened is None:
                del held[:cut]
                out.append(self._masked(data))
                return
            del held[:opened]
            if opened:
                out.append(self._masked(data[:opened]))
            self.hits.add(PRIVATE_KEY, b"")
            self.changed = True
            if not self._binary:
                out.append(mark(PRIVATE_KEY.name))
            self._block = KeyBlock()
            left = len(held)
            if self._key_open(out):
                return
            cut -= opened + left - len(held)

    # -- keys over many lines ------------------------------------------------------------------------

    def _key_open(self, out: list[bytes], *, ended: bool = False) -> bool:
        """Take out what belongs to the key that is open; whether it still is. Sequences in it stay."""
        if self._block is None:
            return False
        data = bytes(self._held)
        whole = len(data) if ended else begun(data)
        taken, done = self._block.take(data[:whole], ended=ended)
        if self._binary:
            out.append(b"*" * len(SEQUENCE.sub(b"", data[:taken])))
        if b"\x1b" in data:
            out += SEQUENCE.findall(data[:taken])
        del self._held[:taken]
        if not done and not ended:
            return True
        self._block, self._context = None, b""
        return False

    def _opened(self, data: bytes) -> int | None:
        """Where a private key begins whose end is not there."""
        if not self._blocks or (b"-----BEGIN" not in data and b"\x1b" not in data and b"\b" not in data):
            return None
        if data != self._looked:
            # the same is asked twice: how much goes on, and when it does
            self._looked, self._begins = data, b"-----BEGIN" in texts(data)[0]
        if not self._begins:
            return None
        read = where_together(data)
        for match in BLOCK.finditer(read.text):
            if BLOCK_END.search(read.text, match.end()) is None:
                return read.at(match.start())
        return None

    # -- masks ---------------------------------------------------------------------------------------

    def _masked(self, data: bytes) -> bytes:
        if b"\x1b" in data:
            data = self._in_strings(data)
        before = self._context
        text = before + data if before else data
        self._context = text[-(CONTEXT if b"\x1b" in text else PLAIN_CONTEXT) :]
        self._binary = self._binary or ZEROS in data
        edits = self._found(text, len(before))
        if not edits:
            return data
        self.changed = True
        edits.sort()
        out: list[bytes] = []
        position = len(before)
        for start, end, put in edits:
            if end <= position:
                continue
            # what overlaps with what was masked is the rest of it
            out += (text[position:start], put) if start >= position else ()
            out += SEQUENCE.findall(text[max(start, position) : end])
            position = end
        out.append(text[position:])
        return b"".join(out)

    def _found(self, text: bytes, start: int) -> list[tuple[int, int, bytes]]:
        """What to put instead of what, in what begins at `start`."""
        edits: list[tuple[int, int, bytes]] = []
        for reading, hits in self._readings(text):
            for hit in hits:
                begin, end = reading.span(hit.start, hit.end)
                if end <= start:
                    continue
                found = reading.text[hit.start : hit.end]
                if all(begin < other or end > till for other, till, _ in edits):
                    self.hits.add(hit.rule, found)
                begin = max(begin, start)
                edits.append((begin, end, self._put(hit.rule, found, text[begin:end])))
        return edits

    def _readings(self, text: bytes) -> list[tuple[Reading, list[Hit]]]:
        """The readings of a text in which something is."""
        find = self._matcher.find
        together, divided = texts(text)
        found: list[tuple[Reading, list[Hit]]] = []
        if find(together):
            reading = where_together(text)
            found.append((reading, find(reading.text)))
        if divided != together and find(divided):
            reading = where_divided(text)
            found.append((reading, find(reading.text)))
        return found

    def _put(self, rule: Rule, found: bytes, data: bytes) -> bytes:
        # a stream has no null: what would be one is a mask
        put = instead(shown(self._then(rule)), rule, found) or b""
        return fitted(put, len(SEQUENCE.sub(b"", data))) if self._binary else put

    def _in_strings(self, data: bytes) -> bytes:
        """Titles and the like say something too, each by itself."""
        out: list[bytes] = []
        position = 0
        for match in STRING.finditer(data):
            said, start = match[0], match.start()
            if len(said) < SHORT_STRING:
                continue
            for hit in self._matcher.find(said):
                found = said[hit.start : hit.end]
                self.hits.add(hit.rule, found)
                out += (data[position : start + hit.start], self._put(hit.rule, found, found))
                position = start + hit.end
        if not out:
            return data
        self.changed = True
        return b"".join([*out, data[position:]])


def _between(data: bytes, cut: int) -> int:
    """The same place, or behind the sequence that it is in."""
    at = data.rfind(b"\x1b", max(0, cut - STRING_MOST - 2), cut)
    found = None if at < 0 else SEQUENCE.match(data, at)
    return cut if found is None else max(cut, found.end())
