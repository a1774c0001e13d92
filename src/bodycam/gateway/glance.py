"""A look at a client's next bytes, which nobody takes: what `AskLook` asks for.

https://www.rfc-editor.org/rfc/rfc8446#section-5.1: a handshake's first record begins with the byte 22.
"""

import asyncio
import contextlib
import os
import socket
from typing import Final

from bodycam.gateway.link import ProxyLink
from bodycam.session.link import Looked, UpgradeFailed

_HANDSHAKE: Final = 22

FIRST_MOST: Final = 8 * 1024
"""Bytes that are looked at, of those that have come by then."""


async def look(link: ProxyLink, timeout: float) -> Looked | UpgradeFailed:
    """Wait for the client's next byte, for at most `timeout` seconds, and say what it begins.

    The link must not be reading its client. What a client sends within TLS can't be looked at without being
    taken; there it is TLS that it is expected to go on with.
    """
    if link.client is not None and link.client.get_extra_info("carried"):
        # there is no socket that TLS could begin on
        return UpgradeFailed("no tunnel goes through a forward of SSH")
    if link.encrypted:
        return Looked(tls=True)
    try:
        async with asyncio.timeout(timeout):
            await link.client_box_empty()
            transport = link.client
            if transport is None or transport.is_closing():
                return UpgradeFailed("the client left before it said anything")
            begun = await _peek(transport.get_extra_info("socket").fileno())
    except TimeoutError:
        return UpgradeFailed(f"the client said nothing within {timeout:g} s")
    except OSError as error:
        return UpgradeFailed(f"the client left before it said anything: {error.strerror or error}")
    if not begun:
        return UpgradeFailed("the client left before it said anything")
    return Looked(tls=begun[0] == _HANDSHAKE, first=begun)


async def _peek(descriptor: int) -> bytes:
    # one of our own: the event loop lets nobody watch the transport's
    with socket.socket(fileno=os.dup(descriptor)) as own:
        own.setblocking(False)
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_reader(own, arrived.set)
        try:
            while True:
                await arrived.wait()
                with contextlib.suppress(BlockingIOError, InterruptedError):
                    return own.recv(FIRST_MOST, socket.MSG_PEEK)
                arrived.clear()
        finally:
            loop.remove_reader(own)
