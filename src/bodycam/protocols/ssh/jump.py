"""A way through the gateway, for a client that uses it as a jump host: a link within the link.

What goes by is SSH again, which the gateway ends here too: it asks once more who it is, and what is opened is
recorded as if the client had come by itself.
"""

from collections.abc import Callable
from typing import final

import asyncssh

from bodycam.session.link import Link, Machine
from bodycam.session.nesting import Inner


@final
class Jump(asyncssh.SSHTCPSession[bytes]):
    """One channel of a jump, and what carries the link within (`session.link.Carrier`)."""

    def __init__(
        self, link: Link, machine: Callable[[Link], Machine] | str, over: Callable[[], None]
    ) -> None:
        self._link, self._machine, self._over = link, machine, over
        self._chan: asyncssh.SSHTCPChannel[bytes] | None = None
        self._inner: Inner | None = None

    # -- what asyncssh tells ---------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:
        """The channel stands."""
        self._chan = chan

    def session_started(self) -> None:
        """What the client sends is taken from here on."""
        self._inner = self._link.nest(self._machine, self)
        if self._inner is None:
            self.close()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """The client sent."""
        if self._inner is not None:
            self._inner.data(data)

    def eof_received(self) -> bool:
        """The client says no more: it has left, as at a listener."""
        if self._inner is not None:
            self._inner.lost()
        self.close()
        return True

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        if self._inner is not None:
            self._inner.slow(True)

    def resume_writing(self) -> None:
        """It does again."""
        if self._inner is not None:
            self._inner.slow(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed."""
        self._chan = None
        if self._inner is not None:
            self._inner.lost()
        self._over()

    # -- what the link within asks ---------------------------------------------------------------

    @property
    def untaken(self) -> int:
        """Bytes that the client has not taken."""
        return 0 if self._chan is None else self._chan.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """To the client."""
        if self._chan is not None and not self._chan.is_closing():
            self._chan.write(data)

    def close(self) -> None:
        """End it once what was written is taken."""
        if self._chan is not None:
            self._chan.close()

    def pause_reading(self) -> None:
        """Take nothing of the client."""
        if self._chan is not None:
            self._chan.pause_reading()

    def resume_reading(self) -> None:
        """Go on."""
        if self._chan is not None:
            self._chan.resume_reading()
