"""The gateway as the SSH server of a client: its proof of who it is, and what it asks to be opened.

asyncssh checks the signature of a certificate's key; whose certificate it is, and what may be opened with it,
is the control process's word.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, final

import asyncssh
from asyncssh.constants import MSG_SERVICE_REQUEST
from asyncssh.packet import SSHPacket

from bodycam.protocols.ssh.algorithms import OPTIONS
from bodycam.protocols.ssh.answers import VERSION
from bodycam.protocols.ssh.memory import MemoryTransport
from bodycam.protocols.ssh.packets import Packets
from bodycam.protocols.ssh.server_channel import ServerChannel

CHANNELS_MOST: Final = 64
"""Channels of one connection that are open at a time."""

PROOFS_MOST: Final = 6
"""Proofs that one connection may try, as OpenSSH's MaxAuthTries."""

PASSWORD_MOST: Final = 32 * 1024

OPENSSH_LONGEST: Final = 1023
"""Bytes of a password that OpenSSH's client has room for (its readpass.c); it cuts what is longer."""

_CUT: Final = (
    f"It came with {OPENSSH_LONGEST} characters, and OpenSSH's client cuts passwords there: "
    "use `bodycam run`, or a client that sends all of it."
)
_USERAUTH: Final = b"ssh-userauth"
_WINDOW: Final = 2 * 1024 * 1024
_PACKET: Final = 32 * 1024


class Host(Protocol):
    """Whoever the client has come to."""

    async def by_certificate(self, name: str, blob: bytes) -> str | None:
        """Open what a user name asks for to a certificate's holder: None if it may, else why not."""

    async def by_password(self, name: str, password: str) -> str | None:
        """The same by a password."""

    def session_channel(self) -> asyncssh.SSHServerSession[bytes] | None:
        """A channel for a program or files; None: there are too many."""

    def forward(self, kind: str, host: str, port: int) -> Any:
        """A way on from the target is wanted: what carries it, or why there is none."""

    def listen(self, kind: str, what: str) -> None:
        """Somebody at the target is to reach the client: it is refused, and on the record."""

    def client_lost(self, error: Exception | None) -> None:
        """The client's connection is over."""


@final
class ClientConnection(Packets, asyncssh.SSHServerConnection):
    """One client's connection. `host` decides; the link carries the bytes."""

    host: Host

    def get_key_option(self, option: str, default: object = None) -> object:
        """A certificate's principal is the run that it was given to, whatever the user name asks for."""
        return True if option == "principals" else super().get_key_option(option, default)

    def process_packet(self, pkttype: int, pktid: int, packet: SSHPacket) -> Any:
        """Take a packet. As with OpenSSH, each proof may ask for its service anew: paramiko does."""
        if pkttype == MSG_SERVICE_REQUEST and self._auth_in_progress:
            self._next_service = _USERAUTH
        return super().process_packet(pkttype, pktid, packet)

    async def validate_public_key(self, username: str, key_data: bytes, msg: bytes, signature: bytes) -> bool:
        """Whether a key proves who it is: a certificate's alone can, and its signature has to hold first."""
        held = await super().validate_public_key(username, key_data, msg, signature)
        if not held or not msg:
            return held
        reception = self.get_owner()
        assert isinstance(reception, Reception)
        return await reception.proved(self.host.by_certificate(username, key_data))

    def create_server_channel(
        self, encoding: str | None = "", errors: str = "", window: int = 0, max_pktsize: int = 0
    ) -> ServerChannel:
        """A channel for a program or files, which outlasts the client's close."""
        self._update_recv_pktlen(max_pktsize)
        return ServerChannel.plain(self, asyncio.get_running_loop(), window, max_pktsize)

    async def attach_x11_listener(self, *_: Any) -> str | None:
        """X11 is not carried."""
        self.host.listen("x11", "the client's display")
        return None

    async def create_agent_listener(self) -> bool:
        """An agent's keys would leave the client's machine."""
        self.host.listen("agent", "the client's agent")
        return False


