"""A program at the target, behind one channel: its input and output, recorded before they go on."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol, final

import asyncssh

from bodycam.model.event import Flavor, Outcome
from bodycam.protocols.ssh.answers import FAILED_STATUS
from bodycam.protocols.ssh.approvals import Approvals
from bodycam.protocols.ssh.asking import Asked, Kind
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.input import Input
from bodycam.protocols.ssh.masking import OutputMasks
from bodycam.protocols.ssh.output import Output
from bodycam.protocols.ssh.relays import FileRelay, file_relay
from bodycam.session.session import Exchange, Session

NOT_KEPT: Final = "what a program reads and says is not kept at this target"

FILES_LAG: Final = 0.1
"""Seconds without more of a file after which all that has gone on of it is recorded, to twice as many."""

_WINDOW: Final = 2 * 1024 * 1024
_PACKET: Final = 32 * 1024


class Caller(Protocol):
    """The client's channel."""

    def write(self, data: bytes) -> None: ...

    def write_errors(self, data: bytes) -> None: ...

    def write_eof(self) -> None: ...

    def hold(self) -> None: ...

    def go_on(self) -> None: ...

    def say(self, text: str) -> None: ...

    def ended(self, leave: "Leave") -> None: ...


class Leave(Protocol):
    """How the client's channel is told that its program is over."""

    def __call__(self, chan: asyncssh.SSHServerChannel[bytes], /) -> None: ...


class Place(Protocol):
    """The connection that the channel is on."""

    @property
    def session(self) -> Session: ...

    @property
    def approvals(self) -> Approvals: ...

    def stir(self) -> None: ...


