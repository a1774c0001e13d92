"""What a relay knows of requests that are not answered, and of files that are open."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import final

from bodycam.model.event import Outcome
from bodycam.model.operation import Operation
from bodycam.protocols.ssh.files.contents import Contents, Way, Window
from bodycam.protocols.ssh.files.messages import Code, Flag, Reply, Request, Type
from bodycam.protocols.ssh.files.operations import writes
from bodycam.protocols.ssh.files.paths import shown
from bodycam.session.session import Exchange, Session


@final
class OpenFile:
    """A file or a folder from its opening to its closing, all of it one exchange."""

    __slots__ = (
        "_contents", "_session", "_window", "closed", "copied", "exchange", "failure", "folder", "path",
        "reading", "reads", "unanswered", "writing",
    )  # fmt: skip

    def __init__(
        self, session: Session, exchange: Exchange, request: Request, *, folder: bool, window: Window
    ) -> None:
        self._session, self.exchange, self.path, self.folder = session, exchange, request.path, folder
        self.reading = not folder and (bool(request.flags & Flag.READ) or not writes(request.flags))
        self.writing = not folder and bool(request.flags & (Flag.WRITE | Flag.APPEND))
        self._window = window
        self._contents: dict[Way, Contents] = {}
        # reads in the order in which they were asked, which is the order in which they are answered
        self.reads: deque[Asked] = deque()
        self.unanswered = 0
        self.closed = False
        # the server itself copies from it or to it: what moves of it here is not all there is
        self.copied = False
        self.failure: dict[str, str] | None = None

    def contents(self, way: Way) -> Contents:
        """What moves of it in one direction."""
        found = self._contents.get(way)
        if found is None:
            found = self._contents[way] = Contents(self._session, self.exchange, self.path, way, self._window)
        return found

    @property
    def lags(self) -> bool:
        """Whether something of it has gone on that is not recorded yet."""
        return any(contents.lags for contents in self._contents.values())

    def settle(self) -> None:
        """Record what waits, if nothing has come since this was last called."""
        for contents in self._contents.values():
            contents.settle()

    def refuses(self, request: Request) -> tuple[Code, str] | None:
        """Why what is asked of it can't be: it was opened, and judged, for something else."""
        match request.kind:
            case Type.READ if not self.reading:
                return Code.PERMISSION_DENIED, "it was not opened for reading"
            case Type.WRITE if not self.writing:
                return Code.PERMISSION_DENIED, "it was not opened for writing"
            case Type.READDIR if not self.folder:
                return Code.FAILURE, "it is no folder"
            case _:
                return None

    def due(self, *, all_of_them: bool) -> "list[Asked]":
        """Reads whose answers go on now: those before which none is missing, or all that are there."""
        if all_of_them:
            due = [one for one in self.reads if one.answer is not None]
            self.reads = deque([one for one in self.reads if one.answer is None])
            return due
        due = []
        while self.reads and self.reads[0].answer is not None:
            due.append(self.reads.popleft())
        return due

    def failed(self, reply: Reply) -> None:
        """A request for it failed; the first failure is the exchange's."""
        if self.failure is None:
            self.failure = failure(reply)

    def finish(self, outcome: Outcome | None = None, error: dict[str, str] | None = None) -> None:
        """It is closed, or what is open ends with the channel, as `outcome` says."""
        if self.exchange.finished:
            return
        if not self.folder:
            if not self._contents and not self.copied and (self.reading or self.writing):
                # an empty file, or one in which nothing was read
                self.contents(Way.UPLOAD if self.writing else Way.DOWNLOAD)
            for contents in self._contents.values():
                contents.end()
        if outcome is None:
            outcome = Outcome.OK if self.failure is None else Outcome.ERROR
        self.exchange.finish(outcome, None, error or self.failure)


@final
class Asked:
    """One request of the client that has not been answered.

    `file` is what it is about where that is open, `other` the file that it is copied to. `exchange` is its
    own, where it has one. `give_up` is there while it waits for people, and `answer` where an answer has come
    that waits for those before it.
    """

    __slots__ = ("answer", "exchange", "file", "give_up", "operation", "other", "packet", "request", "waits")

    def __init__(
        self,
        request: Request,
        packet: bytes,
        *,
        file: OpenFile | None = None,
        other: OpenFile | None = None,
        operation: Operation | None = None,
    ) -> None:
        self.other = other
        self.request, self.packet, self.file, self.operation = request, packet, file, operation
        self.exchange: Exchange | None = None
        self.waits = False
        self.give_up: Callable[[], None] | None = None
        self.answer: tuple[Reply, bytes] | None = None

    def still_open(self, files: Mapping[bytes, OpenFile]) -> bool:
        """Whether its handles are still of the files that were judged: a target gives them out again."""
        pairs = ((self.request.handle, self.file), (self.request.to_handle, self.other))
        return all(files.get(handle) is file for handle, file in pairs)


def denied(message: str, hint: str) -> dict[str, str]:
    """That something was denied, as an exchange keeps it."""
    error = {"code": said(Code.PERMISSION_DENIED), "message": message}
    return {**error, "hint": hint} if hint else error


def failure(reply: Reply) -> dict[str, str]:
    """A status that is no success, as an exchange keeps it."""
    return {"code": said(reply.code), "message": shown(reply.message[:1000])}


def said(code: int) -> str:
    """A status' code in words."""
    return Code(code).name.lower().replace("_", " ") if code <= Code.OP_UNSUPPORTED else str(code)
