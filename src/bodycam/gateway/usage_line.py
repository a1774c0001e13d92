"""What runs use, told between workers by way of the control process, so that rules count a run as a whole."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

INTERVAL: Final = 0.5
"""Seconds between two tellings; as much later, and once more, another worker's rules know."""


class Used(Protocol):
    """What a worker's decision point counts."""

    def news(self, now: float) -> Mapping[str, Sequence[int]]:
        """By run what has changed since this was last asked: operations, rows, operations a minute."""

    def elsewhere(self, told: Mapping[str, Sequence[int]]) -> None:
        """By run what was used at other workers."""


class Line(Protocol):
    """The part of the line to the control process that is needed."""

    @property
    def connected(self) -> asyncio.Event: ...

    def tell(self, verb: str, body: Any) -> None: ...


async def tell_usage(line: Line, used: Used) -> None:
    """Tell what changes, until cancelled; what could not be told is told with what follows."""
    while True:
        await asyncio.sleep(INTERVAL)
        if line.connected.is_set() and (news := used.news(time.time())):
            line.tell("used", {run: list(counts) for run, counts in news.items()})
