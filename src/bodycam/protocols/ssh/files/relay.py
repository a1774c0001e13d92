"""SFTP between one client and one target, without I/O: each file operation is judged and recorded by itself.

A file is one exchange from its opening to its closing, with all that is read and written of it; anything else
is an exchange of its own. Requests are answered by their ids, so that one which waits for people holds up no
other.
"""

from collections.abc import Callable
from typing import Final, final

from bodycam.model.event import Outcome
from bodycam.model.verdict import Decision
from bodycam.protocols.ssh.files import codec, messages, operations
from bodycam.protocols.ssh.files.answers import fits, show, told
from bodycam.protocols.ssh.files.approver import Approver
from bodycam.protocols.ssh.files.bounds import HANDLES_MOST, REQUESTS_MOST, WAITING_MOST
from bodycam.protocols.ssh.files.codec import CONTENT_MOST, Malformed, Packets
from bodycam.protocols.ssh.files.contents import Way, Window
from bodycam.protocols.ssh.files.extensions import COPY_DATA, LIMITS, limited
from bodycam.protocols.ssh.files.fault import FilesFault
from bodycam.protocols.ssh.files.greeting import Greeting
from bodycam.protocols.ssh.files.in_flight import Asked, OpenFile, denied, failure, said
from bodycam.protocols.ssh.files.messages import Code, Reply, Request, Type
from bodycam.protocols.ssh.files.paths import unfit
from bodycam.session.session import Exchange, Session

HELD_MOST: Final = 16 << 20
"""Bytes of answers that wait for those to earlier reads of the same file."""

_ON_HANDLES: Final = frozenset({Type.READ, Type.WRITE, Type.READDIR, Type.CLOSE})
_OPENING: Final = frozenset({Type.OPEN, Type.OPENDIR})
_NO_HANDLE: Final = "a handle that was never given out"
_GONE: Final = {"code": "gone", "message": "the channel ended before the answer came"}


