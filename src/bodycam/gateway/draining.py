"""Ending a session whose credential is over: when it is at nothing, or at the latest after a time."""

import asyncio
from typing import Final, Protocol, final

from bodycam.session.session import Session

LOOK: Final = 0.1
"""Seconds between two looks at a session that drains."""


class Link(Protocol):
    """The part of a link that drains."""

    @property
    def session(self) -> Session | None: ...

    @property
    def finished(self) -> bool: ...

    def ask_to_end(self, reason: str) -> None: ...

    def cut(self, reason: str) -> None: ...


@final
class Draining:
    """One session of a link on its way to its end."""

    def __init__(self, link: Link, session: Session, reason: str, seconds: float) -> None:
        self._link, self._session, self._reason, self._seconds = link, session, reason, seconds
        self._until = asyncio.get_running_loop().time() + seconds

    def look(self) -> None:
        """End it if it may be ended, and look again until it has."""
        loop = asyncio.get_running_loop()
        if self._link.finished or self._link.session is not self._session:
            # over; the link may have another session by now, whose credential is another
            return
        if loop.time() >= self._until:
            self._link.cut(f"{self._reason}, and it was still at work {self._seconds:g} s later")
            return
        self._link.ask_to_end(self._reason)
        # not at once when it is at nothing any more: a client takes an error that comes together with its
        # answer for a remark
        loop.call_later(LOOK, self.look)
