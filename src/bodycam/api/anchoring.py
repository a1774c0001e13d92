"""Puts the ledger's signed head outside, again and again, at least once each, beside everything else.

The archivist is asked for its head and waits for nothing. How far an anchor has got is in a file of its own,
written once the anchor has the head: whatever dies in between, the head is handed over again.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from bodycam.api.anchors import Place, place
from bodycam.api.archivist import Archivist, ArchivistAway, ArchivistRefused
from bodycam.api.followers import FIRST_PAUSE, follow_each, keep_on
from bodycam.api.kept_file import KeptFile
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.archive.head import Head
from bodycam.config.anchoring import Anchor

log = structlog.get_logger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks at the ledger's head."""


@dataclass(slots=True)
class State:
    """Where one anchor is: the last head that it has, leaves that it lacks, and what went wrong last."""

    last: Head | None = None
    behind: int = 0
    failure: str = ""


@dataclass(slots=True)
class Told:
    """Counters for metrics."""

    sent: int = 0
    failed: int = 0
    states: dict[str, State] = field(default_factory=dict)


class Anchoring:
    """The anchors of the settings in use. `folder` is where it is kept how far each has got."""

    def __init__(
        self,
        archivist: Archivist,
        settings: SettingsInUse,
        folder: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        interval: float = INTERVAL,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._archivist, self._settings, self._folder = archivist, settings, folder
        self._clock, self._interval, self._first_pause = clock, interval, first_pause
        self.told = Told()

    @property
    def most_behind(self) -> int:
        """How many leaves the anchor that has least of them lacks."""
        return max((one.behind for one in self.told.states.values()), default=0)

    @property
    def sizes(self) -> list[int]:
        """The sizes of the heads that the anchors have last."""
        return [one.last.size for one in self.told.states.values() if one.last is not None]

    @property
    def failures(self) -> dict[str, str]:
        """The anchors that could not be given the head lately, and why."""
        return {name: one.failure for name, one in self.told.states.items() if one.failure}

    async def run(self) -> None:
        """Anchor until cancelled; changed settings are followed."""
        await follow_each(
            lambda: self._settings.settings.ledger.anchors,
            self._follow,
            lambda name: self.told.states.pop(name, None),
            self._interval,
        )

    async def _follow(self, anchor: Anchor) -> None:
        state = self.told.states.setdefault(anchor.name, State())
        file = self._folder / f"{anchor.name}.json"
        kept, to = KeptFile(file, Head.from_plain, Head.to_plain, "what the anchor has"), place(anchor)
        due = self._clock()

        async def step() -> bool:
            nonlocal due
            try:
                if await self._step(anchor, state, kept, to, in_time=self._clock() >= due):
                    due = self._clock() + anchor.interval
                state.failure = ""
            except (ArchivistAway, ArchivistRefused):
                pass  # without an archivist nothing is sealed, and there is no new head
            return False

        def failed(error: Exception) -> None:
            self.told.failed += 1
            state.failure = str(error)
            log.error("a ledger head waits for an anchor", anchor=anchor.name, error=str(error))

        await keep_on(step, failed, interval=self._interval, first_pause=self._first_pause)

    async def _step(
        self, anchor: Anchor, state: State, kept: KeptFile[Head], to: Place, *, in_time: bool
    ) -> bool:
        """Hand over the head if it is due; whether it was."""
        if state.last is None:
            state.last = await asyncio.to_thread(kept.load)
        head = Head.from_plain(await self._archivist.head())
        before = state.last
        if before is not None and before.log == head.log:
            state.behind = max(0, head.size - before.size)
            if before.size == head.size and before.root == head.root:
                return False
            if before.size >= head.size:
                # the newer head goes out all the same: held beside the older one it is the proof
                log.error(
                    "the ledger is not the one that was anchored: it was cut, or replaced by an older copy",
                    anchor=anchor.name,
                    anchored=before.size,
                    now=head.size,
                )
            elif not in_time and state.behind < anchor.leaves:
                return False
        await to.put(head)
        await asyncio.to_thread(kept.save, head)
        state.last, state.behind = head, 0
        self.told.sent += 1
        return True
