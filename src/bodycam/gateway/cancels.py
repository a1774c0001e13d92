"""Cancel requests: which link a key belongs to, and the wait until the target has been told.

A client takes the end of the connection on which it sent a cancel request as word that no later statement of
its own can be hit by it; so that connection stays until the target has closed the one that carries it on.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

CANCEL_SECONDS = 2.0
"""How long who sent a cancel request waits at most for word that the target has it."""


class Link(Protocol):
    """The part of a link that is needed to cancel."""

    def cancel(self) -> None: ...


class Cancels:
    """The keys of one worker's links. `elsewhere` asks the other workers and returns when it is done."""

    def __init__(self, elsewhere: Callable[[bytes], Awaitable[None]]) -> None:
        self._elsewhere = elsewhere
        self._links: dict[bytes, Link] = {}
        self._knocks: dict[Link, set[asyncio.Task[None]]] = {}

    def register(self, link: Link, key: bytes) -> None:
        """A link's cancel requests carry this key."""
        self._links[key] = link

    def forget(self, link: Link) -> None:
        """The link is gone."""
        for key in [key for key, other in self._links.items() if other is link]:
            del self._links[key]

    def knock(self, link: Link, work: Coroutine[Any, Any, None]) -> None:
        """Run what tells the target of a link, and ends when the target has it."""
        task = asyncio.get_running_loop().create_task(work)
        self._knocks.setdefault(link, set()).add(task)
        task.add_done_callback(lambda _: self._knocked(link, task))

    async def request(self, key: bytes) -> None:
        """Have the target cancel, whether the key is ours or another worker's."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CANCEL_SECONDS):
                if not await self.here(key):
                    await self._elsewhere(key)

    async def here(self, key: bytes) -> bool:
        """Have the target of the link with this key cancel; False where no link of ours has it."""
        link = self._links.get(key)
        if link is None:
            return False
        link.cancel()
        if knocks := self._knocks.get(link):
            await asyncio.wait(set(knocks))
        return True

    def _knocked(self, link: Link, task: asyncio.Task[None]) -> None:
        knocks = self._knocks[link]
        knocks.discard(task)
        if not knocks:
            del self._knocks[link]
