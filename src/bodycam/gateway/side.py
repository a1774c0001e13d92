"""One transport's callbacks, told to its link."""

import asyncio
from typing import cast

from bodycam.gateway.link import ProxyLink


class Side(asyncio.Protocol):
    """One transport's callbacks, told to the link."""

    def __init__(self, link: ProxyLink, name: str) -> None:
        self._link, self._name = link, name
        self._other = "target" if name == "client" else "client"
        self.data_received = link.client_data if name == "client" else link.target_data  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        # uvloop's transports are asyncio's by shape, not by class
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=256 * 1024)
        self._link.attach(self._name, self._transport)

    def eof_received(self) -> bool:
        """The peer will send no more: it has left. Waiting for it to take what is queued might never end."""
        if self._name == "client":
            self._link.client_lost()
        else:
            self._link.target_lost(self._transport)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended, in order or not."""
        if self._name == "client":
            self._link.client_lost()
        else:
            self._link.target_lost(self._transport)

    def pause_writing(self) -> None:
        """This peer reads too slowly."""
        self._link.pause(self._other, "slow peer")

    def resume_writing(self) -> None:
        """This peer has caught up."""
        self._link.resume(self._other, "slow peer")
        self._link.resume(self._name, "own answers")
