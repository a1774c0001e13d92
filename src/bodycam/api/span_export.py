"""Hands exchanges and runs on to a collector of OpenTelemetry, each at least once, in the order of the index.

How far it has got is a row of the catalog, written once the collector has the spans: whatever dies in
between, they are sent again, with the same ids. Behind that place the catalog keeps what was indexed, so that
a collector that is away costs rows and loses nothing.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import structlog
from sqlalchemy import Engine

from bodycam.api import otlp
from bodycam.api.catalog_calls import read, write
from bodycam.api.followers import FIRST_PAUSE, keep_on
from bodycam.api.otlp import Span
from bodycam.api.otlp_post import SpansRefused, post
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.catalog import spans as catalog
from bodycam.config.telemetry import Traces
from bodycam.model.telemetry import Wording

log = structlog.get_logger(__name__)

AT_ONCE: Final = 512
"""Exchanges of one step, about; runs are fewer."""
MOST_TEXT: Final = 2 * 1024 * 1024
"""Characters of one sending, about."""
INTERVAL: Final = 1.0
"""Seconds between two looks for what is new."""
SETTLED: Final = 2_000_000
"""Microseconds after which no run with an earlier end comes any more."""


class SpanExport:
    """The collector of the settings in use. `wordings` are the protocols' by their names."""

    def __init__(
        self,
        engine: Engine,
        settings: SettingsInUse,
        wordings: Mapping[str, Wording],
        version: str,
        *,
        wall: Callable[[], float] = time.time,
        interval: float = INTERVAL,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._catalog, self._settings, self._wordings, self._version = engine, settings, wordings, version
        self._wall, self._interval, self._first_pause = wall, interval, first_pause
        self.following: bool | None = None
        """Whether there is a collector, and a place to go on from; None: not known yet."""
        self.sent = 0
        """Spans that the collector took."""
        self.refused = 0
        """Spans that it will never take."""
        self.failed = 0
        """Tries that came to nothing."""
        self.behind = 0
        """Batches of the index that it has not got yet."""

    async def run(self) -> None:
        """Hand on until cancelled; changed settings are followed."""
        await keep_on(self._step, self._failed, interval=self._interval, first_pause=self._first_pause)

    def _failed(self, error: Exception) -> None:
        self.failed += 1
        log.error("spans wait for the collector", error=str(error))

    async def _step(self) -> bool:
        """Hand over some spans; whether there may be more at once."""
        traces = self._settings.settings.telemetry.traces
        if traces is None:
            if self.following is not False:
                await write(self._catalog, catalog.stop)
                self.following, self.behind = False, 0
            return False
        now = round(self._wall() * 1e6)
        place = await read(self._catalog, catalog.place)
        if place is None:
            place = await write(self._catalog, catalog.begin, now)
        self.following = True
        self.behind = await read(self._catalog, catalog.behind, place)
        found, after = await read(self._catalog, catalog.exchanges_after, place, AT_ONCE)
        ended, after = await read(self._catalog, catalog.runs_after, after, now - SETTLED, AT_ONCE)
        if after == place:
            return False
        spans = [self._exchange(one) for one in found if not one.exchange.aside]
        spans += [otlp.of_run(one) for one in ended]
        for part in _parts(spans):
            await self._send(traces, part)
        await write(self._catalog, catalog.moved, after)
        self.behind = await read(self._catalog, catalog.behind, after)
        return True

    def _exchange(self, found: catalog.Found) -> Span:
        one = found.exchange
        target = self._settings.settings.targets.get(one.target)
        address = None if target is None else target.address
        where = None if address is None else (address.host, address.port)
        return otlp.of_exchange(found, self._wordings.get(one.protocol), where)

    async def _send(self, traces: Traces, spans: Sequence[Span]) -> None:
        """Send them all; what the collector will never take is halved down to the spans that are wrong."""
        try:
            thrown = await post(traces, otlp.request(spans, self._version))
        except SpansRefused as error:
            if len(spans) == 1:
                self.refused += 1
                log.error("the collector refuses a span", span=spans[0]["spanId"], error=str(error))
                return
            half = len(spans) // 2
            await self._send(traces, spans[:half])
            await self._send(traces, spans[half:])
            return
        self.sent += len(spans) - thrown
        self.refused += thrown
        if thrown:
            log.error("the collector threw spans away", spans=thrown)


def _parts(spans: Sequence[Span]) -> list[list[Span]]:
    """The spans in portions that one sending may hold."""
    parts: list[list[Span]] = []
    size = MOST_TEXT
    for span in spans:
        own = len(str(span))
        if size + own > MOST_TEXT:
            parts.append([])
            size = 0
        parts[-1].append(span)
        size += own
    return parts
