"""What runs use at each worker, so that every worker's rules can count what the others let through."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

RUNS_MOST: Final = 10_000
"""Runs whose use is known; those told of longest ago are forgotten first."""

Counts = tuple[int, int, int]
"""Operations, rows, operations in the last minute."""


class RunUses:
    """The use of each run, by the incarnations of workers that told of it."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, dict[str, Counts]] = OrderedDict()

    def told(self, incarnation: str, counts: Mapping[str, Sequence[int]]) -> None:
        """A worker tells what runs have used there so far."""
        for run, (operations, rows, per_minute) in counts.items():
            self._runs.setdefault(run, {})[incarnation] = (int(operations), int(rows), int(per_minute))
            self._runs.move_to_end(run)
        while len(self._runs) > RUNS_MOST:
            self._runs.popitem(last=False)

    def lost(self, incarnation: str) -> None:
        """A worker is gone: what went through it stays counted, and is of the last minute no longer."""
        for uses in self._runs.values():
            if incarnation in uses:
                operations, rows, _ = uses[incarnation]
                uses[incarnation] = (operations, rows, 0)

    def elsewhere(self, incarnation: str, runs: Iterable[str]) -> dict[str, Counts]:
        """What these runs have used at all workers but that one; without those that used nothing there."""
        found: dict[str, Counts] = {}
        for run in runs:
            others = [one for name, one in self._runs.get(run, {}).items() if name != incarnation]
            if others:
                found[run] = (
                    sum(one[0] for one in others),
                    sum(one[1] for one in others),
                    sum(one[2] for one in others),
                )
        return found
