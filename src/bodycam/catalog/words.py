"""What a word is: the same for indexing and for asking, whichever database holds the index.

A word is a run of letters and digits, after Unicode NFKC and case folding; everything else (underscore,
dot, @, hyphen, quote) separates words and is otherwise ignored. So `order_items`, `public.order_items` and
`bob@example.com` are found by any part, and whole as a phrase of neighbouring words. Chinese characters and
Japanese kana are a word each. Words longer than LONGEST are cut, in the text and in the question alike.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import re2

# PostgreSQL keeps 16383 positions in a document and 256 of a word; SQLite would keep more. The same bounds
# for both give the same answers.
MOST_WORDS = 16_000
MOST_REPEATS = 255
LONGEST = 64
FILLER = "\ue000"  # takes a position and can't be asked for

_ASCII = re.compile(r"[a-z0-9]+")
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
# asked of all that is indexed: RE2 looks at each byte once, where `re` counts each word from each letter on
_TOO_LONG = re2.compile(rb"[A-Za-z0-9]{%d}" % (LONGEST + 1))
_UNICODE = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")
_PART = re.compile(r'"([^"]*)"?(\*?)|([^\s"]+)')
_MOST_TERMS = 16


@dataclass(frozen=True, slots=True)
class Term:
    """Words that must stand side by side; with `prefix` the last one may go on."""

    words: tuple[str, ...]
    prefix: bool = False

    def found(self, words: list[str]) -> int | None:
        """Where the term begins in a text's words; None if it isn't there."""
        last, size = self.words[-1], len(self.words)
        for at, word in enumerate(words):
            ends = word.startswith(last) if self.prefix else word == last
            if ends and at + 1 >= size and tuple(words[at + 1 - size : at]) == self.words[:-1]:
                return at + 1 - size
        return None


def words(*texts: str) -> list[str]:
    """The words of some texts, in order, bounded; no phrase reaches from one text into the next."""
    found: list[str] = []
    for text in texts:
        if found:
            found.append(FILLER)
        found += _split(text)[: MOST_WORDS - len(found)]
        if len(found) >= MOST_WORDS:
            break
    if len(found) > MOST_REPEATS:
        counts: Counter[str] = Counter(found)
        if counts.most_common(1)[0][1] > MOST_REPEATS:
            _thin(found)
    return found


def located(text: str) -> tuple[str, list[tuple[str, int, int]]]:
    """The text in NFKC, and each of its words with its beginning and end in it."""
    plain = unicodedata.normalize("NFKC", text)
    spans = islice(_UNICODE.finditer(plain), MOST_WORDS)
    return plain, [(match[0].casefold()[:LONGEST], match.start(), match.end()) for match in spans]


def parse(question: str) -> tuple[Term, ...]:
    """The terms of a question: words and "quoted phrases", each with an optional trailing `*`.

    Never raises: a quote that isn't closed ends with the question, and other signs separate words.
    """
    terms: dict[Term, None] = {}
    for phrase, phrase_star, plain in _PART.findall(question):
        text = phrase or plain
        term = Term(tuple(_split(text)), bool(phrase_star) or plain.endswith("*"))
        if term.words:
            terms[term] = None
    return tuple(islice(terms, _MOST_TERMS))


def document(texts: Sequence[str]) -> str:
    """A text with all words of some texts, for a tokenizer that knows letters and digits of ASCII alone.

    No phrase reaches from one text into the next.
    """
    plain = "\n".join(texts)
    if plain.isascii() and (max(map(len, texts)) <= LONGEST or _TOO_LONG.search(plain.encode()) is None):
        return f" {FILLER} ".join(texts)
    return f" {FILLER} ".join(" ".join(_split(text)) for text in texts)


def distinct(texts: Sequence[str]) -> set[str]:
    """All words of some texts, wherever they stand."""
    return set(_split("\n".join(texts)))


def _split(text: str) -> list[str]:
    if text.isascii():
        found = _ASCII.findall(text.lower())
        return found if len(text) <= LONGEST else [word[:LONGEST] for word in found]
    plain = unicodedata.normalize("NFKC", text)
    return [word.casefold()[:LONGEST] for word in _UNICODE.findall(plain)]


def _thin(found: list[str]) -> None:
    seen: Counter[str] = Counter()
    for at, word in enumerate(found):
        seen[word] += 1
        if seen[word] > MOST_REPEATS and word != FILLER:
            found[at] = FILLER
