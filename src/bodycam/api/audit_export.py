"""Hands audit events on to the sinks of the settings, each at least once and in order.

How far a sink has got is kept in a file of its own, written once the sink has the events: whatever dies in
between, they are handed over again.
"""

import asyncio
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from bodycam.api.audit_events import line, severity
from bodycam.api.audit_sinks import Outgoing, Taker, taker
from bodycam.api.catalog_calls import read
from bodycam.api.followers import FIRST_PAUSE, follow_each, keep_on
from bodycam.api.kept_file import KeptFile
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.catalog.audit import events_after, newest_event
from bodycam.config.auditing import Sink

log = structlog.get_logger(__name__)

AT_ONCE: Final = 100
"""Events of one sending."""

INTERVAL: Final = 1.0
"""Seconds between two looks for events."""


class AuditExport:
    """The sinks of the settings in use. `folder` is where it is kept how far each has got."""

    def __init__(
        self,
        catalog: Engine,
        settings: SettingsInUse,
        folder: Path,
        version: str,
        *,
        interval: float = INTERVAL,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._catalog, self._settings, self._folder, self._version = catalog, settings, folder, version
        self._interval, self._first_pause = interval, first_pause
        self.behind: dict[str, int] = {}
        """How many events each sink has not got yet, about."""

    @property
    def most_behind(self) -> int:
        """How many events the sink that has least of them has not got yet."""
        return max(self.behind.values(), default=0)

    async def run(self) -> None:
        """Hand on until cancelled; changed settings are followed."""
        await follow_each(
            lambda: self._settings.settings.audit.sinks,
            self._follow,
            lambda name: self.behind.pop(name, None),
            self._interval,
        )

    async def _follow(self, sink: Sink) -> None:
        file = self._folder / f"{sink.name}.json"
        place = KeptFile(file, _after, lambda after: {"after": after}, "how far the sink has got")
        to = taker(sink)

        def failed(error: Exception) -> None:
            log.error("audit events wait for a sink", sink=sink.name, error=str(error))

        try:
            await keep_on(
                lambda: self._step(sink, place, to),
                failed,
                interval=self._interval,
                first_pause=self._first_pause,
            )
        finally:
            await to.close()

    async def _step(self, sink: Sink, place: KeptFile[int], to: Taker) -> bool:
        """Hand over some events; whether there may be more at once."""
        after = await asyncio.to_thread(place.load)
        if after is None:
            # a new sink begins with what comes
            after = await read(self._catalog, newest_event)
            await asyncio.to_thread(place.save, after)
        events = await read(self._catalog, events_after, after, AT_ONCE)
        newest = await read(self._catalog, newest_event)
        self.behind[sink.name] = max(0, newest - after)
        if not events:
            return False
        await to.send([Outgoing(one.id, one.at, severity(one), line(one, self._version)) for one in events])
        await asyncio.to_thread(place.save, events[-1].id)
        self.behind[sink.name] = max(0, newest - events[-1].id)
        return len(events) == AT_ONCE


def _after(plain: Any) -> int:
    """The id of the last event that a sink has."""
    return int(plain["after"])
