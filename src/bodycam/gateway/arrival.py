"""The client's side until its connection stands, encrypted or not: then a link takes it, or none does."""

import asyncio
from collections.abc import Callable
from typing import cast

from bodycam.gateway.link import ProxyLink
from bodycam.gateway.side import Side

Take = Callable[[asyncio.Transport], ProxyLink | None]
"""Makes the link of a connection that stands, or says by None that it is to be closed."""


class Arrival(asyncio.Protocol):
    """Waits for the TLS handshake, whose outcome decides whether there is a link at all."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self.link: ProxyLink | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, and nothing of it was read yet."""
        standing = cast("asyncio.Transport", transport)
        self.link = self._take(standing)
        if self.link is None:
            standing.close()
            return
        side = Side(self.link, "client")
        standing.set_protocol(side)
        side.connection_made(standing)
