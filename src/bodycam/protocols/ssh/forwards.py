"""A way on through the target that policy let through: bytes both ways, recorded before they go on."""

from collections.abc import Callable
from typing import Final, final

import asyncssh

from bodycam.model.event import Outcome
from bodycam.session.session import Exchange

_WINDOW: Final = 2 * 1024 * 1024
_PACKET: Final = 32 * 1024


@final
class Forward:
    """One forwarded connection: `near` is the client's channel, `far` the one at the target."""

    def __init__(self, exchange: Exchange, over: Callable[[], None]) -> None:
        self._exchange, self._over = exchange, over
        self.near, self.far = _End(self, to_target=True), _End(self, to_target=False)

    async def connect(self, target: asyncssh.SSHClientConnection, host: str, port: int) -> None:
        """Have the target connect to where it goes.

        Raises:
            asyncssh.ChannelOpenError: it would not, or could not.
        """
        try:
            if port:
                await target.create_connection(
                    lambda: self.far, host, port, window=_WINDOW, max_pktsize=_PACKET
                )
            else:
                await target.create_unix_connection(
                    lambda: self.far, host, window=_WINDOW, max_pktsize=_PACKET
                )
        except asyncssh.ChannelOpenError as error:
            self._exchange.finish(Outcome.ERROR, None, {"code": str(error.code), "message": error.reason})
            self._over()
            raise
        # nothing is read before there is somebody to take it
        self.far.pause()

    def started(self) -> None:
        """The client's channel stands."""
        self.far.resume()

    def moved(self, data: bytes, *, to_target: bool) -> None:
        """Record what one side said, then pass it on."""
        if to_target:
            self._exchange.recorded_to_target(data)
            self.far.write(data)
        else:
            self._exchange.recorded_to_client(data)
            self.near.write(data)

    def other(self, *, to_target: bool) -> "_End":
        """The end that gets what the other sends."""
        return self.far if to_target else self.near

    def lost(self, *, to_target: bool) -> None:
        """One side is closed."""
        if not self._exchange.finished:
            self._exchange.finish(Outcome.OK)
            self._over()
        self.other(to_target=to_target).close()


@final
class _End(asyncssh.SSHTCPSession[bytes], asyncssh.SSHUNIXSession[bytes]):
    """One end's channel."""

    def __init__(self, forward: Forward, *, to_target: bool) -> None:
        self._forward, self._to_target = forward, to_target
        self._chan: asyncssh.SSHTCPChannel[bytes] | None = None

    def connection_made(self, chan: asyncssh.SSHTCPChannel[bytes]) -> None:  # type: ignore[override]
        self._chan = chan

    def session_started(self) -> None:
        if self._to_target:
            self._forward.started()

    def data_received(self, data: bytes, datatype: int | None) -> None:
        self._forward.moved(data, to_target=self._to_target)

    def eof_received(self) -> bool:
        other = self._forward.other(to_target=self._to_target)
        other.write_eof()
        return True

    def pause_writing(self) -> None:
        self._forward.other(to_target=self._to_target).pause()

    def resume_writing(self) -> None:
        self._forward.other(to_target=self._to_target).resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self._chan = None
        self._forward.lost(to_target=self._to_target)

    def write(self, data: bytes) -> None:
        if self._chan is not None and not self._chan.is_closing():
            self._chan.write(data)

    def write_eof(self) -> None:
        if self._chan is not None and not self._chan.is_closing():
            self._chan.write_eof()

    def pause(self) -> None:
        if self._chan is not None:
            self._chan.pause_reading()

    def resume(self) -> None:
        if self._chan is not None:
            self._chan.resume_reading()

    def close(self) -> None:
        if self._chan is not None:
            self._chan.close()
