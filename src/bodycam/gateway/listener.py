"""Accepting connections: the first bytes are looked at, not taken, until it is known whether TLS begins.

`start_tls` cannot take back bytes that were already read, so the raw socket is peeked (MSG_PEEK) and only
what belongs to the plaintext opening is consumed (CVE-2021-23222's class).
"""

import asyncio
import contextlib
import select
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import structlog

from bodycam.gateway.arrival import Arrival
from bodycam.gateway.link import ProxyLink
from bodycam.gateway.strangers import Stranger
from bodycam.net.handshake import Handshake, watched
from bodycam.net.opening import Begin, More, Refuse, Reply, StartTls
from bodycam.protocols import Opening, Protocol
from bodycam.session.link import Machine

log = structlog.get_logger(__name__)

PEEK = 64
"""Bytes of a client's opening that are looked at; every opening message is shorter."""

ACCEPT_BATCH = 64
"""Connections accepted in one go, so that a storm of them leaves the loop to those already open."""

ACCEPT_PAUSE = 0.5
"""Seconds without accepting after it failed: with no descriptors left, the socket stays readable for ever."""

LINGER = 1.0
"""Seconds that a client which was turned away has for reading why."""


@dataclass(frozen=True, slots=True)
class Door:
    """What a listener knows of its protocol and its own security."""

    protocol: Protocol
    tls: Callable[[], ssl.SSLContext | None]
    make_link: Callable[[Callable[..., Machine], str, bool, bytes], ProxyLink]
    """Of a machine, the client's `host:port`, whether it is secure, and the certificate it showed, in DER."""
    admit: Callable[[], str | None]
    """Why a new connection is turned away just now, or None."""
    stranger: Callable[[Stranger, str], None]
    """Count somebody who never said who they are, at `host:port`."""
    login_timeout: float


