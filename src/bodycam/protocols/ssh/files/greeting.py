"""How SFTP begins: the version is agreed on, and where relative paths begin is found out.

The target is asked for its starting folder before the client gets the version, so that a path which doesn't
begin with a slash is judged by what it means.
"""

from collections.abc import Callable
from typing import Final, final

from bodycam.protocols.ssh.files import codec, messages
from bodycam.protocols.ssh.files.codec import Malformed
from bodycam.protocols.ssh.files.extensions import understood
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.files.messages import VERSION, Hello, Request, Type
from bodycam.protocols.ssh.files.paths import shown, unfit
from bodycam.session.session import Exchange

_OURS: Final = 0


@final
class Greeting:
    """The first packets of a channel; `home` is the starting folder, empty where the target would not say."""

    __slots__ = ("_client", "_exchange", "_hello", "_target", "client_waits", "done", "home")

    def __init__(
        self, exchange: Exchange, client: Callable[[bytes], None], target: Callable[[bytes], None]
    ) -> None:
        self._exchange, self._client, self._target = exchange, client, target
        self._hello: bytes | None = None
        self.home = b""
        self.client_waits, self.done = True, False

    def init(self, packet: bytes) -> None:
        """The client's INIT: no version later than 3 is asked for.

        Raises:
            FilesFault: it is none.
        """
        self.client_waits = False
        try:
            asked = messages.hello(packet, Type.INIT)
        except Malformed as error:
            raise FilesFault(f"the client's beginning makes no sense: {error}") from None
        sent = codec.framed(Hello(Type.INIT, min(asked.version, VERSION)).pack())
        self._exchange.recorded_to_target(sent)
        self._target(sent)

    def answer(self, packet: bytes) -> None:
        """The target's VERSION, and then its answer to what it was asked.

        Raises:
            FilesFault: it is something else, or another version.
        """
        try:
            if self.client_waits:
                raise FilesFault("the target sent something before it was asked")
            if self._hello is None:
                self._agree(messages.hello(packet, Type.VERSION))
            else:
                self._begin(messages.reply(packet))
        except Malformed as error:
            raise FilesFault(f"the target's beginning makes no sense: {error}") from None

    def _agree(self, said: Hello) -> None:
        if said.version != VERSION:
            raise FilesFault(f"the target speaks version {said.version} of SFTP; {VERSION} is needed")
        self._hello = codec.framed(Hello(Type.VERSION, VERSION, understood(said.extensions)).pack())
        self._exchange.note("sftp", version=VERSION, asks="where relative paths begin")
        self._target(codec.framed(Request(Type.REALPATH, _OURS, path=b".").pack()))

    def _begin(self, reply: messages.Reply) -> None:
        if reply.id != _OURS or reply.kind not in (Type.NAME, Type.STATUS):
            raise FilesFault("the target answered what nobody asked")
        if len(reply.names) == 1:
            name = reply.names[0][0]
            if name.startswith(b"/") and not unfit(name):
                self.home = name
                self._exchange.note("home", path=shown(name))
        assert self._hello is not None
        self._exchange.recorded_to_client(self._hello)
        self.done = True
        self._client(self._hello)
