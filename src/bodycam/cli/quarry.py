"""What a hunt brought in, put together over all sessions: leaks in the form of the control API."""

import heapq
from dataclasses import dataclass, field
from typing import Any, Final

from bodycam.archive.hunt import Found, Hunted
from bodycam.catalog.sessions import Opening

SESSIONS_MOST: Final = 1000
"""Sessions of one leak that are told, the earliest ones; all are counted."""


@dataclass(slots=True)
class _Leak:
    """One, so far."""

    secret: bool
    first: tuple[int, Opening, Found]
    last: int
    exchanges: int = 0
    values: int = 0
    sessions: int = 0
    latest: str = ""  # the session that was counted last: its ways come one after another
    places: list[tuple[int, int, Opening, Found]] = field(default_factory=list)


class Bag:
    """Takes what each session has, in any order; `faults` and counts say what could not be read."""

    def __init__(self) -> None:
        self._leaks: dict[tuple[str, bool], _Leak] = {}
        self._taken = 0
        self.faults: list[dict[str, Any]] = []
        self.gone = self.cut = 0

    @property
    def count(self) -> int:
        """How many leaks there are."""
        return len(self._leaks)

    def take(self, brought: tuple[str, Hunted]) -> None:
        """One session, with the container that it lies in."""
        name, hunted = brought
        self.gone += hunted.gone
        self.cut += hunted.cut
        if hunted.fault is not None:
            self.faults.append({"object": name, "session": hunted.session, "why": hunted.fault})
        for found in hunted.found:
            if hunted.opening is not None:
                self._add(hunted.opening, found)

    def leaks(self) -> list[dict[str, Any]]:
        """All, the one that was first seen last first."""
        ordered = sorted(self._leaks.items(), key=lambda one: (-one[1].first[0], one[0]))
        return [_shown(what, leak) for (what, _), leak in ordered]

    def _add(self, opening: Opening, found: Found) -> None:
        one = found.sighting
        leak = self._leaks.get((one.what, one.secret))
        if leak is None:
            leak = _Leak(one.secret, (one.first, opening, found), one.last)
            self._leaks[one.what, one.secret] = leak
        if one.first < leak.first[0]:
            leak.first = one.first, opening, found
        leak.last = max(leak.last, one.last)
        leak.exchanges += one.exchanges
        leak.values += one.met
        if leak.latest != opening.id:
            leak.latest = opening.id
            leak.sessions += 1
        # the latest of those that are kept stands first, to give way
        self._taken += 1
        place = (-one.first, -self._taken, opening, found)
        if len(leak.places) < SESSIONS_MOST:
            heapq.heappush(leak.places, place)
        else:
            heapq.heappushpop(leak.places, place)


def _shown(what: str, leak: _Leak) -> dict[str, Any]:
    at, opening, found = leak.first
    first = found.sighting
    places = sorted(leak.places, key=lambda place: (-place[0], -place[1]))
    return {
        "fingerprint": what if leak.secret else None,
        "detector": first.detector,
        "first": {
            "at": at / 1e6,
            **_who(opening),
            "way": first.way,
            "exchange": first.exchange,
            "verb": found.verb,
            "text": found.text,
        },
        "last": leak.last / 1e6,
        "exchanges": leak.exchanges,
        "values": None if leak.secret else leak.values,
        "sessions_total": leak.sessions,
        "sessions": [_place(own, one) for _, _, own, one in places],
    }


def _place(opening: Opening, found: Found) -> dict[str, Any]:
    one = found.sighting
    return {
        **_who(opening),
        "way": one.way,
        "first": one.first / 1e6,
        "exchange": one.exchange,
        "last": one.last / 1e6,
        "exchanges": one.exchanges,
        "values": None if one.secret else one.met,
    }


def _who(opening: Opening) -> dict[str, str]:
    return {
        "session": opening.id,
        "run": opening.run,
        "agent": opening.agent,
        "principal": opening.principal,
        "target": opening.target,
    }
