"""One proxied connection: two byte streams, two outboxes, and the machine between them.

Every read runs the machine; at the end of the loop's turn the journal is committed, and only then bytes go
(law 1). A peer that does not read makes the link stop reading from the other side.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol, final

import structlog

from bodycam.journal.pressure import Pressure
from bodycam.journal.writer import JournalUnwritable
from bodycam.model.event import SessionOutcome
from bodycam.model.target import Dial
from bodycam.net.outbox import Outbox
from bodycam.session.approval import ApprovalSaid
from bodycam.session.grant import Grant, Refusal
from bodycam.session.link import Answer, AskApproval, AskDial, Machine, Need
from bodycam.session.session import Session

log = structlog.get_logger(__name__)

CLOSE_GRACE = 5.0
"""Seconds that a closing link waits for a peer to take what is queued for it."""

DRAIN_LOOK = 0.1
"""Seconds between two looks at a link that drains."""

OUTBOX_LIMIT = 4 * 1024 * 1024
"""Bytes that may wait in an outbox for the journal before the link stops reading the other side."""


class Journal(Protocol):
    """The part of the journal's writer that a link needs."""

    @property
    def released(self) -> int: ...

    @property
    def pending(self) -> int: ...

    @property
    def pressure(self) -> Pressure: ...

    def commit(self) -> None: ...


class Services(Protocol):
    """What a worker does for its links."""

    @property
    def journal(self) -> Journal: ...

    async def fulfil(self, link: "ProxyLink", need: Need) -> Answer:
        """Answer a need; raises nothing: what fails is a Refusal or DialFailed."""

    def open(self, link: "ProxyLink", grant: Grant, claims: Mapping[str, str]) -> Session: ...

    def stranger(self, link: "ProxyLink") -> None: ...

    def moved(self, link: "ProxyLink") -> None:
        """It has something to commit or to release; `settle`, or `release` after a commit, comes soon."""

    def link_ready(self, link: "ProxyLink") -> None: ...

    def link_closed(self, link: "ProxyLink") -> None: ...

    def register_cancel(self, link: "ProxyLink", key: bytes) -> None: ...

    def knock(self, link: "ProxyLink", dial: Dial, data: bytes) -> None: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...


