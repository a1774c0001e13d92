"""The old scp over the input and output of its command, without I/O: each file is judged by itself.

What is between the files is recorded as the command's own input and output. A file is judged when its line
has come, before any of its content goes on; what is denied is told in scp's own words, so that it goes on
with the next and exits with 1.

Who sends without waiting for an answer, as some clients do, is held until it comes: only then is it known
whether what follows is content or another line.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, final

from bodycam.model.event import Outcome
from bodycam.model.operation import Operation, Weight
from bodycam.model.verdict import Decision
from bodycam.protocols.ssh.files import scp_command, scp_lines
from bodycam.protocols.ssh.files.answers import show
from bodycam.protocols.ssh.files.approver import Approver
from bodycam.protocols.ssh.files.contents import Contents, Way, Window
from bodycam.protocols.ssh.files.facts import NO_TEXT, SPREAD, START_UNKNOWN, facts
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.files.in_flight import denied
from bodycam.protocols.ssh.files.paths import is_text, resolved, shown
from bodycam.protocols.ssh.files.scp_command import ScpCommand, spreads
from bodycam.protocols.ssh.files.scp_lines import WELL, Announced, Lines
from bodycam.protocols.ssh.files.scp_paths import Paths, ScpPaths
from bodycam.session.session import Exchange, Session

HELD_MOST: Final = 4 << 20
"""Bytes that wait for an answer to what came before them."""
DEPTH_MOST: Final = 256

_GONE: Final = {"code": "gone", "message": "the channel ended before the file did"}


class _State(Enum):
    LINE = auto()
    CONTENT = auto()
    END_OF_CONTENT = auto()


class _Blocked(Enum):
    """Why nothing more of the sender's can be told."""

    NO = auto()
    START = auto()  # whoever takes the files has to say first that it is there
    JUDGED = auto()  # people are asked
    LINE = auto()  # a line's answer: of times, or a folder's end
    OPENED = auto()  # the answer to a file or a folder
    CONTENT = auto()  # the answer to all of a file's content


@final
class _Item:
    """A file or a folder under way; `exchange` is of the path that is judged just now, or of the last."""

    __slots__ = ("announced", "contents", "exchange", "failure", "line", "paths")

    def __init__(self, announced: Announced, line: bytes, paths: Paths) -> None:
        self.announced, self.line, self.paths = announced, line, paths
        self.exchange: Exchange | None = None
        self.contents: Contents | None = None
        self.failure: dict[str, str] | None = None


