"""Slow reading: what a worker's links do while its journal fills faster than the archivist empties it.

They read in one tick of several. Reading that stopped altogether would freeze sessions without a word for as
long as the disk is nearly full, and only an error tells a client what is wrong.
"""

from collections.abc import Iterable
from typing import Protocol

PERIOD = 4
"""Of so many ticks one is for reading."""
_SIDES = ("client", "target")
_WHY = "journal"


class Link(Protocol):
    """The part of a link that is slowed down."""

    def pause(self, side: str, why: str) -> None: ...

    def resume(self, side: str, why: str) -> None: ...


class Throttle:
    """Holds links back and lets them read again, tick by tick."""

    def __init__(self) -> None:
        self._turn = 0
        self._held: set[Link] = set()

    def tick(self, links: Iterable[Link], *, slow: bool) -> None:
        """One tick has passed; `links` are all that are open now."""
        self._turn = (self._turn + 1) % PERIOD if slow else 0
        if self._turn:
            for link in links:
                if link not in self._held:
                    self._held.add(link)
                    for side in _SIDES:
                        link.pause(side, _WHY)
        elif self._held:
            for link in self._held:
                for side in _SIDES:
                    link.resume(side, _WHY)
            self._held.clear()