@final
class Program(asyncssh.SSHClientSession[bytes]):
    """One program. `exchange` is what it is recorded as; with a `terminal` its output is a screen's."""

    def __init__(self, caller: Caller, place: Place, exchange: Exchange, *, terminal: bool) -> None:
        self._caller, self._place, self._exchange = caller, place, exchange
        masks = place.session.masks
        kept = masks is None or masks.keeps_bodies
        if not kept:
            exchange.truncated(NOT_KEPT)
        self._input = Input(place.session, exchange, self._write, kept=kept, stir=place.stir)
        flavor = Flavor.FRAMES if terminal else Flavor.CHUNK
        looked = None if masks is None else masks.terminal()
        self._out, self._err = (
            Output(
                exchange,
                flavor,
                write,
                None if looked is None else OutputMasks(looked),
                kept=kept,
                stir=place.stir,
            )
            for flavor, write in ((flavor, caller.write), (Flavor.ERRORS, caller.write_errors))
        )
        self._files: FileRelay | None = None
        self._lagging: asyncio.TimerHandle | None = None
        self._chan: asyncssh.SSHClientChannel[bytes] | None = None
        self._status: int | None = None
        self._signal: tuple[str, bool, str, str] | None = None
        self._over = self._left = self._said_all = False

    async def start(self, target: asyncssh.SSHClientConnection, asked: Asked) -> None:
        """Ask the target for it.

        Raises:
            asyncssh.ChannelOpenError: it would not.
        """
        terminal = asked.terminal
        self._files = file_relay(
            asked,
            self._place.session,
            self._exchange,
            self._place.approvals,
            client=self._caller.write,
            target=self._write,
            tell=self._caller.say,
        )
        # what the client has said goes on as it is: its terminal, its variables, and nothing of ours
        self._chan, _ = await target.create_session(
            lambda: self,
            asked.text if asked.kind is Kind.EXEC else None,
            subsystem=asked.text if asked.kind in (Kind.SFTP, Kind.SUBSYSTEM) else None,
            env=[name + b"=" + value for name, value in asked.environment.items()],
            request_pty="force" if terminal is not None else False,
            term_type=None if terminal is None else terminal.type,
            term_size=None if terminal is None else terminal.size,
            term_modes={} if terminal is None else dict(terminal.modes),
            encoding=None,
            window=_WINDOW,
            max_pktsize=_PACKET,
        )

    # -- from the client -------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """To its standard input."""
        if self._chan is None or self._chan.is_closing():
            return
        if self._files is not None:
            self._relay(self._files.from_client, data)
            return
        self._input.feed(data)

    def _write(self, data: bytes) -> None:
        if self._chan is not None and not self._chan.is_closing():
            self._chan.write(data)

    def _relay(self, take: Callable[[bytes], None], data: bytes) -> None:
        """Let what looks into files have it; who breaks their protocol ends the channel."""
        try:
            take(data)
        except FilesFault as fault:
            self._end(Outcome.ERROR, None, {"code": "protocol", "message": str(fault)})
            self._caller.say(str(fault))
            self._caller.ended(lambda chan: chan.exit(FAILED_STATUS))
            self._close()
            return
        self._watch()

    def _watch(self) -> None:
        """See to it that the record of files does not stay behind when nothing more comes of them."""
        if self._lagging is None and self._files is not None and self._files.lags:
            self._lagging = asyncio.get_running_loop().call_later(FILES_LAG, self._catch_up)

    def _catch_up(self) -> None:
        self._lagging = None
        if self._files is not None and not self._over:
            self._files.settle()
            self._place.stir()
            self._watch()

    def send_eof(self) -> None:
        """Its standard input has ended."""
        self._said_all = True
        self._input.end()
        if self._files is not None:
            self._files.client_ended()
        self._exchange.note("eof", by="client")
        if self._chan is not None and not self._chan.is_closing():
            self._chan.write_eof()

    def signal(self, name: str) -> None:
        """Send it a signal."""
        self._input.settle()
        self._exchange.note("signal", name=name[:32])
        if self._chan is not None and not self._chan.is_closing():
            self._chan.send_signal(name)

    def send_break(self, milliseconds: int) -> bool:
        """Hold its line low."""
        self._input.settle()
        self._exchange.note("break", milliseconds=milliseconds)
        if self._chan is None or self._chan.is_closing():
            return False
        self._chan.send_break(milliseconds)
        return True

    def resize(self, columns: int, rows: int, width: int, height: int) -> None:
        """Its terminal has another size."""
        self._exchange.note("resized", columns=columns, rows=rows)
        if self._chan is not None and not self._chan.is_closing():
            self._chan.change_terminal_size(columns, rows, width, height)

    def pause(self) -> None:
        """The client does not take its output."""
        if self._chan is not None:
            self._chan.pause_reading()

    def resume(self) -> None:
        """It does again."""
        if self._chan is not None:
            self._chan.resume_reading()

    def abandon(self) -> None:
        """The client has left: the target is told, and what was under way is on the record as cancelled."""
        self._input.settle()
        if not self._over:
            if self._files is not None:
                self._files.client_ended()
            self._end(Outcome.CANCELLED)
        self._close()

    def hang_up(self) -> None:
        """The client has closed its channel; so is the target's, which may still tell how it ends."""
        self._left = True
        self._input.settle()
        if self._files is not None:
            self._files.client_ended()
        self._close()

    def cut(self, reason: str) -> None:
        """The session ends, and the program with it where the server passes signals on."""
        if not self._over:
            if self._files is not None:
                self._files.cut(reason)
            elif self._chan is not None and not self._chan.is_closing():
                self._exchange.note("signal", name="TERM", by="gateway")
                self._chan.send_signal("TERM")
            self._end(Outcome.UNKNOWN)
        self._close()

    # -- from the target -------------------------------------------------------------------------

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """What it says."""
        if self._over or self._left:
            return
        if datatype is not None:
            self._err.feed(data)
        elif self._files is not None:
            self._relay(self._files.from_target, data)
        else:
            self._out.feed(data)

    def eof_received(self) -> bool:
        """It says no more."""
        if not self._over:
            self._out.end()
            self._err.end()
            if not self._said_all:
                # else its status comes first: a client with nothing more to say or hear closes the channel
                self._caller.write_eof()
        return True

    def exit_status_received(self, status: int) -> None:
        """It has ended by itself."""
        self._status = status

    def exit_signal_received(self, signal: str, core_dumped: bool, msg: str, lang: str) -> None:
        """It was ended by a signal."""
        self._signal = (signal, core_dumped, msg, lang)

    def pause_writing(self) -> None:
        """It does not read its input."""
        self._caller.hold()

    def resume_writing(self) -> None:
        """It does again."""
        self._caller.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Its channel is closed."""
        self._chan = None
        if self._over:
            return
        if self._signal is not None:
            signal = self._signal
            self._end(Outcome.ERROR, f"signal {signal[0][:32]}")
            self._caller.ended(lambda chan: chan.exit_with_signal(*signal))
        elif self._status is not None:
            status = self._status
            self._end(Outcome.ERROR if status else Outcome.OK, f"exit {status}")
            self._caller.ended(lambda chan: chan.exit(status))
        elif exc is None:
            self._end(Outcome.CANCELLED if self._left else Outcome.OK)
            self._caller.ended(lambda chan: chan.close())
        # else the target is gone with all its programs: the connection tells the client why

    def _end(self, outcome: Outcome, tag: str | None = None, error: Mapping[str, str] | None = None) -> None:
        if self._files is not None:
            self._files.target_ended()
        self._out.end()
        self._err.end()
        self._input.end()
        self._over = True
        if self._lagging is not None:
            self._lagging.cancel()
        self._exchange.finish(outcome, tag, error)

    def _close(self) -> None:
        if self._chan is not None:
            self._chan.close()