@final
class ScpRelay:
    """The relay of one command's channel; the same verbs as `SftpRelay`."""

    def __init__(
        self,
        command: ScpCommand,
        session: Session,
        exchange: Exchange,
        client: Callable[[bytes], None],
        target: Callable[[bytes], None],
        approver: Approver,
        account: str = "",
    ) -> None:
        self._command, self._session, self._exchange, self._approver = command, session, exchange, approver
        self._client, self._target, self._account = client, target, account
        sides = ("client", "target") if command.upload else ("target", "client")
        self._sent, self._replies = Lines(sides[0]), Lines(sides[1])
        self._paths = ScpPaths(command)
        self._state, self._blocked = _State.LINE, _Blocked.START
        self._item: _Item | None = None
        self._left = 0
        self._give_up: Callable[[], None] | None = None
        self._over = self._client_over = False

    @classmethod
    def of(
        cls,
        command: str,
        session: Session,
        exchange: Exchange,
        client: Callable[[bytes], None],
        target: Callable[[bytes], None],
        approver: Approver,
        account: str = "",
    ) -> "ScpRelay | None":
        """A relay for a command line that is an scp server; None for any other."""
        parsed = scp_command.parsed(command)
        return None if parsed is None else cls(parsed, session, exchange, client, target, approver, account)

    # -- what comes ------------------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Take what the client sent to the command's input.

        Raises:
            FilesFault: it broke the protocol: close the channel. What was under way is on the record as
            ended.
        """
        if not self._client_over:
            self._take(data, sender=self._command.upload)

    def from_target(self, data: bytes) -> None:
        """Take what the command put out; the same goes for it.

        Raises:
            FilesFault: it broke the protocol.
        """
        self._take(data, sender=not self._command.upload)

    @property
    def lags(self) -> bool:
        """Whether something of a file has gone on that is not recorded yet."""
        return self._item is not None and self._item.contents is not None and self._item.contents.lags

    def settle(self) -> None:
        """Record what waits, if nothing has come of the file since this was last called."""
        if self._item is not None and self._item.contents is not None:
            self._item.contents.settle()

    def client_ended(self) -> None:
        """The client sends no more; what waits for people is given up."""
        self._client_over = True
        if self._give_up is not None:
            self._finish(Outcome.CANCELLED, None)

    def target_ended(self) -> None:
        """The command has ended: so has what was under way."""
        self._over = True
        if self._client_over:
            self._finish(Outcome.CANCELLED, None)
        else:
            self._finish(Outcome.UNKNOWN, _GONE)

    def cut(self, reason: str) -> None:
        """The gateway ends it, for this reason."""
        self._over = True
        self._finish(Outcome.CANCELLED, {"code": "cut", "message": reason})

    def _take(self, data: bytes, *, sender: bool) -> None:
        if self._over:
            return
        try:
            if sender:
                self._sent += data
                self._pump()
                if len(self._sent) > HELD_MOST:
                    raise FilesFault(f"scp sent more than {HELD_MOST} bytes without waiting for an answer")
            else:
                self._replies += data
                while (reply := self._replies.reply()) is not None:
                    self._replied(reply)
                    self._pump()
        except FilesFault as fault:
            self._over = True
            self._finish(Outcome.ERROR, {"code": "protocol", "message": str(fault)})
            raise

    # -- from who has the files ------------------------------------------------------------------

    def _pump(self) -> None:
        while len(self._sent) and self._blocked is _Blocked.NO and not self._over:
            match self._state:
                case _State.LINE:
                    line = self._sent.line()
                    if line is None:
                        return
                    self._line(line)
                case _State.CONTENT:
                    self._content()
                case _State.END_OF_CONTENT:
                    end = self._sent.reply()
                    if end is None:
                        return
                    self._end_of_content(end)

    def _line(self, line: bytes) -> None:
        match line[:1]:
            case b"C" | b"D":
                announced = scp_lines.announced(line)
                if announced is None:
                    raise FilesFault(f"a line of scp makes no sense: {shown(line[:100])}")
                if announced.folder and self._paths.depth >= DEPTH_MOST:
                    raise FilesFault(f"scp is in more than {DEPTH_MOST} folders")
                self._item = _Item(announced, line, self._paths.of(announced.name))
                self._judge(0)
            case b"T" if scp_lines.are_times(line):
                self._pass_on(line, _Blocked.LINE)
            case b"E" if line == b"E\n" and self._paths.depth:
                self._paths.leave()
                self._pass_on(line, _Blocked.LINE)
            case b"\x01" | b"\x02":
                self._pass_on(line, _Blocked.NO)
            case _ if not self._command.upload:
                # a shell that says something before scp does: the client tells it and gives up
                self._pass_on(line, _Blocked.NO)
            case _:
                raise FilesFault(f"a line of scp makes no sense: {shown(line[:100])}")

    def _content(self) -> None:
        item = self._item
        assert item is not None
        assert item.contents is not None
        data = self._sent.take(min(self._left, len(self._sent)))
        item.contents.move(item.announced.size - self._left, data)
        self._left -= len(data)
        if not self._left:
            self._state = _State.END_OF_CONTENT
        self._onward(data)

    def _end_of_content(self, end: bytes) -> None:
        item = self._item
        assert item is not None
        if end != WELL:
            item.failure = _told(end)
        self._pass_on(end, _Blocked.CONTENT)

    def _pass_on(self, line: bytes, blocked: _Blocked) -> None:
        """What is no content: recorded as the command's own, and then it goes on."""
        self._blocked = blocked
        self._record(line, to_target=self._command.upload)
        self._onward(line)

    # -- what is judged --------------------------------------------------------------------------

    def _judge(self, at: int) -> None:
        """Judge what is announced at one of the paths where it may stand, and then at the others."""
        item = self._item
        assert item is not None
        operation = self._operation(item.announced, item.paths[at])
        aside = None
        if at < len(item.paths) - 1:
            # judged like the other one, and listed once
            aside = Operation(
                operation.verb, operation.text, operation.parameters, operation.facts, Weight.ASIDE
            )
        item.exchange = exchange = self._session.request(operation, aside)
        verdict = exchange.verdict
        assert verdict is not None
        if verdict.decision is Decision.ALLOW:
            self._allowed(at)
        elif verdict.decision is Decision.DENY:
            self._deny(verdict.message or f"denied by rule {verdict.rule}", verdict.hint)
        else:
            self._ask(exchange, operation, at)

    def _ask(self, exchange: Exchange, operation: Operation, at: int) -> None:
        self._blocked = _Blocked.JUDGED

        def decided(approved: bool, message: str, hint: str) -> None:
            if self._over or self._item is None or self._item.exchange is not exchange or exchange.finished:
                return
            self._give_up, self._blocked = None, _Blocked.NO
            if approved:
                self._allowed(at)
            else:
                self._deny(message, hint)
            self._pump()

        give_up = self._approver.ask(exchange, operation, decided)
        if self._blocked is _Blocked.JUDGED:
            self._give_up = give_up

    def _allowed(self, at: int) -> None:
        item = self._item
        assert item is not None
        assert item.exchange is not None
        if at < len(item.paths) - 1:
            item.exchange.finish(Outcome.OK, "maybe")
            self._judge(at + 1)
        else:
            self._pass_on(item.line, _Blocked.OPENED)

    def _deny(self, message: str, hint: str) -> None:
        item = self._item
        assert item is not None
        assert item.exchange is not None
        self._item = None
        item.exchange.finish(Outcome.DENIED, None, denied(message, hint))
        said = f"{shown(item.paths[-1])}: {message}" + (f" ({hint})" if hint else "")
        trouble = scp_lines.trouble(said)
        self._record(trouble, to_target=False)
        self._client(trouble)
        if not self._command.upload:
            # for the client it stands in place of the file, for the target it is the answer
            self._record(trouble, to_target=True)
            self._target(trouble)

    def _operation(self, announced: Announced, path: bytes) -> Operation:
        upload = self._command.upload
        mode: tuple[str, ...] = ()
        if announced.folder:
            verb = "mkdir" if upload else "list"
        else:
            verb = "write" if upload else "read"
            mode = ("write", "create", "truncate") if upload else ("read",)
        attributes, unknown = f"mode {announced.mode:o}", ""
        if spreads(path):
            unknown = SPREAD
        elif not path.startswith(b"/"):
            unknown = START_UNKNOWN
        elif not is_text(path):
            unknown = NO_TEXT
        told = facts(
            "scp", self._account, verb, resolved(path), mode=mode, attributes=attributes, unknown=unknown
        )
        return Operation(verb, shown(path), ((0, 0, " ".join([*mode, attributes]).encode()),), told)

    # -- from who takes them ---------------------------------------------------------------------

    def _replied(self, reply: bytes) -> None:
        well, blocked, item = reply == WELL, self._blocked, self._item
        self._record(reply, to_target=not self._command.upload)
        match blocked:
            case _Blocked.START | _Blocked.LINE:
                self._blocked = _Blocked.NO
            case _Blocked.OPENED:
                self._opened(reply)
            case _Blocked.CONTENT:
                assert item is not None
                if not well and item.failure is None:
                    item.failure = _told(reply)
                self._finish(Outcome.OK if item.failure is None else Outcome.ERROR, item.failure)
            case _ if well:
                raise FilesFault("an answer of scp came to nothing that was asked")
            case _:
                # of a file that can't be written while it comes, or the last words of one that gives up
                if item is not None and item.failure is None:
                    item.failure = _told(reply)
        (self._client if self._command.upload else self._target)(reply)

    def _opened(self, reply: bytes) -> None:
        item = self._item
        assert item is not None
        assert item.exchange is not None
        self._blocked = _Blocked.NO
        if reply != WELL:
            self._finish(Outcome.ERROR, _told(reply))
        elif item.announced.folder:
            self._paths.enter(item.paths)
            self._finish(Outcome.OK, None)
        else:
            way = Way.UPLOAD if self._command.upload else Way.DOWNLOAD
            item.contents = Contents(self._session, item.exchange, item.paths[-1], way, Window())
            self._left = item.announced.size
            self._state = _State.CONTENT if self._left else _State.END_OF_CONTENT

    # -- both ways -------------------------------------------------------------------------------

    def _onward(self, data: bytes) -> None:
        (self._target if self._command.upload else self._client)(data)

    def _record(self, data: bytes, *, to_target: bool) -> None:
        if to_target:
            recorded = self._session.redaction.redact_bytes(data)[0]
            self._exchange.recorded_to_target(data, recorded=recorded)
        else:
            show(self._session, self._exchange, data.decode("utf-8", "surrogateescape"))

    def _finish(self, outcome: Outcome, error: dict[str, str] | None) -> None:
        """What is under way has ended so."""
        item, give_up = self._item, self._give_up
        self._item = self._give_up = None
        self._state, self._blocked = _State.LINE, _Blocked.NO
        if give_up is not None:
            give_up()
        if item is None or item.exchange is None:
            return
        if item.contents is not None:
            item.contents.end()
        item.exchange.finish(outcome, None, error)


def _told(reply: bytes) -> dict[str, str]:
    return {"code": "scp", "message": shown(reply.strip(b"\x01\x02\n")[:1000])}
