"""The ways to targets that may refuse what they took before, by the sessions that were given them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bodycam.config.settings import Settings
from bodycam.model.target import Dial
from bodycam.session.open_sessions import OpenSessions
from bodycam.targets.dials import TargetUnready

KEPT_FIRST = 100
"""Ways that are kept before it is looked whether their sessions have ended."""

Renewer = Callable[[Settings, str, str | None, tuple[str, int] | None, str, Dial], Awaitable[Dial | None]]
"""From settings, target, what is chosen behind it, host, who asks, and the way that was refused, to another.

None where there is nothing new.
"""


@dataclass(slots=True)
class Way:
    """What a way was put together of, and the last one that the session was given."""

    target: str
    database: str | None
    host: tuple[str, int] | None
    who: str
    dial: Dial


class Ways:
    """Those of the sessions that are open; without a `renewer` there is never anything new."""

    def __init__(self, renewer: Renewer | None) -> None:
        self._renewer = renewer
        self._ways: dict[str, Way] = {}
        self._most = KEPT_FIRST

    def keep(self, session: str, way: Way, is_open: OpenSessions) -> None:
        """A session was given a way; of a worker that was lost nobody says that its sessions have ended."""
        if len(self._ways) >= self._most:
            self._ways = {one: kept for one, kept in self._ways.items() if one in is_open}
            self._most = max(KEPT_FIRST, 2 * len(self._ways))
        self._ways[session] = way

    def forget(self, session: str) -> None:
        """It has ended."""
        self._ways.pop(session, None)

    async def renew(self, session: str, settings: Settings) -> Dial | None:
        """The way of a session with something new, if there is any to be had."""
        way = self._ways.get(session)
        if self._renewer is None or way is None or way.target not in settings.targets:
            return None
        try:
            dial = await self._renewer(settings, way.target, way.database, way.host, way.who, way.dial)
        except TargetUnready:
            return None
        way.dial = dial or way.dial
        return dial
