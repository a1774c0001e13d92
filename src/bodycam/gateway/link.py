"""One proxied connection: two byte streams, two outboxes, and the machine between them.

Every read runs the machine; at the end of the loop's turn the journal is committed, and only then bytes go
(law 1). A peer that does not read makes the link stop reading from the other side.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import final

import structlog

from bodycam.gateway.draining import Draining
from bodycam.gateway.services import Services
from bodycam.gateway.swap import Swap
from bodycam.gateway.transports import abort_later, backlogged, untaken, write
from bodycam.gateway.within import Within
from bodycam.journal.writer import JournalUnwritable
from bodycam.model.event import SessionOutcome
from bodycam.model.target import Dial
from bodycam.net.outbox import Outbox
from bodycam.session.approval import ApprovalSaid
from bodycam.session.grant import Grant, Refusal
from bodycam.session.link import AskApproval, AskDial, Link, Machine, Need
from bodycam.session.nesting import Carrier, Inner
from bodycam.session.session import Session

log = structlog.get_logger(__name__)

OUTBOX_LIMIT = 4 * 1024 * 1024
"""Bytes that may wait in an outbox for the journal before the link stops reading the other side."""


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
        message_seconds: float = 60.0,
    ) -> None:
        self._services, self.address, self.secure = services, address, secure
        self.message_limit, self.message_seconds = message_limit, message_seconds
        self.journal = services.journal
        self.client_box, self.target_box, self.swap = Outbox(), Outbox(), Swap()
        self.client: asyncio.Transport | None = None
        self.target: asyncio.Transport | None = None
        self.session: Session | None = None
        self._paused: dict[str, set[str]] = {"client": set(), "target": set()}
        self._closing = self._client_gone = self._emptying = self.finished = False
        self._drained: Session | None = None
        # what the session that is open lost with a side that went
        self._needs = self._undelivered = self._unreached = 0
        self.within = Within()
        self.gathered = False
        """Whether this turn's commit knows of it already (`turn.Turn`)."""
        self._alarm: asyncio.TimerHandle | None = None
        self.machine = make_machine(self)

    # -- what the machine asks ------------------------------------------------------------------

    @property
    def encrypted(self) -> bool:
        """Whether the client speaks TLS, or comes within SSH; `secure` is true of one on this machine too."""
        return self.client is not None and any(map(self.client.get_extra_info, ("ssl_object", "carried")))

    def send_client(self, data: bytes) -> None:
        """Queue unrecorded bytes of the login for the client."""
        self.client_box.append(data, self.journal.released)

    def send_target(self, data: bytes) -> None:
        """Queue unrecorded bytes of the login for the target."""
        self.target_box.append(data, self.journal.released)

    def ask(self, need: Need) -> None:
        """Find the answer elsewhere; meanwhile the client is not read, unless a person is asked."""
        if not isinstance(need, AskApproval):
            self._needs += 1
            self.pause("client", "need")
        if isinstance(need, AskDial):
            self.drop_target()
        self._services.spawn(self._fulfil(need))

    def open(self, grant: Grant, claims: Mapping[str, str]) -> Session:
        """Begin the session; another of this link is over."""
        self._undelivered = self._unreached = 0
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
        (self.pause if hold else self.resume)("client", "machine")

    def hold_target(self, hold: bool) -> None:
        """Stop reading the target, or go on."""
        (self.pause if hold else self.resume)("target", "machine")

    def nest(self, machine: Callable[[Link], Machine] | str, carrier: Carrier) -> Inner | None:
        """Begin a link within this one."""
        return self._services.nest(self, machine, carrier)

    def stir(self) -> None:
        """Commit and send what came up outside a call."""
        self._services.moved(self)

    def alarm(self, seconds: float | None) -> None:
        """Wake the machine later, or not at all."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if seconds is not None and not self.finished:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._run, self.machine.alarm)

    def close(self) -> None:
        """Close both sides once what is queued has gone."""
        self._closing = True

    # -- what the transports tell ---------------------------------------------------------------

    def client_data(self, data: bytes) -> None:
        """Bytes from the client."""
        self._take(self.machine.from_client, data)

    def target_data(self, data: bytes) -> None:
        """Bytes from the target."""
        self._take(self.machine.from_target, data)

    def _take(self, step: Callable[[bytes], None], data: bytes) -> None:
        if self.finished:
            return
        try:
            step(data)
        except Exception as error:
            self._break(error)
        self._services.read(self)

    def client_lost(self) -> None:
        """The client's side ended."""
        if self._client_gone:
            return
        self._client_gone = True
        self._undelivered += self._client_buffer()
        transport, self.client = self.client, None
        if transport is not None:
            transport.abort()
        # it takes nothing any more, and nothing waits for it
        self.resume("target", "slow peer")
        if not self.finished:
            self._run(self._left)

    def _left(self) -> None:
        if not self.machine.client_gone():
            self._closing = True

    def target_lost(self, transport: asyncio.Transport) -> None:
        """The target's side ended."""
        if self.target is not transport:
            return
        self._forget_target()
        if not self.finished:
            self._run(self.machine.target_gone)

    def cut(self, reason: str) -> None:
        """End the session from outside."""
        self.within.cut(reason)
        self._run(lambda: self.machine.cut(reason))

    def drain(self, reason: str, seconds: float) -> None:
        """End the session once it is at nothing, or so many seconds have passed; the first call counts."""
        if not seconds:
            self.cut(reason)
        elif self.session is not None and self.session is not self._drained:
            self._drained = self.session
            Draining(self, self.session, reason, seconds).look()

    def ask_to_end(self, reason: str) -> None:
        """Let the machine end its session if that is at nothing."""
        self._run(lambda: self.machine.drain(reason))

    def cancel(self) -> None:
        """A cancel request for this link."""
        self._run(self.machine.cancel)

    def waits(self, said: ApprovalSaid) -> None:
        """What the client asked for waits for a person."""
        self._run(lambda: self.machine.waits(said))

    def drop_target(self) -> None:
        """Forget the target's side, with what is queued for it, to dial again; its end is no news."""
        transport = self.target
        self._forget_target()
        self.target_box.discard()
        if transport is not None:
            transport.abort()

    def _forget_target(self) -> None:
        self._unreached += untaken(self.target)
        self.target = None
        # a side that is gone never says that it has caught up
        self.resume("client", "slow peer")

    async def client_box_empty(self) -> None:
        """Wait until all that is queued for the client has gone out, or never will."""
        if self.client_box.size and not self.finished:
            self._emptying = True
            await self.swap.empty()

    def lend_client(self) -> asyncio.Transport | None:
        """Give the client's transport away for a handshake; None when the client has left.

        Until `attach` or `swap.lost` what is queued for the client waits.
        """
        transport = self.client
        if self.finished or transport is None or transport.is_closing():
            return None
        self.swap.lend(transport)
        self.client = None
        return transport

    def pause(self, side: str, why: str) -> None:
        """Stop reading one side, for one of several reasons."""
        (reasons := self._paused[side]).add(why)
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
            if self.swap.stands():
                # the one who said so has another transport now, which begins with nothing unsent
                self.resume("target", "slow peer")
                self.resume("client", "own answers")
        else:
            self.target = transport
        if self.finished:
            transport.abort()
        elif self._paused[side]:
            transport.pause_reading()

    def unsent(self) -> tuple[int, int]:
        """Released bytes of the session that the client and the target have not taken from us."""
        return self._client_buffer() + self._undelivered, untaken(self.target) + self._unreached

    def _client_buffer(self) -> int:
        return untaken(self.client) + (0 if self.client is None else untaken(self.swap.beneath))

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
        if self.finished:
            return
        released = self.journal.released
        if self.client_box.size and self.swap.lent is None:
            freed = self.client_box.release(released)
            if self.client is None:
                self._undelivered += sum(map(len, freed))
            write(self.client, freed)
            if self._paused["target"] and backlogged(self.client):
                self.pause("client", "own answers")
        if self._emptying and not self.client_box.size:
            self._emptying = False
            self.swap.is_empty()
        if self.target_box.size:
            write(self.target, self.target_box.release(released))
        if self.waiting:
            if self.client_box.size > OUTBOX_LIMIT:
                self.pause("target", "outbox")
            if self.target_box.size > OUTBOX_LIMIT:
                self.pause("client", "outbox")
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
        if self.finished:
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
        if not self.finished:
            if self.session is not None:
                reason = f"the gateway failed inside ({type(error).__name__})"
                self.session.close(SessionOutcome.BROKEN, reason)
            self._finish()

    def fail(self, reason: str) -> None:
        """The journal can't be written: nothing that waits for it may leave; only our own error does."""
        if self.finished:
            return
        log.error("the journal can't be written; a session ends", address=self.address, reason=reason)
        self.client_box.discard()
        self.target_box.discard()
        write(self.client, [self.machine.farewell("the gateway can't record and stops this session", reason)])
        self._finish()

    def _finish(self) -> None:
        self.finished = True
        self.alarm(None)
        self.swap.is_empty()
        self.swap.abort()
        for transport, beneath in ((self.client, self.swap.beneath), (self.target, None)):
            if transport is not None:
                transport.close()
                self._services.spawn(abort_later(transport, beneath))
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
        if not isinstance(need, AskApproval):
            self._needs -= 1
        self._read_on()

    def _read_on(self) -> None:
        """Go on with the client once no need is open any more: an answer may have brought the next."""
        if not self._needs and (early := self.swap.take_early()):
            self.client_data(early)
        if not self._needs:
            if self.swap.ended:
                self.client_lost()
            self.resume("client", "need")
