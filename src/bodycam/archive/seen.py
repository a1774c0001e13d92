"""What a session's notes say of secrets and other sensitive data, as the catalog keeps it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from bodycam.archive import told
from bodycam.catalog.sightings import RECEIVED, SENT, Sighting

NOTE: Final = "masked"
MOST: Final = 10_000
"""Secrets of one session that are told apart; further ones are counted under their detectors."""
_DETECTOR = 255
Key = tuple[str, str]
"""What it is, and which way it went."""

_FINGERPRINT = re.compile(r"[0-9a-f]{32}\Z")


class Seen:
    """One session, read from its first event on: its totals are those of all that was taken."""

    __slots__ = ("_changed", "_found", "_latest")

    def __init__(self) -> None:
        self._found: dict[Key, Sighting] = {}
        self._latest: dict[Key, int] = {}  # exchanges, because one may have several notes
        self._changed: set[Key] = set()

    def take(self, at: int, exchange: int, started: int, note: Mapping[str, Any]) -> list[Key]:
        """Take a note that was written at `at`, in an exchange that began at `started` (both of the epoch).

        Gives what was not seen before in this session.

        Raises:
            LookupError, TypeError, ValueError: it tells no sighting.
        """
        detector = told.text(note["detector"], _DETECTOR)
        values = told.count(note["count"])
        way = SENT if note.get("way") == SENT else RECEIVED
        names = [name for name in told.text(note.get("fingerprints", "")).split(", ") if name]
        if not all(_FINGERPRINT.match(name) for name in names):
            raise ValueError("a fingerprint is 32 hexadecimal digits")
        once = Sighting(detector, way, False, detector, at, exchange, started, at, 1, values)
        found = []
        for name in names:
            if (name, way) in self._found or len(self._found) < MOST:
                found.append(replace(once, what=name, secret=True, met=0))
            else:
                found.append(replace(once, met=1))
        return [(one.what, one.way) for one in found or [once] if self._add(one)]

    def changed(self) -> list[Sighting]:
        """What changed since `written` was last called."""
        return [self._found[key] for key in self._changed]

    def written(self) -> None:
        """What changed is kept."""
        self._changed.clear()

    def _add(self, once: Sighting) -> bool:
        """Add one; says whether it was not there before."""
        key = once.what, once.way
        known = self._found.get(key)
        if known is None:
            self._found[key] = once
        else:
            fresh = self._latest[key] != once.exchange
            self._found[key] = replace(
                known,
                last=max(known.last, once.last),
                exchanges=known.exchanges + fresh,
                met=min(known.met + once.met, told.MOST),
            )
        self._latest[key] = once.exchange
        self._changed.add(key)
        return known is None
