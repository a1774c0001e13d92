"""One turn of a worker's event loop: what all its links recorded is committed once, then released.

A commit costs an encryption and a copy whatever its size, so the busier a worker is, the less a message pays
for it; an idle one commits as soon as the loop has nothing else to do.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol, final

from bodycam.gateway.link import ProxyLink
from bodycam.journal.writer import JournalUnwritable

GATHERED_MOST: Final = 1024 * 1024
"""Bytes of events that wait for the turn's end at most; more are committed at once."""


ALONE_AFTER: Final = 32
"""Reads in a row of one link after which it is taken to be the only one that moves."""


class Journal(Protocol):
    """The part of the journal's writer that a turn needs."""

    @property
    def gathered(self) -> int: ...

    def commit(self) -> None: ...


@final
class Turn:
    """Gathers the links that moved, and settles them together."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._moved: list[ProxyLink] = []
        self._waiting: set[ProxyLink] = set()
        self._handle: asyncio.Handle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._last: ProxyLink | None = None
        self._in_a_row = 0

    def read(self, link: ProxyLink) -> None:
        """The link has taken what was read: it moves at the turn's end, or at once if no other does."""
        if link is not self._last:
            self._last, self._in_a_row = link, 0
        elif self._in_a_row < ALONE_AFTER:
            self._in_a_row += 1
        elif self._handle is None:
            # to wait for the turn's end would gather nothing, and costs a call of the loop
            self._moved.append(link)
            self.end()
            return
        self.moved(link)

    def moved(self, link: ProxyLink) -> None:
        """The link has something to commit or to release, at the turn's end: it may be amid something."""
        if not link.gathered:
            link.gathered = True
            self._moved.append(link)
            if self._handle is None:
                if self._loop is None:
                    # asked once: asking costs a system call
                    self._loop = asyncio.get_running_loop()
                self._handle = self._loop.call_soon(self._end)
        if self._journal.gathered > GATHERED_MOST:
            self.end()

    def end(self) -> None:
        """Commit, and release what the links have queued."""
        moved, self._moved = self._moved, []
        for link in moved:
            link.gathered = False
        try:
            self._journal.commit()
        except JournalUnwritable as error:
            for link in moved:
                link.fail(str(error))
            return
        for link in moved:
            self._release(link)

    def released(self, links: Callable[[], Iterable[ProxyLink]]) -> None:
        """The journal released more, or failed, outside a commit; `links` are all there are."""
        try:
            self._journal.commit()
        except JournalUnwritable as error:
            for link in list(links()):
                link.fail(str(error))
            return
        for link in list(self._waiting):
            self._release(link)

    def forget(self, link: ProxyLink) -> None:
        """The link is gone."""
        self._waiting.discard(link)
        if link is self._last:
            self._last = None

    def _end(self) -> None:
        self._handle = None
        self.end()

    def _release(self, link: ProxyLink) -> None:
        try:
            link.release()
        except Exception as error:
            # law 2: a fault at one link must not keep what is released from the others
            link.drop(error)
        if link.waiting:
            self._waiting.add(link)
        elif self._waiting:
            self._waiting.discard(link)