@final
class Reception(asyncssh.SSHServer):
    """What asyncssh asks about one client."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._connection: asyncssh.SSHServerConnection | None = None
        self._proofs = 0

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """It stands."""
        self._connection = conn

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._host.client_lost(exc)

    def public_key_auth_supported(self) -> bool:
        """By a certificate."""
        return True

    def validate_ca_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Who signed a certificate is asked of the control process, once its key is proved."""
        return True

    def password_auth_supported(self) -> bool:
        """By a run credential or a provider's token."""
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Whether a password proves who it is; asked for in either of two ways (RFC 4252, RFC 4256)."""
        if len(password) > PASSWORD_MOST:
            return False
        cut = _CUT if len(password) == OPENSSH_LONGEST else ""
        return await self.proved(self._host.by_password(username, password), cut)

    async def proved(self, answer: Awaitable[str | None], more: str = "") -> bool:
        """Whether a proof holds; the client is told why not, and `more`."""
        self._proofs += 1
        assert self._connection is not None
        if self._proofs > PROOFS_MOST:
            raise asyncssh.PermissionDenied("too many proofs that did not hold")
        why = await answer
        if why is None:
            return True
        lines = [*why.splitlines(), *more.splitlines()]
        self._connection.send_auth_banner("".join(f"bodycam: {line}\n" for line in lines))
        return False

    def session_requested(self) -> Any:
        """A channel for a program or files."""
        return self._host.session_channel() or False

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        """-L, -D, -W and ProxyJump."""
        return self._carried("forward", dest_host, dest_port)

    def unix_connection_requested(self, dest_path: str) -> Any:
        """-L to a socket's path."""
        return self._carried("socket-forward", dest_path, 0)

    def server_requested(self, listen_host: str, listen_port: int) -> Any:
        """-R."""
        self._host.listen("reverse-forward", f"{listen_host}:{listen_port}")
        return False

    def unix_server_requested(self, listen_path: str) -> Any:
        """-R of a socket's path."""
        self._host.listen("reverse-forward", listen_path)
        return False

    def tun_requested(self, unit: int | None) -> Any:
        """-w."""
        return self._carried("tunnel", _device("tun", unit), 0)

    def tap_requested(self, unit: int | None) -> Any:
        """-w, with Ethernet frames."""
        return self._carried("tunnel", _device("tap", unit), 0)

    def _carried(self, kind: str, host: str, port: int) -> Any:
        carried = self._host.forward(kind, host, port)
        if isinstance(carried, str):
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, carried)
        return carried


def _device(kind: str, unit: int | None) -> str:
    """A network device's name; of any unit it is its kind alone."""
    return kind if unit is None else f"{kind}{unit}"


_kept: dict[bytes, asyncssh.SSHServerConnectionOptions] = {}


def client_connection(
    host: Host, key: bytes, send: Callable[[bytes], None], closed: Callable[[], None], peer: tuple[str, int]
) -> ClientConnection:
    """Greet a client, as the host whose private key (OpenSSH's text) that is."""
    base = _kept.get(key)
    if base is None:
        # one key a worker, read once
        _kept.clear()
        base = _kept[key] = asyncssh.SSHServerConnectionOptions(
            server_factory=asyncssh.SSHServer,
            server_host_keys=[asyncssh.import_private_key(key)],
            server_version=VERSION,
            encoding=None,
            line_editor=False,
            x11_forwarding=False,
            agent_forwarding=False,
            allow_scp=False,
            kbdint_auth=True,
            window=_WINDOW,
            max_pktsize=_PACKET,
            **OPTIONS,
        )
    # asyncssh would look at each setting anew
    options = copy.copy(base)
    options.protocol_factory = lambda: Reception(host)
    connection = ClientConnection(asyncio.get_running_loop(), options)
    connection.host = host
    connection.connection_made(MemoryTransport(send, closed, peer))
    return connection
