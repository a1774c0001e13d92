"""Watches how full the store of recordings is, and warns before new sessions are refused."""

import asyncio
import contextlib
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from bodycam.api.archivist import Archivist, ArchivistAway, ArchivistRefused
from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.trail import Trail
from bodycam.session.quota import Quota

log = structlog.get_logger(__name__)

INTERVAL: Final = 1.0
"""Seconds between two looks: how long a quota that was passed, or has room again, may go unnoticed."""


class QuotaWatch:
    """Asks the archivist while there is a quota, and keeps `quota` as it is, for admission and the probes."""

    def __init__(
        self,
        quota: Quota,
        archivist: Archivist,
        settings: SettingsInUse,
        trail: Trail,
        *,
        interval: float = INTERVAL,
    ) -> None:
        self._quota, self._archivist, self._settings, self._trail = quota, archivist, settings, trail
        self._interval = interval

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            try:
                await self.look()
            except SQLAlchemyError as error:
                log.error("a warning of the quota is not in the audit", error=str(error))
            await asyncio.sleep(self._interval)

    async def look(self) -> None:
        """Look once, and warn if a threshold was passed; what was said last holds while the archivist is
        away, or adds up what it has.

        Raises:
            SQLAlchemyError: the warning could not be entered; it is in the log.
        """
        most = self._settings.settings.storage.quota
        used = None
        if most is not None:
            with contextlib.suppress(ArchivistAway, ArchivistRefused):
                used = (await self._archivist.status()).get("recordings_bytes")
            if used is None:
                used = self._quota.used
        passed = self._quota.see(used, most)
        if passed is None:
            return
        detail = {"threshold": passed, "used_bytes": used, "quota_bytes": most}
        what = "new sessions are refused" if passed >= 100 else "at 100 % new sessions are refused"
        log.warning(f"the recordings take {passed} % of storage.quota or more; {what}", **detail)
        await self._trail.after("quota-warning", "gateway", "storage", detail)
