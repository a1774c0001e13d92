"""How much may be looked at for one command line, with all the scripts in it."""

from typing import Final, final

from bodycam.policy.shell.reasons import TOO_DEEP, TOO_LARGE, Refused

SCRIPT_BYTES_MOST: Final = 256 * 1024
"""Bytes of a text and of all the scripts in it together."""

SCRIPTS_MOST: Final = 200
LEVELS_MOST: Final = 10
"""Scripts in one another: `sh -c "sh -c ..."`."""

WORDS_MOST: Final = 40_000
"""Words, with those that braces make."""

DEPTH_MOST: Final = 60
"""Commands in one another: substitutions, loops, brackets."""


@final
class Effort:
    """What was spent so far."""

    __slots__ = ("_bytes", "_depth", "_level", "_scripts", "_words")

    def __init__(self) -> None:
        self._bytes = self._scripts = self._words = self._level = self._depth = 0

    def words(self, count: int) -> None:
        """So many words more.

        Raises:
            Refused: they are too many.
        """
        self._words += count
        if self._words > WORDS_MOST:
            raise Refused(TOO_LARGE)

    def enter(self, size: int) -> None:
        """A script of so many bytes begins, in another one or as the first.

        Raises:
            Refused: there are too many, or too many in one another.
        """
        self._bytes += size
        self._scripts += 1
        self._level += 1
        if self._bytes > SCRIPT_BYTES_MOST or self._scripts > SCRIPTS_MOST:
            raise Refused(TOO_LARGE)
        if self._level > LEVELS_MOST:
            raise Refused(TOO_DEEP)

    def leave(self) -> None:
        """The innermost script is over."""
        self._level -= 1

    def deeper(self) -> None:
        """A command in a command begins.

        Raises:
            Refused: there are too many in one another.
        """
        self._depth += 1
        if self._depth > DEPTH_MOST:
            raise Refused(TOO_DEEP)

    def back(self) -> None:
        """The innermost one is over."""
        self._depth -= 1
