"""A client's transport on its way to another: lent for a handshake, and what happens to it meanwhile."""

import asyncio
from typing import final


@final
class Swap:
    """What a link knows of the change of its client's transport.

    `lent` is the one that is given away just now, `beneath` the one that carries the client's own since.
    """

    __slots__ = ("_empty", "beneath", "early", "ended", "lent")

    def __init__(self) -> None:
        self.lent: asyncio.Transport | None = None
        self.beneath: asyncio.Transport | None = None
        self.early = b""
        """What the client sent right behind its handshake, for when the machine has its answer."""
        self.ended = False
        """Whether the client has left by then."""
        self._empty: asyncio.Future[None] | None = None

    def lend(self, transport: asyncio.Transport) -> None:
        """It is somebody else's for now."""
        self.lent = transport

    def stands(self) -> bool:
        """The client has a transport; whether another carries it."""
        self.beneath, self.lent = self.lent, None
        return self.beneath is not None

    def lost(self) -> None:
        """The handshake has failed, and the connection with it."""
        self.abort()
        self.lent, self.ended = None, True

    def abort(self) -> None:
        """Drop what is lent: whoever has it sees the end."""
        if self.lent is not None:
            self.lent.abort()

    def take_early(self) -> bytes:
        """What came early, once."""
        early, self.early = self.early, b""
        return early

    async def empty(self) -> None:
        """Wait for `is_empty`."""
        self._empty = asyncio.get_running_loop().create_future()
        await self._empty

    def is_empty(self) -> None:
        """Nothing is queued for the client any more."""
        waits, self._empty = self._empty, None
        if waits is not None and not waits.done():
            waits.set_result(None)
