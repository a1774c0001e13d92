"""The trail of acts: a salted hash in the ledger, the details in the catalog's audit.

Two ways, because they fail differently. What grants or shows something is entered before it happens, and does
not happen without. What takes something away (a revocation, a kill) is done first and entered as soon as the
archivist takes it, since a recorder that is away must not keep a stolen credential alive.
"""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import Engine

from bodycam.api.archivist import Archivist, ArchivistAway, ArchivistRefused
from bodycam.catalog import audit
from bodycam.catalog.engine import writing
from bodycam.identity.failures import FailedLogin

log = structlog.get_logger(__name__)

OWED_MOST = 10_000


class Trail:
    """Writes acts to ledger and audit."""

    def __init__(self, catalog: Engine, archivist: Archivist) -> None:
        self._catalog, self._archivist = catalog, archivist
        self._owed: deque[tuple[str, str, str, dict[str, Any]]] = deque()

    @property
    def owed(self) -> int:
        """Acts that are in the audit and wait for their place in the ledger."""
        return len(self._owed)

    async def before(self, action: str, actor: str, object: str, detail: Mapping[str, Any]) -> None:  # noqa: A002
        """Enter an act that is about to happen.

        Raises:
            ArchivistAway, ArchivistRefused: it is not in the ledger, so it must not happen.
        """
        plain = dict(detail)
        entered = await self._archivist.enter(action, actor, object, plain)
        await self._write(action, actor, object, plain, entered.salt, entered.index)

    async def after(self, action: str, actor: str, object: str, detail: Mapping[str, Any]) -> None:  # noqa: A002
        """Enter an act that has happened; without the archivist it is entered later, by `settle`."""
        try:
            await self.before(action, actor, object, detail)
        except (ArchivistAway, ArchivistRefused) as error:
            log.error(
                "an act waits for its place in the ledger", action=action, object=object, error=str(error)
            )
            await self._write(action, actor, object, dict(detail) | {"ledger": "owed"}, None, None)
            if len(self._owed) < OWED_MOST:
                self._owed.append((action, actor, object, dict(detail) | {"late": True}))

    async def settle(self) -> None:
        """Enter what is owed, until the archivist is away again."""
        while self._owed:
            try:
                await self.before(*self._owed[0])
            except (ArchivistAway, ArchivistRefused):
                return
            self._owed.popleft()

    async def failed_logins(self, failures: list[FailedLogin]) -> None:
        """Write counted failures of nobody known; they have no place in the ledger."""
        for one in failures:
            detail = {
                "reason": str(one.reason),
                "address": one.address,
                "count": one.count,
                "first": one.first,
                "last": one.last,
            }
            await self._write("login-failed", "", one.name, detail, None, None)

    async def _write(
        self,
        action: str,
        actor: str,
        object: str,  # noqa: A002
        detail: dict[str, Any],
        salt: bytes | None,
        leaf: int | None,
    ) -> None:
        def add() -> None:
            with writing(self._catalog) as connection:
                audit.add_event(
                    connection,
                    at=time.time_ns() // 1000,
                    actor=actor,
                    action=action,
                    object=object,
                    detail=detail,
                    salt=salt,
                    leaf=leaf,
                )

        await asyncio.to_thread(add)
