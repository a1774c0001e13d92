"""The gateway's own SSH connection to the target: its host proved, logged in with the target's credential."""

import asyncio
from collections.abc import Callable
from typing import Any, Final, final

import asyncssh

from bodycam.model.target import Dial
from bodycam.protocols.ssh.algorithms import OPTIONS
from bodycam.protocols.ssh.memory import MemoryTransport
from bodycam.protocols.ssh.packets import Packets

VERSION: Final = "bodycam"
CLOSED: Final = "it closed the connection"


@final
class _Connection(Packets, asyncssh.SSHClientConnection):
    """The gateway's connection to a target."""


class TargetUnusable(Exception):
    """The target's host or login is not what it has to be; message and hint are for people."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class WrongHost(TargetUnusable):
    """The host key that the target shows is none of those that it may have."""


@final
class TargetConnection(asyncssh.SSHClient):
    """One connection, whose bytes the link carries: `send` gets what goes out, `lost` is told of its end."""

    def __init__(self, send: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self._send, self._lost = send, lost
        self._shown: asyncssh.SSHKey | None = None
        self._connection: asyncssh.SSHClientConnection | None = None
        self._early: list[bytes] = []
        self._gone = False
        self.stands = False
        """Whether the gateway is logged in."""

    @property
    def ssh(self) -> asyncssh.SSHClientConnection:
        """The connection, once `log_in` is over."""
        assert self._connection is not None
        return self._connection

    def receive(self, data: bytes) -> None:
        """What the target sent."""
        if self._connection is None:
            # a server greets first, maybe before anybody has taken up the connection
            self._early.append(data)
        else:
            self._connection.data_received(data)

    async def log_in(self, dial: Dial) -> None:
        """Greet, prove the host, log in.

        Raises:
            TargetUnusable: it did not work.
        """
        await self._reach(dial, "auth")
        self.stands = True

    async def prove_host(self, dial: Dial) -> None:
        """Greet and prove the host, and go no further: nobody logs in.

        Raises:
            WrongHost: it shows a host key that it may not have.
            TargetUnusable: it did not work.
        """
        await self._reach(dial, "kex")

    async def _reach(self, dial: Dial, step: str) -> None:
        options = _options(self, dial)
        loop = asyncio.get_running_loop()
        established = options.waiter = loop.create_future()
        self._connection = _Connection(loop, options, wait=step)
        # the host's name is among the options; asyncssh takes what stands here for an address
        self._connection.connection_made(MemoryTransport(self._send, lambda: None, ("", dial.port)))
        early, self._early = self._early, []
        for data in early:
            self._connection.data_received(data)
        if self._gone:
            self.gone()
        try:
            await established
        except asyncssh.HostKeyNotVerifiable as error:
            raise self._wrong_host(str(error.reason)) from error
        except asyncssh.PermissionDenied as error:
            raise TargetUnusable(
                f"it refused the gateway's login as {dial.user}",
                "For the gateway's operator: look at user and credential of the target in the settings.",
            ) from error
        except (asyncssh.Error, OSError) as error:
            reason = getattr(error, "reason", "") or str(error)
            raise TargetUnusable(f"SSH with it failed: {reason:.300}") from error

    def gone(self) -> None:
        """The target has closed the connection; if the login is under way, that fails by it."""
        self._gone = True
        if self._connection is not None:
            self._connection.connection_lost(OSError(CLOSED))

    def close(self) -> None:
        """End it, as far as it stands."""
        if self._connection is not None:
            self._connection.abort()

    # -- what asyncssh tells ---------------------------------------------------------------------

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        if self.stands:
            self.stands = False
            reason = getattr(exc, "reason", "") or ("" if exc is None else str(exc))
            self._lost(f"the target ended the connection{f': {reason:.300}' if reason else ''}")

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """A host key that is not among the known ones: remembered, so that it can be named."""
        self._shown = key
        return False

    def validate_host_ca_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """The same for the key of a certificate authority."""
        self._shown = key
        return False

    def _wrong_host(self, reason: str) -> WrongHost:
        if self._shown is None:
            return WrongHost(f"its host key can't be verified: {reason:.200}", _FOR_OPERATORS)
        kind, print_ = self._shown.get_algorithm(), self._shown.get_fingerprint()
        return WrongHost(f"its host key is none that the settings know: {kind} {print_}", _FOR_OPERATORS)


_FOR_OPERATORS = (
    "For the gateway's operator: compare it with the host itself (ssh-keyscan, ssh-keygen -l); if it has "
    "changed rightly, put the new key into known_hosts or host_keys of the target."
)


def _options(client: TargetConnection, dial: Dial) -> asyncssh.SSHClientConnectionOptions:
    credential: dict[str, Any] = {"client_keys": None, "password": dial.password}
    if dial.client_key is not None:
        try:
            key: Any = asyncssh.import_private_key(dial.client_key)
            if dial.client_cert is not None:
                key = (key, asyncssh.import_certificate(dial.client_cert))
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise TargetUnusable("the gateway's own key for it can't be read", str(error)) from error
        credential["client_keys"] = [key]
    try:
        known: Any = asyncssh.import_known_hosts(dial.known_hosts)
    except ValueError as error:
        raise TargetUnusable("the known hosts of its settings can't be read", str(error)) from error
    return asyncssh.SSHClientConnectionOptions(
        client_factory=lambda: client,
        host=dial.host,
        port=dial.port,
        username=dial.user,
        known_hosts=known,
        agent_path=None,
        x509_trusted_certs=None,
        encoding=None,
        agent_forwarding=False,
        client_version=VERSION,
        preferred_auth="publickey" if dial.client_key is not None else "password,keyboard-interactive",
        **credential,
        **OPTIONS,
    )
