"""The control process's own life: its sockets, its server, its upkeep, until it is told to stop."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import structlog
import uvicorn

from bodycam.api.app import create_app
from bodycam.api.context import Control
from bodycam.api.upkeep import keep
from bodycam.config.types import HostPort

log = structlog.get_logger(__name__)

STOP_SECONDS = 5


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handlers: the composition root has one for the whole process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    context: Control,
    listen: HostPort,
    stop: asyncio.Event,
    *,
    sockets: Path,
    tls: Callable[[], ssl.SSLContext] | None = None,
    beside: tuple[Coroutine[Any, Any, None], ...] = (),
    started: Callable[[HostPort], None] = lambda _address: None,
) -> None:
    """Serve the control API at `listen` and the workers at `<sockets>/control.sock` until `stop` is set.

    `tls` is asked for the context at every handshake, so that a renewed certificate is used from then on;
    None serves plain HTTP. `beside` runs along (the archivist's line). `started` is told the address in use.

    Raises:
        OSError: the address or the socket's folder can't be used; the text names it.
        Exception: whatever a part that runs beside failed with; the process is to be started again.
    """
    server = _Server(
        uvicorn.Config(
            create_app(context),
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            timeout_graceful_shutdown=STOP_SECONDS,
            limit_concurrency=1000,
            h11_max_incomplete_event_size=64 * 1024,
            ssl_context_factory=None if tls is None else _factory(tls),
        )
    )
    sock = await _bound(listen)
    try:
        await context.workers.start(sockets / "control.sock")
    except OSError:
        sock.close()
        raise
    parts = [asyncio.create_task(part) for part in (keep(context), *beside)]
    serving = asyncio.create_task(server.serve(sockets=[sock]))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        host, port = sock.getsockname()[:2]
        started(HostPort(host, port))
        log.info("the control API listens", address=str(HostPort(host, port)))
        await asyncio.wait({*parts, serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        context.closing.set()
        server.should_exit = True
        stopping.cancel()
        for part in parts:
            part.cancel()
        ended = await asyncio.gather(serving, *parts, stopping, return_exceptions=True)
        await context.workers.stop()
        sock.close()
    for one in ended:
        if isinstance(one, Exception):
            raise one


def _factory(
    tls: Callable[[], ssl.SSLContext],
) -> Callable[[uvicorn.Config, Callable[[], ssl.SSLContext]], ssl.SSLContext]:
    def make(_config: uvicorn.Config, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        first = tls()

        def fresh(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
            connection.context = tls()

        # called at every handshake, with a server name or without: how a certificate is renewed in flight
        first.sni_callback = fresh
        return first

    return make


async def _bound(listen: HostPort) -> socket.socket:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"the control API can't listen at {listen}: {error.strerror}") from error
    return sock
