"""TLS contexts in which this worker stands for a host: one leaf key, a certificate for each host that is met.

The key lives as long as the worker does and is written nowhere; the control process, which has the key of the
interception CA, signs.
"""

import asyncio
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, final

import structlog

from bodycam.gateway.control import NoLeaf
from bodycam.net.authority import request
from bodycam.net.chain import end_of
from bodycam.net.handshake import WatchedContext
from bodycam.net.host_names import BadHost, checked
from bodycam.net.tls import TlsError, host_context

log = structlog.get_logger(__name__)

HOSTS_MOST: Final = 1024
"""Hosts whose certificates are kept, about 30 KiB each; the one not met for longest goes first."""

ALPN_MOST: Final = 8
"""Contexts of one host, one a list of application protocols; only a machine's few lists come here."""


@dataclass(slots=True)
class _Host:
    """A host's certificate; `due` and `end` are of the cache's clock."""

    chain: bytes
    due: float
    end: float
    contexts: dict[tuple[str, ...], WatchedContext] = field(default_factory=dict)


@final
class Interception:
    """The hosts for which this worker has a certificate.

    `ask(host, csr)` has one signed and raises NoLeaf. A certificate is renewed at the first use after half of
    its time; while that fails, the old one is used to its end.
    """

    def __init__(
        self,
        ask: Callable[[str, str], Awaitable[str]],
        *,
        most: int = HOSTS_MOST,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ask, self._most, self._clock = ask, most, clock
        self._key = self._csr = b""
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._asked: dict[str, asyncio.Task[_Host]] = {}

    async def context(self, host: str, alpn: tuple[str, ...] = ()) -> WatchedContext:
        """The server's context for `host` that agrees to these application protocols.

        Raises:
            NoLeaf: there is no certificate for it; the text says why, for people.
        """
        try:
            name = checked(host)
        except BadHost as error:
            raise NoLeaf(str(error)) from error
        known = self._hosts.get(name)
        if known is None or self._clock() >= known.due:
            known = await self._fresh(name, alpn, known)
        if name in self._hosts:
            self._hosts.move_to_end(name)
        made = known.contexts.get(alpn)
        if made is None:
            made = await self._made(name, known.chain, alpn)
            if len(known.contexts) < ALPN_MOST:
                known.contexts[alpn] = made
        return made

    async def _fresh(self, name: str, alpn: tuple[str, ...], old: _Host | None) -> _Host:
        task = self._asked.get(name)
        if task is None:
            task = self._asked[name] = asyncio.create_task(self._signed(name, alpn))
            task.add_done_callback(lambda done: self._over(name, done))
        try:
            # who leaves doesn't take the certificate away from others
            return await asyncio.shield(task)
        except NoLeaf as error:
            if old is None or self._clock() >= old.end:
                raise
            log.warning("a host's certificate could not be renewed", host=name, error=str(error))
            return old

    def _over(self, name: str, done: "asyncio.Task[_Host]") -> None:
        del self._asked[name]
        if not done.cancelled():
            # looked at, for when everybody who asked has left
            done.exception()

    async def _signed(self, name: str, alpn: tuple[str, ...]) -> _Host:
        if not self._key:
            made = request("Bodycam worker")
            self._key, self._csr = made.key_pem, made.csr_pem
        chain = (await self._ask(name, self._csr.decode())).encode()
        try:
            end = end_of(chain).timestamp()
        except ValueError as error:
            raise NoLeaf(f"the certificate for {name} can't be used: {error}") from error
        now = self._clock()
        if end <= now:
            ended = datetime.fromtimestamp(end, UTC).isoformat()
            raise NoLeaf(f"the certificate for {name} ended at {ended} by this machine's clock")
        known = _Host(chain, due=now + (end - now) / 2, end=end)
        # made at once: a chain that can't be used is found here, and takes no good one's place
        known.contexts[alpn] = await self._made(name, chain, alpn)
        self._hosts[name] = known
        self._hosts.move_to_end(name)
        while len(self._hosts) > self._most:
            self._hosts.popitem(last=False)
        return known

    async def _made(self, name: str, chain: bytes, alpn: tuple[str, ...]) -> WatchedContext:
        try:
            # beside the loop: OpenSSL takes a millisecond or two to read key and chain
            return await asyncio.to_thread(host_context, self._key, chain, name, alpn=alpn)
        except (TlsError, ssl.SSLError, ValueError) as error:
            raise NoLeaf(f"no TLS can be set up for {name}: {error}") from error
