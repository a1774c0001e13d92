"""The options in front of what a program is to run, and those among its operands.

https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap12.html
"""

from collections.abc import Sequence
from typing import Final, final

from bodycam.policy.shell.reasons import OPTIONS_UNCLEAR, Unclear
from bodycam.policy.shell.words import Word

Given = list[tuple[str, Word | None]]
"""Options by their names (letters, or words for long ones), with their values."""

_NOTHING: Final = Word("", "''")


@final
class Options:
    """The options of one program.

    `short` are its letters, with `:` behind those that take a value and `?` behind those that may have one in
    the same word. `long` are words, with `=` behind those that take a value.
    """

    __slots__ = ("_long", "_short")

    def __init__(self, short: str = "", long: str = "") -> None:
        self._short: dict[str, str] = {}
        for at, letter in enumerate(short):
            if letter not in ":?":
                following = short[at + 1 : at + 2]
                self._short[letter] = following if following and following in ":?" else ""
        self._long = {name.rstrip("="): name.endswith("=") for name in long.split()}

    def leading(self, words: Sequence[Word], at: int) -> tuple[Given, int]:
        """The options from `at` on up to the first operand, and where that is.

        Raises:
            Unclear: one is not known, or a word may be an option or not.
        """
        given: Given = []
        while at < len(words):
            word = words[at]
            if not word.known:
                raise Unclear(OPTIONS_UNCLEAR)
            text = word.text
            if text == "--":
                return given, at + 1
            if text[:1] != "-" or text == "-":
                return given, at
            at = self._one(words, at, given, strict=True)
        return given, at

    def among(self, words: Sequence[Word], at: int) -> tuple[Given, list[Word]]:
        """The options and operands from `at` on, wherever they stand; what is not known has no value."""
        given: Given = []
        operands: list[Word] = []
        while at < len(words):
            word = words[at]
            if word.plain and word.text == "--":
                return given, operands + list(words[at + 1 :])
            if word.text[:1] != "-" or word.text == "-":
                operands.append(word)
                at += 1
            else:
                at = self._one(words, at, given, strict=False)
        return given, operands

    def _one(self, words: Sequence[Word], at: int, given: Given, *, strict: bool) -> int:
        """The options in one word; where the next word is."""
        word = words[at]
        if word.text.startswith("--"):
            name, equals, value = word.text[2:].partition("=")
            name, takes = self._named(name, strict)
            if equals:
                given.append((name, Word(value, plain=word.plain, whole=word.whole)))
            elif takes:
                return self._valued(words, at, name, given, strict)
            else:
                given.append((name, None))
            return at + 1
        for place, letter in enumerate(word.text[1:], 1):
            takes_it = self._short.get(letter)
            if takes_it is None and strict:
                raise Unclear(OPTIONS_UNCLEAR)
            rest = word.text[place + 1 :]
            if takes_it == "?" or (takes_it == ":" and rest):
                given.append((letter, Word(rest, plain=word.plain, whole=word.whole) if rest else _NOTHING))
                return at + 1
            if takes_it == ":":
                return self._valued(words, at, letter, given, strict)
            given.append((letter, None))
        return at + 1

    def _valued(self, words: Sequence[Word], at: int, name: str, given: Given, strict: bool) -> int:
        if at + 1 < len(words):
            value = words[at + 1]
            if strict and (not value.whole or value.globs):
                raise Unclear(OPTIONS_UNCLEAR)
            given.append((name, value))
        return at + 2

    def _named(self, name: str, strict: bool) -> tuple[str, bool]:
        """A long option, which may be cut short."""
        takes = self._long.get(name)
        if takes is not None:
            return name, takes
        meant = [one for one in self._long if one.startswith(name)] if name else []
        if len(meant) == 1:
            return meant[0], self._long[meant[0]]
        if strict:
            raise Unclear(OPTIONS_UNCLEAR)
        return name, False


def value_of(given: Given, *names: str) -> Word | None:
    """The last value of an option under any of its names; None where it is not given."""
    found = None
    for name, value in given:
        if name in names:
            found = value or _NOTHING
    return found


def values_of(given: Given, *names: str) -> list[Word]:
    """All values of an option under any of its names."""
    return [value for name, value in given if name in names and value is not None]


def has(given: Given, *names: str) -> bool:
    """Whether an option is given under any of its names."""
    return any(name in names for name, _ in given)
