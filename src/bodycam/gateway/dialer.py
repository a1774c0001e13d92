"""Connecting to a target: the address, the protocol's own opening, TLS as its mode asks."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from bodycam.gateway.link import ProxyLink
from bodycam.gateway.side import Side
from bodycam.model.target import Dial, Reach
from bodycam.net.egress import Place, place, reachable
from bodycam.net.known_contexts import known_context
from bodycam.net.opening import Fail, Plain, Retry, TargetLook, Tls
from bodycam.net.tls import TlsError, client_context
from bodycam.protocols import TargetOpening
from bodycam.session.link import DialDone, DialFailed

OpeningFor = Callable[[Dial], TargetOpening]

LOOKUP_TIMEOUT = 5.0
Lookup = Callable[[str, int], Awaitable[Sequence[tuple[int, Any]]]]
"""Gives a host's addresses for a port, each a socket's family and address; raises OSError if it has none."""


class Unreachable(Exception):
    """None of a host's addresses may be connected to; an operator is told what would change that."""

    def __init__(self, wanted: Dial, address: str) -> None:
        super().__init__(f"{wanted.host} is at {address}, which is an address {place(address).value}")
        if wanted.reach is Reach.PUBLIC and place(address) is Place.PRIVATE:
            self.hint = "For the gateway's operator: `private: true` at its target allows private addresses."
        else:
            self.hint = (
                "Hosts are never reached there. For the gateway's operator: a target with this place as its "
                "`address` is."
            )


async def look_up(host: str, port: int) -> Sequence[tuple[int, Any]]:
    """What the system's resolver says."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, at) for family, _, _, _, at in found]


async def dial(
    link: ProxyLink, wanted: Dial, opening: TargetOpening, lookup: Lookup = look_up
) -> DialDone | DialFailed:
    """Give the link a target side, or say why not, within the dial's own timeout."""
    try:
        async with asyncio.timeout(wanted.connect_timeout):
            while True:
                outcome = await attempt(wanted, opening, lambda: Side(link, "target"), lookup)
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
    wanted: Dial, opening: TargetOpening, factory: Callable[[], asyncio.Protocol], lookup: Lookup = look_up
) -> DialDone | DialFailed | Retry:
    """Connect once, as the opening has it; Retry is to be followed by another attempt."""
    loop = asyncio.get_running_loop()
    try:
        sock = await _connect(wanted, lookup)
    except Unreachable as error:
        return DialFailed(str(error), error.hint, refused=True)
    except OSError as error:
        return DialFailed(
            f"the target can't be reached: {error.strerror or error}",
            "Check that the target runs and that its address in the settings is right.",
        )
    handed = False
    try:
        first = opening.first()
        step: TargetLook | None = None
        if isinstance(first, Tls):
            step = first
        elif first is not None:
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
                context = await asyncio.to_thread(_context, wanted, wanted.alpn or alpn)
                handed = True
                transport, _ = await loop.create_connection(
                    factory, sock=sock, ssl=context, server_hostname=wanted.host
                )
                met = cast("ssl.SSLObject", transport.get_extra_info("ssl_object"))
                return DialDone(
                    secure=True,
                    certificate=met.getpeercert(binary_form=True) or b"",
                    alpn=met.selected_alpn_protocol() or "",
                )
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
    if wanted.client_key is None or wanted.client_cert is None:
        return known_context(wanted.tls, wanted.ca_file, alpn)
    own = (wanted.client_key, wanted.client_cert)
    return client_context(wanted.tls, wanted.ca_file, alpn=alpn, own=own)


async def _connect(wanted: Dial, lookup: Lookup) -> socket.socket:
    if wanted.host.startswith("/") and wanted.reach is Reach.ANY:
        return await _connect_one(socket.AF_UNIX, wanted.host)
    # whose name a stranger chose gets less of a resolver's time than a target's
    seconds = wanted.connect_timeout
    if wanted.reach is not Reach.ANY:
        seconds = min(LOOKUP_TIMEOUT, seconds / 2)
    try:
        async with asyncio.timeout(seconds):
            found = await lookup(wanted.host, wanted.port)
    except TimeoutError:
        raise OSError(f"no address for {wanted.host} within {seconds:g} s") from None
    failure: OSError = OSError(f"no address for {wanted.host}")
    # what was checked is what is connected to: looked up again, the name may mean another place
    for family, at in permitted(wanted, found):
        try:
            return await _connect_one(family, at)
        except OSError as error:
            failure = error
    raise failure


def permitted(wanted: Dial, found: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """The addresses of a host that may be connected to, of those that were found.

    Raises:
        Unreachable: there are some, and none may be.
    """
    allowed = [(family, at) for family, at in found if reachable(_address(at), wanted.reach)]
    if found and not allowed:
        addresses = [_address(at) for _, at in found]
        # the one that a setting could allow says more than the others
        private = (one for one in addresses if place(one) is Place.PRIVATE)
        raise Unreachable(wanted, next(private, addresses[0]))
    return allowed


def _address(at: Any) -> str:
    # IPv6: (address, port, flow, scope); a scope that is not in the text counts too
    return f"{at[0]}%{at[3]}" if len(at) == 4 and at[3] and "%" not in at[0] else str(at[0])


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
