"""Brace expansion: `a{b,c}` is two words, `{1..3}` three.

https://www.gnu.org/software/bash/manual/html_node/Brace-Expansion.html
"""

import re
from itertools import pairwise
from typing import Final

from bodycam.policy.shell.reasons import TOO_LARGE, Refused

Piece = tuple[int, str]
"""A part of a word: what kind of part it is (`words`), and its text."""

WORDS_MOST: Final = 10_000
"""Words that one may become."""

BRACES_MOST: Final = 100
"""Opening braces in one word."""

_SEQUENCE: Final = re.compile(r"(-?\d{1,9}|[A-Za-z])\.\.(-?\d{1,9}|[A-Za-z])(?:\.\.(-?\d{1,9}))?")


def expanded(pieces: list[Piece], plain: int) -> list[list[Piece]]:
    """The words that a word stands for; only braces in pieces of the kind `plain` count.

    Raises:
        Refused: there are too many.
    """
    flat: list[Piece] = []
    for kind, text in pieces:
        if kind == plain:
            flat += [(kind, char) for char in text]
        else:
            flat.append((kind, text))
    if flat.count((plain, "{")) > BRACES_MOST:
        raise Refused(TOO_LARGE)
    return _words(flat, plain, 0)


def _words(flat: list[Piece], plain: int, level: int) -> list[list[Piece]]:
    if level > 50:
        raise Refused(TOO_LARGE)
    for at, piece in enumerate(flat):
        if piece != (plain, "{"):
            continue
        end, commas = _closing(flat, at, plain)
        if end is None:
            continue
        inner = flat[at + 1 : end]
        if commas:
            bounds = [at, *commas, end]
            alternatives: list[list[Piece]] = []
            for left, right in pairwise(bounds):
                alternatives += _words(flat[left + 1 : right], plain, level + 1)
                _bounded(alternatives)
        else:
            counted = _sequence(inner, plain)
            if counted is None:
                continue
            alternatives = counted
        tails = _words(flat[end + 1 :], plain, level + 1)
        if len(alternatives) * len(tails) > WORDS_MOST:
            raise Refused(TOO_LARGE)
        return [flat[:at] + one + tail for one in alternatives for tail in tails]
    return [flat]


def _closing(flat: list[Piece], start: int, plain: int) -> tuple[int | None, list[int]]:
    """Where the brace at `start` closes, and the commas that part what is in it."""
    depth = 0
    commas: list[int] = []
    for at in range(start, len(flat)):
        kind, char = flat[at]
        if kind != plain:
            continue
        if char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return at, commas
        elif char == "," and depth == 1:
            commas.append(at)
    return None, []


def _sequence(inner: list[Piece], plain: int) -> list[list[Piece]] | None:
    if not all(kind == plain for kind, _ in inner):
        return None
    match = _SEQUENCE.fullmatch("".join([char for _, char in inner]))
    if match is None:
        return None
    first, last, step = match.groups()
    letters = first.isalpha()
    if letters != last.isalpha():
        return None
    low, high = (ord(first), ord(last)) if letters else (int(first), int(last))
    by = abs(int(step)) if step else 1
    by = by or 1
    if abs(high - low) // by >= WORDS_MOST:
        raise Refused(TOO_LARGE)
    numbers = range(low, high + 1, by) if low <= high else range(low, high - 1, -by)
    if letters:
        return [[(plain, chr(number))] for number in numbers]
    wide = 0
    if any(re.match(r"-?0\d", one) for one in (first, last)):
        wide = max(len(first), len(last))
    return [[(plain, f"{number:0{wide}d}")] for number in numbers]


def _bounded(found: list[list[Piece]]) -> None:
    if len(found) > WORDS_MOST:
        raise Refused(TOO_LARGE)
