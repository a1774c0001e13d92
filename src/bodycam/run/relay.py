"""A plain door on this machine to a gateway elsewhere that speaks TLS.

Many clients can't speak TLS to a proxy: some fail, and aiohttp and gRPC leave it out and go straight to the
target. So the children of a run get a proxy on loopback, and what they send goes on over verified TLS. It
knows no secret and opens nothing: who comes in without the run's credential is refused by the gateway.
"""

import asyncio
import contextlib
import ssl
from types import TracebackType
from typing import Self

from bodycam.run.beside import Beside
from bodycam.run.gateway import Listener

CONNECT_SECONDS = 15.0
LINGER_SECONDS = 30.0
"""How long one side may go on after the other has said that it sends no more."""

CHUNK = 64 * 1024
CONNECTIONS = 512
"""Of a child's at a time; more of them wait."""

_AWAY = b"the gateway can't be reached, or its certificate can't be verified\n"
_BAD_GATEWAY = (
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_AWAY), _AWAY)
)


class Relay:
    """Listens on loopback in a thread, as long as the `with` block lasts; `listener` is where.

    `ca_pem` vouches for the gateway, the system's CAs if it is "".
    """

    def __init__(self, gateway: Listener, ca_pem: str) -> None:
        self._gateway = gateway
        self._context = ssl.create_default_context(cadata=ca_pem or None)
        self._beside = Beside("relay")
        self._places = asyncio.Semaphore(CONNECTIONS)
        self.listener = gateway

    def __enter__(self) -> Self:
        """Start to listen.

        Raises:
            OSError: there is no port left.
        """
        server = self._beside.start(asyncio.start_server(self._client, "127.0.0.1", 0))
        self.listener = Listener("127.0.0.1", int(server.sockets[0].getsockname()[1]), tls=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beside.stop()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._places:
            try:
                await self._relay(reader, writer)
            except asyncio.CancelledError:
                writer.transport.abort()  # the run is over
            except OSError:
                return  # a side went away; closing the other says so
            finally:
                writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gateway = self._gateway
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                inward, outward = await asyncio.open_connection(
                    gateway.host, gateway.port, ssl=self._context, limit=CHUNK
                )
        except (OSError, TimeoutError):
            writer.write(_BAD_GATEWAY)
            await writer.drain()
            return
        ways = [
            asyncio.ensure_future(_pump(reader, outward)),
            asyncio.ensure_future(_pump(inward, writer)),
        ]
        try:
            _, open_ways = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            if ways[1] in open_ways:  # the client sends no more, and may still be reading
                await asyncio.wait(open_ways, timeout=LINGER_SECONDS)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            outward.transport.abort()  # what it still had to say was read, or nobody is there to read it


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
