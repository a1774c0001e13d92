"""What was met of sensitive data in one exchange, on its way into notes of the record.

What is new in the exchange is noted at once, so that the note has the moment; the rest is gathered, so that a
result with a million hits has a few notes.
"""

from collections.abc import Sequence
from typing import Final, final

from bodycam.session.masks import Sighting

MOST: Final = 256
"""Fingerprints of one kind that are gathered before they are noted."""

Details = dict[str, str | int]


def details(detector: str, count: int, fingerprints: Sequence[str]) -> Details:
    """A note's details."""
    said: Details = {"detector": detector, "count": count}
    if fingerprints:
        said["fingerprints"] = ", ".join(fingerprints)
    return said


@final
class Tally:
    """What one exchange met and no note has told yet, by detector."""

    __slots__ = ("_counts", "_fingerprints")

    def __init__(self) -> None:
        # a detector that was noted stays here with 0
        self._counts: dict[str, int] = {}
        self._fingerprints: dict[str, set[str]] = {}

    def add(self, sightings: Sequence[Sighting]) -> list[Details]:
        """Count these; gives what is to be noted now."""
        due: list[Details] = []
        for one in sightings:
            name = one.detector
            fresh = name not in self._counts
            self._counts[name] = self._counts.get(name, 0) + one.count
            gathered = self._fingerprints.setdefault(name, set())
            gathered.update(one.fingerprints)
            if fresh or len(gathered) >= MOST:
                due.append(self._told(name))
        return due

    def rest(self) -> list[Details]:
        """The exchange is over: what is left to be noted."""
        return [self._told(name) for name, count in self._counts.items() if count]

    def _told(self, name: str) -> Details:
        said = details(name, self._counts[name], sorted(self._fingerprints[name]))
        self._counts[name] = 0
        self._fingerprints[name] = set()
        return said
