"""Texts that match a pattern, made from the pattern, so that no secret of anybody's has to stand here."""

import random
import re
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_CLASSES = {"alnum": "A-Za-z0-9", "alpha": "A-Za-z", "digit": "0-9"}
_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_CATEGORIES = {
    op.CATEGORY_DIGIT: "0123456789",
    op.CATEGORY_SPACE: " ",
    op.CATEGORY_WORD: _WORD,
    op.CATEGORY_NOT_SPACE: _WORD,
    op.CATEGORY_NOT_WORD: "-",
}


def sample(pattern: bytes, chance: random.Random) -> bytes:
    """A text that most likely matches: assertions of word borders are not looked after."""
    text = re.sub(r"\(\?[ixs]+\)", "", pattern.decode())
    text = re.sub(r"\[:(\w+):\]", lambda match: _CLASSES[match.group(1)], text).replace(r"\z", r"\Z")
    return _some(_parser.parse(text), chance).encode()


def _some(parsed: Any, chance: random.Random) -> str:
    return "".join(_one(kind, value, chance) for kind, value in parsed)


def _one(kind: Any, value: Any, chance: random.Random) -> str:
    if kind is op.LITERAL:
        return chr(value)
    if kind is op.NOT_LITERAL:
        return chance.choice([one for one in _WORD if ord(one) != value])
    if kind is op.ANY:
        return chance.choice(_WORD)
    if kind is op.IN:
        return chance.choice(_members(value))
    if kind is op.BRANCH:
        return _some(chance.choice(value[1]), chance)
    if kind is op.SUBPATTERN:
        return _some(value[3], chance)
    if kind in (op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT):
        least, most, inner = value
        count = chance.randint(least, min(int(most), least + 3))
        return "".join(_some(inner, chance) for _ in range(count))
    # borders and line ends
    return ""


def _members(parts: Any) -> str:
    negated = parts[0][0] is op.NEGATE
    found = set()
    for kind, value in parts:
        if kind is op.LITERAL:
            found.add(chr(value))
        elif kind is op.RANGE:
            found |= {chr(code) for code in range(value[0], min(value[1], 0x7E) + 1)}
        elif kind is op.CATEGORY:
            found |= set(_CATEGORIES[value])
    if negated:
        return "".join(sorted(set(_WORD + "-. ") - found))
    return "".join(sorted(found))