@final
class ProxyLink:
    """The link as its machine sees it (`session.link.Link`), on two asyncio transports."""

    def __init__(
        self,
        services: Services,
        make_machine: Callable[["ProxyLink"], Machine],
        *,
        address: str,
        secure: bool,
        message_limit: int,
    ) -> None:
        self._services, self.address, self.secure = services, address, secure
        self.message_limit = message_limit
        self.journal = services.journal
        self.client_box, self.target_box = Outbox(), Outbox()
        self.client: asyncio.Transport | None = None
        self.target: asyncio.Transport | None = None
        self.session: Session | None = None
        self._paused: dict[str, set[str]] = {"client": set(), "target": set()}
        self._closing = self._draining = False
        self._undelivered = 0
        self.gathered = False
        """Whether this turn's commit knows of it already (`turn.Turn`)."""
        self._finished = False
        self.machine = make_machine(self)

    # -- what the machine asks ------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Whether the client speaks TLS; `secure` is true of a client on this machine as well."""
        return self.client is not None and self.client.get_extra_info("ssl_object") is not None

    def send_client(self, data: bytes) -> None:
        """Queue unrecorded bytes of the login for the client."""
        self.client_box.append(data, self.journal.released)

    def send_target(self, data: bytes) -> None:
        """Queue unrecorded bytes of the login for the target."""
        self.target_box.append(data, self.journal.released)

    def ask(self, need: Need) -> None:
        """Find the answer elsewhere; meanwhile the client is not read, unless a person is asked."""
        if not isinstance(need, AskApproval):
            self.pause("client", "need")
        if isinstance(need, AskDial):
            # at once: the end of a connection that is given up is no news
            self.drop_target()
        self._services.spawn(self._fulfil(need))

    def open(self, grant: Grant, claims: Mapping[str, str]) -> Session:
        """Begin the session."""
        self.session = self._services.open(self, grant, claims)
        return self.session

    def stranger(self) -> None:
        """Nobody known, and no protocol."""
        self._services.stranger(self)

    def ready(self) -> None:
        """The login is over."""
        self._services.link_ready(self)

    def register_cancel(self, key: bytes) -> None:
        """Let cancel requests with `key` find this link."""
        self._services.register_cancel(self, key)

    def knock(self, dial: Dial, data: bytes) -> None:
        """Send something to the target on a connection of its own."""
        self._services.knock(self, dial, data)

    def hold_client(self, hold: bool) -> None:
        """Stop reading the client, or go on."""
        if hold:
            self.pause("client", "machine")
        else:
            self.resume("client", "machine")

    def close(self) -> None:
        """Close both sides once what is queued has gone."""
        self._closing = True

    # -- what the transports tell ---------------------------------------------------------------

    def client_data(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._finished:
            return
        try:
            self.machine.from_client(data)
        except Exception as error:
            self._break(error)
        self._services.moved(self)

    def target_data(self, data: bytes) -> None:
        """Bytes from the target."""
        if self._finished:
            return
        try:
            self.machine.from_target(data)
        except Exception as error:
            self._break(error)
        self._services.moved(self)

    def client_lost(self) -> None:
        """The client's side ended."""
        transport, self.client = self.client, None
        if transport is not None:
            self._undelivered += transport.get_write_buffer_size()
            transport.abort()
        if not self._finished:
            self._run(self._left)

    def _left(self) -> None:
        if not self.machine.client_gone():
            self._closing = True

    def target_lost(self, transport: asyncio.Transport) -> None:
        """The target's side ended."""
        if self.target is not transport:
            return
        self.target = None
        if not self._finished:
            self._run(self.machine.target_gone)

    def cut(self, reason: str) -> None:
        """End the session from outside."""
        self._run(lambda: self.machine.cut(reason))

    def drain(self, reason: str, seconds: float) -> None:
        """End the session once it is at nothing, or so many seconds have passed; the first call counts."""
        if not seconds:
            self.cut(reason)
        elif not self._draining:
            self._draining = True
            self._drain(reason, seconds, asyncio.get_running_loop().time() + seconds)

    def _drain(self, reason: str, seconds: float, until: float) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() >= until:
            self.cut(f"{reason}, and it was still at work {seconds:g} s later")
        elif not self._finished:
            self._run(lambda: self.machine.drain(reason))
            # not at once when it is at nothing any more: a client takes an error that comes together with its
            # answer for a remark
            loop.call_later(DRAIN_LOOK, self._drain, reason, seconds, until)

    def cancel(self) -> None:
        """A cancel request for this link."""
        self._run(self.machine.cancel)

    def waits(self, said: ApprovalSaid) -> None:
        """What the client asked for waits for a person."""
        self._run(lambda: self.machine.waits(said))

    def drop_target(self) -> None:
        """Forget the target's side, to dial again; its end is no news."""
        transport, self.target = self.target, None
        # what was queued for the one before is not for the next
        self.target_box.discard()
        if transport is not None:
            transport.abort()

    def pause(self, side: str, why: str) -> None:
        """Stop reading one side, for one of several reasons."""
        reasons = self._paused[side]
        reasons.add(why)
        transport = self.client if side == "client" else self.target
        if len(reasons) == 1 and transport is not None:
            transport.pause_reading()

    def resume(self, side: str, why: str) -> None:
        """One reason to stop reading is gone; reading goes on when none is left."""
        reasons = self._paused[side]
        if why not in reasons:
            return
        reasons.discard(why)
        transport = self.client if side == "client" else self.target
        if not reasons and transport is not None and not transport.is_closing():
            transport.resume_reading()

    def attach(self, side: str, transport: asyncio.Transport) -> None:
        """A side's transport stands."""
        if side == "client":
            self.client = transport
        else:
            self.target = transport
        if self._finished:
            transport.abort()
        elif self._paused[side]:
            transport.pause_reading()

    def unsent(self) -> tuple[int, int]:
        """Released bytes that the client and the target have not taken from us."""
        return _untaken(self.client) + self._undelivered, _untaken(self.target)

    # -- release --------------------------------------------------------------------------------

    def settle(self) -> None:
        """Commit what the machine recorded and let go what the journal holds."""
        try:
            self.journal.commit()
        except JournalUnwritable as error:
            self.fail(str(error))
            return
        self.release()
        if self.waiting:
            # for the disk: whoever hears of it has to know that this link waits
            self._services.moved(self)

    def release(self) -> None:
        """Let go what the journal holds."""
        if self._finished:
            return
        released = self.journal.released
        if self.client_box.size:
            if self.client is None:
                self._undelivered += self.client_box.size
            _write(self.client, self.client_box.release(released))
        if self.target_box.size:
            _write(self.target, self.target_box.release(released))
        if self.waiting:
            self._bound_outboxes()
        elif self._paused["client"] or self._paused["target"]:
            self.resume("target", "outbox")
            self.resume("client", "outbox")
        if self._closing and not self.waiting:
            self._finish()

    @property
    def waiting(self) -> bool:
        """Whether bytes wait for the journal."""
        return self.client_box.size > 0 or self.target_box.size > 0

    def _run(self, step: Callable[[], None]) -> None:
        """Something rare, which waits for no other."""
        if self._finished:
            return
        try:
            step()
        except Exception as error:
            self._break(error)
        self.settle()

    def _break(self, error: Exception) -> None:
        """Law 2: a fault of ours ends this link and disturbs no other."""
        log.exception("a link failed", address=self.address)
        reason = f"the gateway failed inside ({type(error).__name__})"
        self.send_client(self.machine.farewell(reason, "The gateway's log says more."))
        if self.session is not None:
            self.session.close(SessionOutcome.BROKEN, reason)
        self._closing = True

    def drop(self, error: Exception) -> None:
        """A fault in the very release: nothing more leaves, and no other link notices."""
        log.error("a link failed", address=self.address, exc_info=error)
        self.client_box.discard()
        self.target_box.discard()
        if not self._finished:
            if self.session is not None:
                reason = f"the gateway failed inside ({type(error).__name__})"
                self.session.close(SessionOutcome.BROKEN, reason)
            self._finish()

    def fail(self, reason: str) -> None:
        """The journal can't be written: nothing that waits for it may leave; only our own error does."""
        if self._finished:
            return
        log.error("the journal can't be written; a session ends", address=self.address, reason=reason)
        self.client_box.discard()
        self.target_box.discard()
        if self.client is not None:
            self.client.write(
                self.machine.farewell("the gateway can't record and stops this session", reason)
            )
        self._finish()

    def _bound_outboxes(self) -> None:
        if self.client_box.size > OUTBOX_LIMIT:
            self.pause("target", "outbox")
        if self.target_box.size > OUTBOX_LIMIT:
            self.pause("client", "outbox")

    def _finish(self) -> None:
        self._finished = True
        for transport in (self.client, self.target):
            if transport is not None:
                transport.close()
                self._services.spawn(_abort_later(transport))
        self._services.link_closed(self)

    async def _fulfil(self, need: Need) -> None:
        try:
            answer = await self._services.fulfil(self, need)
        except Exception as error:
            self._break(error)
            self.settle()
            return
        if isinstance(answer, Refusal) and answer.grant is None:
            log.info("a login was refused", address=self.address, code=answer.code.value)
        self._run(lambda: self.machine.answer(answer))
        self.resume("client", "need")


def _untaken(transport: asyncio.Transport | None) -> int:
    return 0 if transport is None else transport.get_write_buffer_size()


def _write(transport: asyncio.Transport | None, freed: list[bytes]) -> None:
    if not freed or transport is None or transport.is_closing():
        return
    transport.write(freed[0] if len(freed) == 1 else b"".join(freed))


async def _abort_later(transport: asyncio.Transport) -> None:
    """Give a peer a bounded time to take what is queued, then drop the connection."""
    deadline = asyncio.get_running_loop().time() + CLOSE_GRACE
    while transport.get_write_buffer_size() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.05)
    transport.abort()
