"""Puts the ledger's signed head outside, again and again, at least once each, beside everything else.

The archivist is asked for its head and waits for nothing. How far an anchor has got is in a file of its own,
written once the anchor has the head: whatever dies in between, the head is handed over again.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import structlog

from bodycam.api.anchors import Place, place
from bodycam.api.archivist import Archivist, ArchivistAway, ArchivistRefused
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.archive.head import Head
from bodycam.config.anchoring import Anchor

log = structlog.get_logger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks at the ledger's head."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


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
        running: dict[str, tuple[Anchor, asyncio.Task[None]]] = {}
        try:
            while True:
                wanted = {one.name: one for one in self._settings.settings.ledger.anchors}
                for name, (anchor, task) in list(running.items()):
                    if wanted.get(name) != anchor:
                        await _stop(task)
                        del running[name]
                        self.told.states.pop(name, None)
                for name, anchor in wanted.items():
                    if name not in running:
                        running[name] = (anchor, asyncio.create_task(self._follow(anchor)))
                await asyncio.sleep(self._interval)
        finally:
            for _, task in running.values():
                await _stop(task)

    async def _follow(self, anchor: Anchor) -> None:
        state = self.told.states.setdefault(anchor.name, State())
        kept, to = _Kept(self._folder / f"{anchor.name}.json"), place(anchor)
        pause, due = self._first_pause, self._clock()
        while True:
            try:
                if await self._step(anchor, state, kept, to, in_time=self._clock() >= due):
                    due = self._clock() + anchor.interval
                pause, state.failure = self._first_pause, ""
            except (ArchivistAway, ArchivistRefused):
                pass  # without an archivist nothing is sealed, and there is no new head
            except Exception as error:  # whatever it trips over: it is tried again, and the others go on
                self.told.failed += 1
                state.failure = str(error)
                log.error("a ledger head waits for an anchor", anchor=anchor.name, error=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
                continue
            await asyncio.sleep(self._interval)

    async def _step(self, anchor: Anchor, state: State, kept: "_Kept", to: Place, *, in_time: bool) -> bool:
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


class _Kept:
    """The last head that one anchor has, in a file that is never half written."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> Head | None:
        """The head; None for an anchor that never had any.

        Raises:
            OSError: it can't be read, or holds something else.
        """
        try:
            return Head.from_plain(json.loads(self._file.read_bytes()))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise OSError(
                f"{self._file} does not say what the anchor has; remove it to begin anew"
            ) from error

    def save(self, head: Head) -> None:
        """Remember a head, durably."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._file.with_suffix(".part")
        with partial.open("w", encoding="ascii") as file:
            json.dump(head.to_plain(), file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._file)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
