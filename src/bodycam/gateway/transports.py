"""Writing to a transport that may be gone, and leaving one with what it still holds."""

import asyncio
from typing import Final

CLOSE_GRACE: Final = 5.0
"""Seconds that a closing link waits for a peer to take what is queued for it."""


BACKLOG_MOST: Final = 2 * 1024 * 1024
"""Bytes that a client leaves untaken before it is not read either: far more than a target that is not read
has on its way, so that they are the gateway's own answers."""


def backlogged(transport: asyncio.Transport | None) -> bool:
    """Whether a client takes nothing of what it is answered."""
    return untaken(transport) > BACKLOG_MOST


def untaken(transport: asyncio.Transport | None) -> int:
    """Bytes that the peer has not taken from us."""
    return 0 if transport is None else transport.get_write_buffer_size()


def write(transport: asyncio.Transport | None, freed: list[bytes]) -> None:
    """Write, if there is anything and anybody."""
    if not freed or transport is None or transport.is_closing():
        return
    transport.write(freed[0] if len(freed) == 1 else b"".join(freed))


async def abort_later(transport: asyncio.Transport, beneath: asyncio.Transport | None) -> None:
    """Give a peer a bounded time to take what is queued, then drop the connection.

    `beneath` is the transport that carries this one, where that is known: it has a buffer of its own.
    """
    deadline = asyncio.get_running_loop().time() + CLOSE_GRACE
    while untaken(transport) + untaken(beneath) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)
    transport.abort()
