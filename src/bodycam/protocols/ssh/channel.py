"""A client's channel for a program: judged when it is asked for, opened at the target, and relayed.

What a program says beside its output, and what the gateway says itself, goes to the client's standard error.
A channel is one exchange; on one for files each operation with a file is.
"""

from collections.abc import Callable, Coroutine, Mapping
from enum import Enum
from typing import Any, Final, Protocol, final

import asyncssh

from bodycam.model.event import Flavor, Outcome
from bodycam.model.operation import Operation
from bodycam.protocols.ssh.answers import DENIED_STATUS, FAILED_STATUS, aside, denied
from bodycam.protocols.ssh.approvals import Approvals
from bodycam.protocols.ssh.asking import SFTP, Asked, Kind, Terminal
from bodycam.protocols.ssh.program import Program
from bodycam.session.session import Exchange, Session

EARLY_MOST: Final = 256
"""Signals and sizes of a window that wait for the program at most; further ones are lost on it."""

_STDERR: Final = asyncssh.EXTENDED_DATA_STDERR


class House(Protocol):
    """What a channel needs of the connection that it is on."""

    @property
    def session(self) -> Session: ...

    @property
    def target(self) -> asyncssh.SSHClientConnection: ...

    @property
    def approvals(self) -> Approvals: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on beside, until the connection ends."""

    def stir(self) -> None:
        """Something was recorded: it is committed and sent soon."""

    def gone(self, channel: "SessionChannel") -> None:
        """A channel is over."""


class State(Enum):
    """How far a channel has come."""

    ASKED = "asked"
    WAITING = "waiting"
    OPENING = "opening"
    RUNNING = "running"
    OVER = "over"


@final
class SessionChannel(asyncssh.SSHServerSession[bytes]):
    """One channel of a client."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._chan: asyncssh.SSHServerChannel[bytes] | None = None
        self._terminal: Terminal | None = None
        self._asked: Asked | None = None
        self._operation: Operation | None = None
        self._exchange: Exchange | None = None
        self._program: Program | None = None
        # what the client did before there was a program, in order
        self._early: list[Callable[[Program], None]] = []
        self._eof = self._unread = False
        # why it can't be carried, whatever rules say
        self._unfit = ""
        self._state = State.ASKED

    # -- what the client asks --------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """The channel is open; what for is asked next."""
        self._chan = chan

    def pty_requested(
        self, term_type: str, term_size: tuple[int, int, int, int], term_modes: Mapping[int, int]
    ) -> bool:
        """A terminal is wanted, which the target makes."""
        self._terminal = Terminal(term_type, term_size, term_modes)
        return True

    def exec_requested(self, command: str) -> bool:
        """A command is to be run; what is no UTF-8 in it is escaped (PEP 383)."""
        text = command.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if text != command:
            self._unfit = "a command has to be UTF-8: rules read no other"
        elif "\x00" in command:
            self._unfit = "a command with a NUL byte ends there for the target, and not for rules"
        return self._ask(Kind.EXEC, text)

    def shell_requested(self) -> bool:
        """A shell is wanted."""
        return self._ask(Kind.SHELL, "")

    def subsystem_requested(self, subsystem: str) -> bool:
        """A subsystem is wanted."""
        return self._ask(Kind.SFTP if subsystem == SFTP else Kind.SUBSYSTEM, subsystem)

    def _ask(self, kind: Kind, text: str) -> bool:
        assert self._chan is not None
        session = self._house.session
        asked = Asked(kind, text, self._terminal, self._chan.get_environment_bytes())
        self._asked, self._operation = asked, asked.operation(session.grant.database)
        self._exchange = session.request(self._operation)
        return True

    def session_started(self) -> None:
        """The client has been told that its request was taken: now it learns what became of it."""
        exchange, operation = self._exchange, self._operation
        assert exchange is not None
        assert operation is not None
        verdict = exchange.verdict
        assert verdict is not None
        if self._unfit and (exchange.allowed or verdict.terms is not None):
            self._refuse(Outcome.DENIED, self._unfit)
        elif exchange.allowed:
            self._open()
        elif verdict.terms is not None:
            self._state = State.WAITING
            approvals = self._house.approvals
            approvals.ask(self._house.session, exchange, operation, told=self.say, then=self._decided)
        else:
            self._refuse(Outcome.DENIED, denied(verdict))

    def _decided(self, why_not: str) -> None:
        if self._state is State.OVER:
            return
        if why_not:
            self._refuse(Outcome.DENIED, why_not)
        else:
            self._open()

    def _refuse(self, outcome: Outcome, why: str) -> None:
        """It does not come to be; the client reads why, and an exit status."""
        exchange = self._exchange
        assert exchange is not None
        self.say(why)
        message, _, hint = why.partition("\n")
        error = {"code": outcome.value, "message": message}
        exchange.finish(outcome, None, error | {"hint": hint} if hint else error)
        self._exit(DENIED_STATUS if outcome is Outcome.DENIED else FAILED_STATUS)

    # -- the program at the target ---------------------------------------------------------------

    def _open(self) -> None:
        self._state = State.OPENING
        self._house.spawn(self._opened())

    async def _opened(self) -> None:
        asked, exchange = self._asked, self._exchange
        assert asked is not None
        assert exchange is not None
        program = Program(self, self._house, exchange, terminal=asked.terminal is not None)
        try:
            await program.start(self._house.target, asked)
        except (asyncssh.ChannelOpenError, OSError) as error:
            if self._state is not State.OVER:
                self._refuse(Outcome.ERROR, f"the target would not: {getattr(error, 'reason', '') or error}")
        else:
            if self._state is State.OVER:
                program.abandon()
            else:
                self._run(program)
        self._house.stir()

    def _run(self, program: Program) -> None:
        self._state, self._program = State.RUNNING, program
        early, self._early = self._early, []
        for one in early:
            one(program)
        if self._eof:
            program.send_eof()
        if self._chan is not None:
            self._chan.resume_reading()

    # -- to the target ---------------------------------------------------------------------------

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """What the client sends to the program's standard input."""
        if self._program is not None:
            self._program.send(data)
        elif self._state is not State.OVER:
            self._early.append(lambda program: program.send(data))
            if self._chan is not None:
                self._chan.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more; the channel stays open for what comes back."""
        self._eof = True
        if self._program is not None:
            self._program.send_eof()
        return True

    def signal_received(self, signal: str) -> None:
        """The client wants a signal sent to the program."""
        self._do(lambda program: program.signal(signal))

    def break_received(self, msec: int) -> bool:
        """The client wants the line held low."""
        return self._program is not None and self._program.send_break(msec)

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """The client's window has another size."""
        self._do(lambda program: program.resize(width, height, pixwidth, pixheight))

    def _do(self, act: Callable[[Program], None]) -> None:
        """Have the program do this, or once there is one: what was said before comes before."""
        if self._program is not None:
            act(self._program)
        elif self._state is not State.OVER and len(self._early) < EARLY_MOST:
            self._early.append(act)

    def pause_writing(self) -> None:
        """The client does not take what is sent to it."""
        if self._program is not None:
            self._program.pause()

    def resume_writing(self) -> None:
        """It does again."""
        if self._program is not None:
            self._program.resume()

    def close_waits(self) -> bool:
        """The client has closed the channel: whether it may still learn how its program ends."""
        if self._state is not State.RUNNING or self._program is None:
            return False
        self._unread = True
        self._program.hang_up()
        self._house.stir()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel, or all of the connection, is closed by the client."""
        was, self._state = self._state, State.OVER
        self._chan = None
        if was is State.WAITING and self._exchange is not None:
            self._house.approvals.give_up(self._exchange)
        if self._program is not None:
            self._program.abandon()
        elif self._exchange is not None and was is not State.OVER:
            self._exchange.finish(Outcome.CANCELLED)
        self._house.gone(self)
        self._house.stir()

    # -- to the client ---------------------------------------------------------------------------

    @property
    def open(self) -> bool:
        """Whether the client still gets what is sent."""
        return self._chan is not None and not self._unread and not self._chan.is_closing()

    def write(self, data: bytes) -> None:
        """To the client's standard output; what it says is on the record already."""
        if self._chan is not None and self.open:
            self._chan.write(data)

    def write_errors(self, data: bytes) -> None:
        """To its standard error."""
        if self._chan is not None and self.open:
            self._chan.write(data, _STDERR)

    def write_eof(self) -> None:
        """The program says no more."""
        if self._chan is not None and self.open:
            self._chan.write_eof()

    def hold(self) -> None:
        """The target does not take what the client sends."""
        if self._chan is not None:
            self._chan.pause_reading()

    def go_on(self) -> None:
        """It does again."""
        if self._chan is not None:
            self._chan.resume_reading()

    def ended(self, leave: Callable[[asyncssh.SSHServerChannel[bytes]], None]) -> None:
        """The program is over; `leave` tells the client how."""
        if self._state is not State.OVER:
            self._state = State.OVER
            if self._chan is not None:
                leave(self._chan)
        self._house.stir()

    def cut(self, reason: str) -> None:
        """The session ends: the client is told why."""
        if self._state is State.OVER:
            return
        self.say(reason)
        if self._program is not None:
            self._program.cut(reason)
        self._exit(FAILED_STATUS)

    def say(self, text: str) -> None:
        """Something of the gateway's own, recorded as what the client was shown."""
        data = aside(text, terminal=self._terminal is not None)
        if self._exchange is not None and not self._exchange.finished:
            self._exchange.recorded_to_client(data, flavor=Flavor.ERRORS)
        self.write_errors(data)
        self._house.stir()

    def _exit(self, status: int) -> None:
        self.ended(lambda chan: chan.exit(status))
