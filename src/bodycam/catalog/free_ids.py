"""Ids for bundles where many want the same: the first that is free, found without asking for each.

Thousands of bundles can have one start, because what a turn of a worker's loop records has one time.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, select

from bodycam.catalog.tables import bundles

WINDOW = 4096
"""How many ids are looked at together."""


class FreeIds:
    """The ids that are not taken, for one batch of rows. `taken` are those of the wanted ones that are."""

    def __init__(self, connection: Connection, taken: Iterable[int]) -> None:
        self._connection = connection
        self._taken = set(taken)
        self._windows: dict[int, _Window] = {}

    def take(self, wanted: int) -> int:
        """The first free id from `wanted` on, which from now on is taken."""
        free = wanted
        if wanted in self._taken:
            number, start = divmod(wanted, WINDOW)
            while (place := self._window(number).first(start)) is None:
                number, start = number + 1, 0
            free = number * WINDOW + place
        self._taken.add(free)
        number, place = divmod(free, WINDOW)
        if (window := self._windows.get(number)) is not None:
            window.fill(place)
        return free

    def _window(self, number: int) -> "_Window":
        known = self._windows.get(number)
        if known is None:
            low, high = number * WINDOW, (number + 1) * WINDOW
            held = select(bundles.c.id).where(bundles.c.id >= low, bundles.c.id < high)
            known = self._windows[number] = _Window()
            for key in self._connection.execute(held).scalars():
                known.fill(key - low)
            for key in self._taken:
                if low <= key < high:
                    known.fill(key - low)
        return known


class _Window:
    """So many ids in a row; each place leads to the next one that may be free."""

    def __init__(self) -> None:
        self._next = list(range(WINDOW + 1))

    def first(self, start: int) -> int | None:
        """The first free place from `start` on."""
        end = start
        while self._next[end] != end:
            end = self._next[end]
        # whoever comes here next goes the way in one step
        while self._next[start] != end:
            self._next[start], start = end, self._next[start]
        return None if end == WINDOW else end

    def fill(self, place: int) -> None:
        """The place is free no more."""
        if self._next[place] == place:
            self._next[place] = place + 1
