"""Hands audit events on to the sinks of the settings, each at least once and in order.

How far a sink has got is kept in a file of its own, written once the sink has the events: whatever dies in
between, they are handed over again.
"""

import asyncio
import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Engine

from bodycam.api.audit_events import line
from bodycam.api.audit_sinks import SinkFailed, Taker, taker
from bodycam.api.catalog_calls import read
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.catalog.audit import events_after, newest_event
from bodycam.config.auditing import Sink

log = structlog.get_logger(__name__)

AT_ONCE: Final = 100
"""Events of one sending."""

INTERVAL: Final = 1.0
"""Seconds between two looks for events."""

SETTLED: Final = 2_000_000
"""Microseconds after which no event with a smaller id comes any more."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0


class AuditExport:
    """The sinks of the settings in use. `folder` is where it is kept how far each has got."""

    def __init__(
        self,
        catalog: Engine,
        settings: SettingsInUse,
        folder: Path,
        version: str,
        *,
        wall: Callable[[], float] = time.time,
        interval: float = INTERVAL,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._catalog, self._settings, self._folder, self._version = catalog, settings, folder, version
        self._wall, self._interval, self._first_pause = wall, interval, first_pause
        self.behind: dict[str, int] = {}
        """How many events each sink has not got yet, about."""

    @property
    def most_behind(self) -> int:
        """How many events the sink that has least of them has not got yet."""
        return max(self.behind.values(), default=0)

    async def run(self) -> None:
        """Hand on until cancelled; changed settings are followed."""
        running: dict[str, tuple[Sink, asyncio.Task[None]]] = {}
        try:
            while True:
                wanted = {sink.name: sink for sink in self._settings.settings.audit.sinks}
                for name, (sink, task) in list(running.items()):
                    if wanted.get(name) != sink:
                        await _stop(task)
                        del running[name]
                        self.behind.pop(name, None)
                for name, sink in wanted.items():
                    if name not in running:
                        running[name] = (sink, asyncio.create_task(self._follow(sink)))
                await asyncio.sleep(self._interval)
        finally:
            for _, task in running.values():
                await _stop(task)

    async def _follow(self, sink: Sink) -> None:
        place = _Place(self._folder / f"{sink.name}.json")
        to = taker(sink)
        pause = self._first_pause
        try:
            while True:
                try:
                    more = await self._step(sink, place, to)
                except (SinkFailed, OSError) as error:
                    log.error("audit events wait for a sink", sink=sink.name, error=str(error))
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                pause = self._first_pause
                if not more:
                    await asyncio.sleep(self._interval)
        finally:
            await to.close()

    async def _step(self, sink: Sink, place: "_Place", to: Taker) -> bool:
        """Hand over some events; whether there may be more at once."""
        after = await asyncio.to_thread(place.load)
        if after is None:
            # a new sink begins with what comes
            after = await read(self._catalog, newest_event)
            await asyncio.to_thread(place.save, after)
        before = round(self._wall() * 1e6) - SETTLED
        events = await read(self._catalog, events_after, after, before, AT_ONCE)
        newest = await read(self._catalog, newest_event)
        self.behind[sink.name] = max(0, newest - after)
        if not events:
            return False
        await to.send([(one.id, one.at, line(one, self._version)) for one in events])
        await asyncio.to_thread(place.save, events[-1].id)
        self.behind[sink.name] = max(0, newest - events[-1].id)
        return len(events) == AT_ONCE


class _Place:
    """How far one sink has got: the id of the last event it has, in a file that is never half written."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> int | None:
        """The id; None for a sink that never had any.

        Raises:
            OSError: it can't be read, or holds something else.
        """
        try:
            return int(json.loads(self._file.read_bytes())["after"])
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(
                f"{self._file} does not say how far the sink has got; remove it to begin anew"
            ) from error

    def save(self, after: int) -> None:
        """Remember an id, durably."""
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial = self._file.with_suffix(".part")
        with partial.open("w", encoding="ascii") as file:
            json.dump({"after": after}, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(self._file)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
