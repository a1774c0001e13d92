"""What one scan over a text looks for, numbers apart from all the rest."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import final

from bodycam.policy.detectors.database import Database
from bodycam.policy.detectors.loose import loosened
from bodycam.policy.detectors.rule import Coarse
from bodycam.policy.detectors.runs import may_have_run

Note = Callable[[int, int, int, int, object], bool | None]
"""Takes a match: the pattern's place, where it begins and ends, and two things more. True ends the scan."""


@final
class Automaton:
    """Patterns, each known by its place. One thread at a time may scan with it.

    Those that need a long run of digits are an automaton of their own, which only a text that has such a run
    goes through: it would have to read every byte, the other one leaps from word to word.
    `refused` are the places of the patterns that hyperscan doesn't take, which it so knows nothing of. In a
    text that is shorter than `least` there is nothing.
    """

    __slots__ = ("_numbers", "_others", "_run", "least", "refused")

    def __init__(self, others: Database | None, numbers: Database | None, run: int) -> None:
        self._others = None if others is None else others.scan
        self._numbers = None if numbers is None else numbers.scan
        self._run = run
        self.least = min([one.least for one in (others, numbers) if one is not None], default=0)
        self.refused: frozenset[int] = frozenset()
        for one in (others, numbers):
            if one is not None:
                self.refused |= one.refused

    @classmethod
    def open(cls, coarse: Sequence[Coarse], cache: Path | None, *, each: bool = False) -> "Automaton":
        """From the cache, or compiled and put there, as `Database.open` does."""
        numbers = {place: one.pattern for place, one in enumerate(coarse) if one.run}
        others = {place: one.pattern for place, one in enumerate(coarse) if not one.run}
        return cls(
            Database.open(others, cache, each=each) if others else None,
            Database.open(numbers, cache, each=each) if numbers else None,
            min((one.run for one in coarse if one.run), default=0),
        )

    @classmethod
    def loose(
        cls, coarse: Sequence[Coarse], cache: Path | None, refused: Collection[int]
    ) -> "Automaton | None":
        """One that finds the same whatever stands around; None where there is none that certainly does.

        `refused` are places that nothing is known of anyway.
        """
        patterns: list[Coarse] = []
        for place, one in enumerate(coarse):
            if place not in refused:
                pattern = loosened(one.pattern)
                if pattern is None:
                    return None
                patterns.append(Coarse(pattern, one.run))
        found = cls.open(patterns, cache)
        return None if found.refused else found

    def scan(self, text: bytes, note: Note) -> None:
        """Tell `note` of the matches.

        Raises:
            hyperscan.ScanTerminated: `note` ended it.
        """
        if self._others is not None:
            self._others(text, note)
        if self._numbers is not None and may_have_run(text, self._run):
            self._numbers(text, note)
