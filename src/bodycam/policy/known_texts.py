"""What is known of texts that come again and again, such as statements and command lines."""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar, final

Facts = TypeVar("Facts")


@final
class KnownTexts(Generic[Facts]):
    """Facts by text, kept while there is room; the ones longest not asked for go first.

    Bounded by number and by the texts' characters. A text longer than `max_text` characters is analysed each
    time: few such come twice, and none shall push out hundreds of others.
    """

    __slots__ = (
        "_analyse", "_facts", "_kept", "_max_characters", "_max_count", "_max_text",
        "hits", "misses", "seconds",
    )  # fmt: skip

    def __init__(
        self, analyse: Callable[[str], Facts], *, max_count: int, max_characters: int, max_text: int
    ) -> None:
        self._analyse = analyse
        self._max_count, self._max_characters, self._max_text = max_count, max_characters, max_text
        self._facts: OrderedDict[str, Facts] = OrderedDict()
        self._kept = 0
        self.hits = 0
        self.misses = 0
        self.seconds = 0.0  # spent on texts that were not known yet

    def known(self, text: str) -> Facts | None:
        """The facts of a text that was analysed before; None where it was not, or is forgotten."""
        known = self._facts.get(text)
        if known is not None:
            self.hits += 1
            self._facts.move_to_end(text)
        return known

    def analysed(self, text: str) -> Facts:
        """The facts of a text that is not known; from now on it is."""
        self.misses += 1
        began = time.perf_counter()
        found = self._analyse(text)
        self.seconds += time.perf_counter() - began
        if len(text) <= self._max_text:
            self._facts[text] = found
            self._kept += len(text)
            while len(self._facts) > self._max_count or self._kept > self._max_characters:
                gone, _ = self._facts.popitem(last=False)
                self._kept -= len(gone)
        return found

    @property
    def kept(self) -> tuple[int, int]:
        """How many texts are known, and how many characters they have."""
        return len(self._facts), self._kept