class Listener:
    """One listening socket, shared with the other workers, and the logins that are on their way."""

    def __init__(self, sock: socket.socket, door: Door, *, pending_limit: int) -> None:
        self._sock, self._door, self._limit = sock, door, pending_limit
        self._pending: set[asyncio.Task[None]] = set()
        self._waiting: dict[ProxyLink, asyncio.TimerHandle] = {}
        self._stopped = True
        self.refused = 0
        sock.setblocking(False)

    def start(self) -> None:
        """Begin to accept."""
        self._stopped = False
        asyncio.get_running_loop().add_reader(self._sock, self._accept)

    def stop(self) -> None:
        """Accept no more; the socket stays with the supervisor. Logins on their way are dropped."""
        self._stopped = True
        asyncio.get_running_loop().remove_reader(self._sock)
        for task in self._pending:
            task.cancel()

    def link_ready(self, link: ProxyLink) -> None:
        """A login is over, one way or the other."""
        timer = self._waiting.pop(link, None)
        if timer is not None:
            timer.cancel()

    def _accept(self) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                client, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                log.warning("accepting a connection failed", error=str(error))
                self._rest()
                return
            client.setblocking(False)
            reason = self._door.admit()
            under_way = len(self._pending) + len(self._waiting)
            if reason is None and under_way >= self._limit:
                reason = "too many logins are on their way"
            if reason is not None:
                self.refused += 1
            if under_way >= 2 * self._limit:
                # telling them why takes a descriptor and time as well
                client.close()
                continue
            task = asyncio.get_running_loop().create_task(self._open(client, peer, reason))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._sock)
        loop.call_later(ACCEPT_PAUSE, lambda: None if self._stopped else self.start())

    async def _open(self, client: socket.socket, peer: object, reason: str | None) -> None:
        door, loop = self._door, asyncio.get_running_loop()
        host, port = peer[:2] if isinstance(peer, tuple) else ("local", 0)
        address = f"{host}:{port}"
        deadline = loop.time() + door.login_timeout
        arrival: Arrival | None = None
        handshake: Handshake | None = None
        try:
            async with asyncio.timeout_at(deadline) as patience:
                if client.family != socket.AF_UNIX:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                context = door.tls()
                found = await self._opened(client, door.protocol, address, tls=context is not None)
                if found is None:
                    return
                reason = reason or door.admit()
                if reason is not None and isinstance(found, Begin):
                    await self._say(client, door.protocol.refuse(reason, "Try again in a moment."))
                    await _part(client)
                    return
                arrival = Arrival(lambda transport: self._take(transport, found, address, deadline))
                secure = isinstance(found, StartTls)
                handshake = watched(lambda: _hasten(patience, min(deadline, loop.time() + LINGER)))
                await loop.connect_accepted_socket(
                    lambda: arrival,
                    client,
                    ssl=context if secure else None,
                    ssl_handshake_timeout=door.login_timeout if secure else None,
                )
                if reason is not None and arrival.link is not None:
                    arrival.link.cut(reason)
        except TimeoutError:
            if not self._failed(handshake, address) and (arrival is None or arrival.link is None):
                door.stranger(Stranger.SILENT, address)
            if arrival is None:
                with contextlib.suppress(OSError):
                    text = f"no login within {door.login_timeout:g} s"
                    client.send(door.protocol.refuse(text, "Send a startup message and log in."))
                await _part(client)
        except OSError as error:
            if not self._failed(handshake, address):
                log.info("a connection ended before its login", address=address, error=str(error))
            if arrival is not None and arrival.link is not None:
                # no transport will ever tell this link that its client is gone
                arrival.link.client_lost()
        finally:
            if arrival is None:
                client.close()

    def _take(
        self, transport: asyncio.Transport, found: StartTls | Begin, address: str, deadline: float
    ) -> ProxyLink | None:
        """The link of a connection that stands; None where its handshake is not what it has to be."""
        door, secure = self._door, isinstance(found, StartTls)
        handshake = cast("ssl.SSLObject | None", transport.get_extra_info("ssl_object"))
        agreed = None if handshake is None else handshake.selected_alpn_protocol()
        if isinstance(found, StartTls) and found.required_alpn and agreed != found.required_alpn:
            log.info(
                "a connection was refused",
                address=address,
                reason=f"TLS at once, without the application protocol {found.required_alpn} (ALPN)",
            )
            self.refused += 1
            door.stranger(Stranger.NONSENSE, address)
            return None
        host = address.rpartition(":")[0]
        shown = None if handshake is None else handshake.getpeercert(binary_form=True)
        machine = door.protocol.machines.get(agreed or "", door.protocol.machine)
        link = door.make_link(machine, address, secure or _is_loopback(host), shown or b"")
        self._waiting[link] = asyncio.get_running_loop().call_at(deadline, self._too_slow, link)
        return link

    def _failed(self, handshake: Handshake | None, address: str) -> bool:
        """Whether it was the handshake that failed; a certificate of a strange authority is counted too."""
        if handshake is None or handshake.failure is None:
            return False
        log.info("a TLS handshake failed", address=address, error=str(handshake.failure))
        if isinstance(handshake.failure, ssl.SSLCertVerificationError):
            self.refused += 1
            self._door.stranger(Stranger.UNTRUSTED, address)
        return True

    def _too_slow(self, link: ProxyLink) -> None:
        self._waiting.pop(link, None)
        if link.session is None:
            self._door.stranger(Stranger.SILENT, link.address)
        link.cut(f"no login within {self._door.login_timeout:g} s")

    async def _opened(
        self, client: socket.socket, protocol: Protocol, address: str, *, tls: bool
    ) -> StartTls | Begin | None:
        """How the client begins; None when it was turned away, or has left."""
        return Begin() if protocol.greets else await self._look(client, protocol.opening(tls), address)

    async def _look(self, client: socket.socket, opening: Opening, address: str) -> StartTls | Begin | None:
        """How the client begins, once all that comes before is taken; None when it was turned away."""
        wanted = 1
        while True:
            await _readable(client, wanted)
            peeked = client.recv(PEEK, socket.MSG_PEEK)
            if not peeked or (len(peeked) < wanted and _hung_up(client)):
                return None
            match opening.look(peeked):
                case More():
                    wanted = len(peeked) + 1
                case Reply(consume=consume, data=data):
                    client.recv(consume)
                    await self._say(client, data)
                    wanted = 1
                case StartTls(consume=consume, reply=reply) as found:
                    if consume:
                        client.recv(consume)
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
                    await self._say(client, reply)
                    return found
                case Begin() as found:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
                    return found
                case Refuse(reply=reply, reason=reason):
                    log.info("a connection was refused", reason=reason)
                    self.refused += 1
                    self._door.stranger(Stranger.NONSENSE, address)
                    await self._say(client, reply)
                    await _part(client)
                    return None

    @staticmethod
    async def _say(client: socket.socket, data: bytes) -> None:
        if data:
            await asyncio.get_running_loop().sock_sendall(client, data)


async def _readable(sock: socket.socket, wanted: int) -> None:
    """Wait until `wanted` bytes can be read, or the peer has closed.

    Bytes that were only peeked leave the socket readable; SO_RCVLOWAT makes the kernel wait for more.
    """
    loop = asyncio.get_running_loop()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)
    arrived = asyncio.Event()
    loop.add_reader(sock, arrived.set)
    try:
        await arrived.wait()
    finally:
        loop.remove_reader(sock)


def _hasten(patience: asyncio.Timeout, when: float) -> None:
    """Whoever was told by TLS that the handshake has failed has a moment to read it, and no more."""
    with contextlib.suppress(RuntimeError):  # it is over in this very moment
        patience.reschedule(when)


def _hung_up(sock: socket.socket) -> bool:
    """Whether the peer has sent its last byte, though some of them are still unread."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    return bool(poll.poll(0))


async def _part(client: socket.socket) -> None:
    """Let the last words arrive: closing over unread bytes is a reset, which may overtake them."""
    with contextlib.suppress(OSError, TimeoutError):
        client.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(LINGER):
            while await asyncio.get_running_loop().sock_recv(client, 65536):
                pass


def _is_loopback(host: str) -> bool:
    return host == "local" or host.startswith("127.") or host in ("::1", "::ffff:127.0.0.1")
