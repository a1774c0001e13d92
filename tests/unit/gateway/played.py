"""What stands round a link in these tests: a journal that can fail, transports that remember, a plain relay."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bodycam.gateway.link import ProxyLink
from bodycam.gateway.side import Side
from bodycam.journal.pressure import Pressure
from bodycam.journal.writer import JournalUnwritable
from bodycam.model.event import Kind, SessionOutcome
from bodycam.model.operation import Operation
from bodycam.model.target import Dial
from bodycam.session.grant import Grant
from bodycam.session.link import Answer, Need
from bodycam.session.session import Exchange, Session
from tests.playbook.play import GRANT, Allow, NoRedaction


class PlayedJournal:
    """Counts what was appended and committed; `broken` makes it fail; `strict` releases only when told."""

    incarnation = b"\x07" * 16

    def __init__(self, *, strict: bool = False) -> None:
        self.kinds: list[Kind] = []
        self.pending, self.released = 1, 0
        self.committed = 0
        self.strict = strict
        self.broken: str | None = None
        self.pressure = Pressure.CLEAR
        self.on_release: Callable[[], None] | None = None
        self.closed = False

    @property
    def gathered(self) -> int:
        return len(self.kinds) - self.committed

    def append(self, session: int, exchange: int, kind: int, body: bytes) -> int:
        self.kinds.append(Kind(kind))
        return self.pending

    def commit(self) -> None:
        if self.broken is not None:
            raise JournalUnwritable(self.broken)
        if self.committed < len(self.kinds):
            self.committed = len(self.kinds)
            self.pending += 1
            if not self.strict:
                self.released = self.pending - 1

    def release(self) -> None:
        """Say that what is committed is on the disk."""
        self.released = self.pending - 1
        if self.on_release is not None:
            self.on_release()

    async def start(self) -> None: ...

    async def close(self) -> None:
        self.closed = True

    def stats(self) -> dict[str, float]:
        return {"failed": self.broken is not None}


@dataclass(eq=False)
class Pipe(asyncio.Transport):
    """One side's transport: what was written, and how much of the journal was committed by then."""

    journal: PlayedJournal
    written: list[bytes] = field(default_factory=list)
    committed: list[int] = field(default_factory=list)
    reading: bool = True
    open: bool = True
    waiting: int = 0

    def get_extra_info(self, name: Any, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written.append(bytes(data))
        self.committed.append(self.journal.committed)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return not self.open

    def close(self) -> None:
        self.open = False

    abort = close


class Relay:
    """A machine: every read of the client is a request, every read of the target its answer."""

    def __init__(self, link: ProxyLink) -> None:
        self._link = link
        self._exchange: Exchange | None = None
        self.ended: list[str] = []
        self.answers: list[Answer] = []
        self.over = False

    def from_client(self, data: bytes) -> None:
        session = self._link.session
        assert session is not None
        if data == b"fault":
            raise KeyError("a fault of ours")
        self._exchange = session.request(Operation("query", data.decode()))
        session.forward(data)

    def from_target(self, data: bytes) -> None:
        assert self._exchange is not None
        self._exchange.to_client(data)

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def client_gone(self) -> bool:
        self._end("client gone")
        return False

    def target_gone(self) -> None:
        self._end("target gone")

    def cancel(self) -> None:
        self.ended.append("cancel")

    def cut(self, reason: str) -> None:
        session = self._link.session
        if session is not None and not session.closed:
            session.ambient.to_client(f"cut: {reason}".encode())
        self._end(reason, SessionOutcome.CUT)

    def drain(self, reason: str) -> None:
        self.cut(reason)

    def farewell(self, message: str, hint: str) -> bytes:
        return f"farewell: {message}".encode()

    def _end(self, why: str, outcome: SessionOutcome = SessionOutcome.ENDED) -> None:
        self.ended.append(why)
        if self._link.session is not None:
            self._link.session.close(outcome, why)
        self._link.close()


class PlayedServices:
    """The worker, for one link; `fulfilled` is what a need is answered with, or raised."""

    def __init__(self, journal: PlayedJournal) -> None:
        self.journal = journal
        self.gone: list[ProxyLink] = []
        self.fulfilled: Answer | Exception = b"answer"
        self.tasks: set[asyncio.Task[None]] = set()

    async def fulfil(self, link: ProxyLink, need: Need) -> Answer:
        if isinstance(self.fulfilled, Exception):
            raise self.fulfilled
        return self.fulfilled

    def open(self, link: ProxyLink, grant: Grant, claims: Mapping[str, str]) -> Session:
        return Session.opened(
            grant,
            journal=self.journal,
            opening=1,
            incarnation=self.journal.incarnation,
            address=link.address,
            claims=claims,
            version="test",
            policy=Allow(),
            redaction=NoRedaction(),
            client=link.client_box,
            target=link.target_box,
            unsent=link.unsent,
            on_close=lambda session: None,
        )

    def read(self, link: ProxyLink) -> None:
        self.moved(link)

    def moved(self, link: ProxyLink) -> None:
        """The turn ends at once; a link that goes on waiting for the disk says so again while it settles."""
        if not link.gathered:
            link.gathered = True
            link.settle()
            link.gathered = False

    def link_ready(self, link: ProxyLink) -> None: ...

    def link_closed(self, link: ProxyLink) -> None:
        self.gone.append(link)

    def register_cancel(self, link: ProxyLink, key: bytes) -> None: ...

    def knock(self, link: ProxyLink, dial: Dial, data: bytes) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class Stage:
    """One link with both its sides."""

    def __init__(self, journal: PlayedJournal, services: Any = None) -> None:
        self.journal = journal
        self.services = services or PlayedServices(journal)
        self.link = ProxyLink(self.services, Relay, address="127.0.0.1:1", secure=True, message_limit=1024)
        self.client, self.target = Pipe(journal), Pipe(journal)
        self.client_side, self.target_side = Side(self.link, "client"), Side(self.link, "target")
        self.client_side.connection_made(self.client)
        self.target_side.connection_made(self.target)

    @property
    def reading(self) -> tuple[bool, bool]:
        """Whether client and target are read."""
        return self.client.reading, self.target.reading

    @property
    def machine(self) -> Relay:
        machine = self.link.machine
        assert isinstance(machine, Relay)
        return machine

    def open(self, number: int = 1, **changed: Any) -> Session:
        """Open a session for this link."""
        session = self.link.open(replace(GRANT, session=f"{GRANT.session[:-2]}{number:02d}", **changed), {})
        self.link.settle()
        return session
