"""Connecting to a target: the address, the protocol's own opening, TLS as its mode asks."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Any, cast

from bodycam.gateway.link import ProxyLink
from bodycam.gateway.side import Side
from bodycam.model.target import Dial
from bodycam.net.opening import Fail, Plain, Retry, Tls
from bodycam.net.tls import TlsError, client_context
from bodycam.protocols import TargetOpening
from bodycam.session.link import DialDone, DialFailed

OpeningFor = Callable[[Dial], TargetOpening]


async def dial(link: ProxyLink, wanted: Dial, opening: TargetOpening) -> DialDone | DialFailed:
    """Give the link a target side, or say why not, within the dial's own timeout."""
    try:
        async with asyncio.timeout(wanted.connect_timeout):
            while True:
                outcome = await attempt(wanted, opening, lambda: Side(link, "target"))
                if not isinstance(outcome, Retry):
                    return outcome
    except TimeoutError:
        return DialFailed(
            f"the target did not answer within {wanted.connect_timeout:g} s",
            "Check that the target runs and that the gateway's host can reach it.",
        )


async def knock(wanted: Dial, opening: TargetOpening, data: bytes) -> None:
    """Send `data` on a connection of its own and wait until the target closes it, which says that it has it.

    A target that is away is no error.
    """
    knocking = _Knock(data)
    try:
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(wanted.connect_timeout):
                while isinstance(outcome := await attempt(wanted, opening, lambda: knocking), Retry):
                    pass
                if isinstance(outcome, DialDone):
                    await knocking.taken.wait()
    finally:
        knocking.close()


async def attempt(
    wanted: Dial, opening: TargetOpening, factory: Callable[[], asyncio.Protocol]
) -> DialDone | DialFailed | Retry:
    """Connect once, as the opening has it; Retry is to be followed by another attempt."""
    loop = asyncio.get_running_loop()
    try:
        sock = await _connect(wanted)
    except OSError as error:
        return DialFailed(
            f"the target can't be reached: {error.strerror or error}",
            "Check that the target runs and that its address in the settings is right.",
        )
    handed = False
    try:
        first = opening.first()
        step = None
        if first is not None:
            await loop.sock_sendall(sock, first)
            # one byte and no more: what a man in the middle puts behind it must meet TLS, not the login
            byte = await loop.sock_recv(sock, 1)
            step = opening.answered(byte)
        match step:
            case None | Plain():
                handed = True
                await loop.create_connection(factory, sock=sock)
                return DialDone(secure=False)
            case Tls(alpn=alpn):
                context = await asyncio.to_thread(_context, wanted, alpn)
                handed = True
                transport, _ = await loop.create_connection(
                    factory, sock=sock, ssl=context, server_hostname=wanted.host
                )
                shown = transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
                return DialDone(secure=True, certificate=shown or b"")
            case Retry():
                return step
            case Fail(message=message):
                return DialFailed(message, "Check the target's `tls` setting against its server.")
    except TlsError as error:
        return DialFailed(str(error), "Check the target's `tls` settings and the files that they name.")
    except OSError as error:
        match opening.refused():
            case Retry() as again:
                return again
            case _:
                return DialFailed(
                    f"TLS with the target failed: {error}",
                    "Check the target's certificate and the `tls` and `ca_file` settings.",
                )
    finally:
        if not handed:
            sock.close()


def _context(wanted: Dial, alpn: tuple[str, ...]) -> ssl.SSLContext:
    own = None
    if wanted.client_key is not None and wanted.client_cert is not None:
        own = (wanted.client_key, wanted.client_cert)
    return client_context(wanted.tls, wanted.ca_file, alpn=alpn, own=own)


async def _connect(wanted: Dial) -> socket.socket:
    loop = asyncio.get_running_loop()
    if wanted.host.startswith("/"):
        return await _connect_one(socket.AF_UNIX, wanted.host)
    failure: OSError = OSError(f"no address for {wanted.host}")
    for family, _, _, _, address in await loop.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM):
        try:
            return await _connect_one(family, address)
        except OSError as error:
            failure = error
    raise failure


async def _connect_one(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        if family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock


class _Knock(asyncio.Protocol):
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._transport: asyncio.Transport | None = None
        self.taken = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.taken.set()

    def close(self) -> None:
        """Let go, whether the target has closed or not."""
        if self._transport is not None:
            self._transport.close()