@final
class SftpRelay:
    """The relay of one channel. What it gives to `client` and `target` is recorded by then, and may be sent.

    `exchange` is the channel's own. `tell` takes lines for people, for the channel's stderr: `sftp` shows of
    a refusal nothing but "Permission denied". `account` is whose files they are, for rules.
    """

    def __init__(
        self,
        session: Session,
        exchange: Exchange,
        client: Callable[[bytes], None],
        target: Callable[[bytes], None],
        approver: Approver,
        tell: Callable[[str], None] | None = None,
        account: str = "",
    ) -> None:
        self._session, self._exchange, self._approver = session, exchange, approver
        self._client, self._target, self._tell, self._account = client, target, tell, account
        self._from_client, self._from_target = Packets("client"), Packets("target")
        self._greeting = Greeting(exchange, client, target)
        self._asked: dict[int, Asked] = {}
        self._open: dict[bytes, OpenFile] = {}
        # those that are closed and not quite answered too
        self._files: set[OpenFile] = set()
        self._opening = self._waiting = self._held = 0
        self._window = Window()
        self._over = self._client_over = False

    # -- what comes --------------------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Take what the client sent.

        Raises:
            FilesFault: it broke the protocol: close the channel. All that was open is on the record as ended.
        """
        try:
            if not self._over and not self._client_over:
                for packet in self._from_client.feed(data):
                    if self._greeting.client_waits:
                        self._greeting.init(packet)
                    else:
                        self._requested(packet)
        except FilesFault as fault:
            self._break(fault)
            raise

    def from_target(self, data: bytes) -> None:
        """Take what the target sent; the same goes for it.

        Raises:
            FilesFault: it broke the protocol.
        """
        try:
            if not self._over:
                for packet in self._from_target.feed(data):
                    if self._greeting.done:
                        self._replied(packet)
                    else:
                        self._greeting.answer(packet)
        except FilesFault as fault:
            self._break(fault)
            raise

    @property
    def lags(self) -> bool:
        """Whether something of a file has gone on that is not recorded yet."""
        return any(file.lags for file in self._files)

    def settle(self) -> None:
        """Record what waits, of files of which nothing has come since this was last called."""
        for file in self._files:
            file.settle()

    def client_ended(self) -> None:
        """The client sends no more. What waits for people is given up; answers to the rest may still come."""
        self._client_over = True
        for asked in [one for one in self._asked.values() if one.waits]:
            self._given_up(asked, Outcome.CANCELLED, None)

    def target_ended(self) -> None:
        """The target sends no more: all that is open ends."""
        if self._client_over:
            self._end(Outcome.CANCELLED, None)
        else:
            self._end(Outcome.UNKNOWN, _GONE)

    def cut(self, reason: str) -> None:
        """The gateway ends it: all that is open is cancelled, for this reason."""
        self._end(Outcome.CANCELLED, {"code": "cut", "message": reason})

    # -- requests ----------------------------------------------------------------------------------

    def _requested(self, packet: bytes) -> None:
        if not self._greeting.done:
            raise FilesFault("the client sent a request before the target's version was known")
        try:
            number = messages.identified(packet)
        except Malformed:
            raise FilesFault("the client sent an SFTP request without an id") from None
        if number in self._asked:
            raise FilesFault(f"the client sent two SFTP requests with the id {number}")
        try:
            request = messages.request(packet)
        except Malformed as error:
            what = messages.named(packet[0])
            self._refuse(
                Request(packet[0], number, known=False), Code.BAD_MESSAGE, f"{what} makes no sense: {error}"
            )
            return
        if not request.known:
            what = request.extension.decode("utf-8", "backslashreplace")[:256] or messages.named(request.kind)
            self._refuse(request, Code.OP_UNSUPPORTED, f"{what} is not understood by the gateway")
        elif len(self._asked) >= REQUESTS_MOST:
            self._refuse(request, Code.FAILURE, f"more than {REQUESTS_MOST} requests are not answered")
        elif request.kind in _ON_HANDLES:
            self._on_handle(request, packet)
        else:
            self._on_path(request, packet)

    def _on_path(self, request: Request, packet: bytes) -> None:
        path, to, file, other = request.path, request.to, None, None
        if request.handle:
            file = self._open.get(request.handle)
            if request.extension == COPY_DATA:
                other = self._open.get(request.to_handle)
            if file is None or (other is None and request.extension == COPY_DATA):
                self._refuse(request, Code.FAILURE, _NO_HANDLE)
                return
            path, to = file.path, to if other is None else other.path
        why = unfit(path) or unfit(to)
        if why:
            self._refuse(request, Code.BAD_MESSAGE, why)
        elif request.kind in _OPENING and len(self._open) + self._opening >= HANDLES_MOST:
            self._refuse(request, Code.FAILURE, f"more than {HANDLES_MOST} files are open")
        else:
            operation = operations.operation(request, path, to, self._greeting.home, self._account)
            self._judge(Asked(request, packet, file=file, other=other, operation=operation))

    def _on_handle(self, request: Request, packet: bytes) -> None:
        file = self._open.get(request.handle)
        if file is None:
            self._refuse(request, Code.FAILURE, _NO_HANDLE)
            return
        asked = Asked(request, packet, file=file)
        refused = file.refuses(request)
        if refused is not None:
            self._refuse(request, *refused)
            return
        match request.kind:
            case Type.READ:
                if request.length > CONTENT_MOST:
                    # a server may always answer less
                    request.length = CONTENT_MOST
                    asked.packet = request.pack()
                file.reads.append(asked)
            case Type.WRITE:
                file.contents(Way.UPLOAD).move(request.offset, request.data)
            case Type.CLOSE:
                # from here on the target may give the handle out again
                del self._open[request.handle]
            case _:
                pass
        file.unanswered += 1
        self._send(asked)

    def _judge(self, asked: Asked) -> None:
        assert asked.operation is not None
        asked.exchange = exchange = self._session.request(asked.operation)
        verdict = exchange.verdict
        assert verdict is not None
        match verdict.decision:
            case Decision.ALLOW:
                self._send(asked)
            case Decision.DENY:
                self._deny(asked, verdict.message or f"denied by rule {verdict.rule}", verdict.hint)
            case Decision.PENDING if self._waiting >= WAITING_MOST:
                self._deny(
                    asked, f"more than {WAITING_MOST} operations wait for approval", "Wait for them first."
                )
            case Decision.PENDING:
                self._wait(asked)

    def _wait(self, asked: Asked) -> None:
        assert asked.exchange is not None
        assert asked.operation is not None
        asked.waits = True
        self._waiting += 1
        self._asked[asked.request.id] = asked

        def decided(approved: bool, message: str, hint: str) -> None:
            if not asked.waits:
                return
            self._stop_waiting(asked)
            if not approved:
                self._deny(asked, message, hint)
            elif asked.still_open(self._open):
                self._send(asked)
            else:
                self._deny(asked, "the file was closed while people were asked", "Open it again.")

        give_up = self._approver.ask(asked.exchange, asked.operation, decided)
        if asked.waits:
            asked.give_up = give_up

    def _stop_waiting(self, asked: Asked) -> None:
        asked.waits, asked.give_up = False, None
        self._waiting -= 1
        del self._asked[asked.request.id]

    def _given_up(self, asked: Asked, outcome: Outcome, error: dict[str, str] | None) -> None:
        give_up = asked.give_up
        self._stop_waiting(asked)
        if give_up is not None:
            give_up()
        assert asked.exchange is not None
        asked.exchange.finish(outcome, None, error)

    def _send(self, asked: Asked) -> None:
        """It is recorded and allowed: it goes on."""
        self._asked[asked.request.id] = asked
        if asked.request.kind in _OPENING:
            self._opening += 1
        if asked.file is not None and asked.other is not None:
            asked.file.copied = asked.other.copied = True
        self._target(codec.framed(asked.packet))
        # what is kept until the answer comes is small
        asked.packet = asked.request.data = b""

    def _deny(self, asked: Asked, message: str, hint: str) -> None:
        assert asked.exchange is not None
        assert asked.operation is not None
        asked.exchange.finish(Outcome.DENIED, None, denied(message, hint))
        why = f"{message} ({hint})" if hint else message
        if self._tell is not None:
            self._tell(f"{asked.operation.verb} {asked.operation.text}: {why}")
        self._client(messages.status(asked.request.id, Code.PERMISSION_DENIED, why))

    def _refuse(self, request: Request, code: Code, why: str) -> None:
        """The gateway itself can't let it through, whatever rules say."""
        exchange = self._session.request(
            operations.refused(f"{messages.named(request.kind)}: {why}", request.extension, self._account)
        )
        exchange.finish(Outcome.DENIED, None, {"code": said(code), "message": why})
        self._client(messages.status(request.id, code, f"bodycam: {why}"))

    # -- replies -----------------------------------------------------------------------------------

    def _replied(self, packet: bytes) -> None:
        try:
            reply = messages.reply(packet)
            asked = self._asked.get(reply.id)
            if asked is None or asked.waits or asked.answer is not None:
                raise FilesFault(f"the target answered what nobody asked: {messages.named(packet[0])}")
            if not fits(asked.request, reply):
                kind = messages.named(asked.request.kind)
                raise FilesFault(f"the target answered {kind} by {messages.named(packet[0])}")
            if asked.request.kind == Type.READ:
                self._read(asked, reply, packet)
                return
            del self._asked[reply.id]
            self._answered(asked, reply, packet)
        except Malformed as error:
            raise FilesFault(f"the target sent an SFTP packet that makes no sense: {error}") from None

    def _answered(self, asked: Asked, reply: Reply, packet: bytes) -> None:
        request, file = asked.request, asked.file
        if request.kind in _OPENING:
            self._opening -= 1
        exchange = asked.exchange
        if exchange is None:
            assert file is not None
            exchange = file.exchange
        if reply.kind == Type.HANDLE:
            self._opened(asked, exchange, reply.handle)
        elif reply.kind == Type.STATUS:
            self._ended(asked, reply)
        else:
            if request.extension == LIMITS:
                reply.data = limited(reply.data, HANDLES_MOST)
                packet = reply.pack()
            show(self._session, exchange, told(request, reply))
            if asked.exchange is not None:
                exchange.finish(Outcome.OK)
        self._client(codec.framed(packet))
        if asked.exchange is None and file is not None:
            self._one_less(file)

    def _opened(self, asked: Asked, exchange: Exchange, handle: bytes) -> None:
        if handle in self._open:
            raise FilesFault("the target gave out a handle that is open")
        folder = asked.request.kind == Type.OPENDIR
        file = OpenFile(self._session, exchange, asked.request, folder=folder, window=self._window)
        self._open[handle] = file
        self._files.add(file)

    def _ended(self, asked: Asked, reply: Reply) -> None:
        """A status: the end of an operation with an exchange of its own, or a step of a file's."""
        well = reply.code == Code.OK
        if asked.exchange is not None:
            asked.exchange.finish(
                Outcome.OK if well else Outcome.ERROR, None, None if well else failure(reply)
            )
            return
        file = asked.file
        assert file is not None
        if asked.request.kind == Type.CLOSE:
            file.closed = True
        if not well and not (asked.request.kind == Type.READDIR and reply.code == Code.EOF):
            file.failed(reply)

    def _read(self, asked: Asked, reply: Reply, packet: bytes) -> None:
        """Answers to reads of one file go on as they were asked, so that its content is in order."""
        if len(reply.data) > asked.request.length:
            raise FilesFault(
                f"the target answered {len(reply.data)} bytes to a read of {asked.request.length}"
            )
        file = asked.file
        assert file is not None
        asked.answer = (reply, packet)
        self._held += len(packet)
        for one in file.due(all_of_them=self._held > HELD_MOST):
            self._deliver(one, file)

    def _deliver(self, asked: Asked, file: OpenFile) -> None:
        assert asked.answer is not None
        reply, packet = asked.answer
        self._held -= len(packet)
        if reply.kind == Type.DATA:
            file.contents(Way.DOWNLOAD).move(asked.request.offset, reply.data)
        elif reply.code != Code.EOF:
            file.failed(reply)
        del self._asked[asked.request.id]
        self._client(codec.framed(packet))
        self._one_less(file)

    def _one_less(self, file: OpenFile) -> None:
        file.unanswered -= 1
        if file.closed and not file.unanswered:
            self._files.discard(file)
            file.finish()

    # -- ends --------------------------------------------------------------------------------------

    def _break(self, fault: FilesFault) -> None:
        self._end(Outcome.ERROR, {"code": "protocol", "message": str(fault)})

    def _end(self, outcome: Outcome, error: dict[str, str] | None) -> None:
        """All that is open ends so, and nothing more is taken."""
        if self._over:
            return
        self._over = True
        for asked in list(self._asked.values()):
            if asked.waits:
                self._given_up(asked, Outcome.CANCELLED, error)
            elif asked.exchange is not None:
                asked.exchange.finish(outcome, None, error)
        self._asked.clear()
        for file in sorted(self._files, key=lambda one: one.exchange.number):
            file.finish(outcome, error)
        self._files.clear()
        self._open.clear()
