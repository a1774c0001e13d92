"""A link whose client comes through another link: its bytes are the content of a channel there."""

import asyncio
from collections.abc import Callable
from typing import Any, final

from bodycam.gateway.link import ProxyLink
from bodycam.gateway.listener import PEEK
from bodycam.net.opening import Begin, More, Refuse, Reply
from bodycam.protocols import Opening
from bodycam.session.nesting import Carrier


@final
class CarriedTransport(asyncio.Transport):
    """The client's transport of a link that another one carries."""

    def __init__(self, carrier: Carrier) -> None:
        super().__init__()
        self._carrier = carrier
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Hand on what the journal has."""
        if not self._closing:
            self._carrier.write(bytes(data))

    def get_write_buffer_size(self) -> int:
        """What the client has not taken."""
        return self._carrier.untaken

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._closing

    def close(self) -> None:
        """End it once what was written is taken."""
        if not self._closing:
            self._closing = True
            self._carrier.close()

    def abort(self) -> None:
        """End it now."""
        self.close()

    def pause_reading(self) -> None:
        """Take nothing of the client."""
        self._carrier.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        self._carrier.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """That it is `carried`, and so encrypted; what lies beneath is another's."""
        return True if name == "carried" else default


@final
class Nested:
    """What carries a link tells it (`session.link.Inner`)."""

    def __init__(self, link: ProxyLink) -> None:
        self._link = link

    def data(self, data: bytes) -> None:
        """The client sent."""
        self._link.client_data(data)

    def lost(self) -> None:
        """The client's end is closed."""
        self._link.client_lost()

    def slow(self, slow: bool) -> None:
        """The client does not take what is sent, or does again."""
        if slow:
            self._link.pause("target", "slow peer")
        else:
            self._link.resume("target", "slow peer")
            self._link.resume("client", "own answers")


@final
class Approach:
    """A client within a link until it is known how it begins: as at a listener, but that there is no TLS."""

    def __init__(self, opening: Opening, carrier: Carrier, begin: Callable[[], Nested]) -> None:
        self._opening, self._carrier, self._begin = opening, carrier, begin
        self._early = b""
        self._nested: Nested | None = None
        self._over = False

    def data(self, data: bytes) -> None:
        """The client sent."""
        if self._nested is not None:
            self._nested.data(data)
            return
        self._early += data
        while self._early and not self._over:
            match self._opening.look(self._early[:PEEK]):
                case Reply(consume=consume, data=reply):
                    self._early = self._early[consume:]
                    self._carrier.write(reply)
                case Begin():
                    self._nested, early = self._begin(), self._early
                    self._early = b""
                    self._nested.data(early)
                case More() if len(self._early) < PEEK:
                    return
                case Refuse(reply=reply):
                    self._carrier.write(reply)
                    self._end()
                case _:
                    self._end()

    def _end(self) -> None:
        self._over = True
        self._carrier.close()

    def lost(self) -> None:
        """The client's end is closed."""
        if self._nested is not None:
            self._nested.lost()

    def slow(self, slow: bool) -> None:
        """The client does not take what is sent, or does again."""
        if self._nested is not None:
            self._nested.slow(slow)
