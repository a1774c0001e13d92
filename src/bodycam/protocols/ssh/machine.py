"""The SSH proxy of one link: the client's server and the target's client, with the journal between.

asyncssh turns bytes into channels and back, on both sides, over transports in memory. Whatever it has to send
is queued behind all that is recorded by then (`Session.deliver`, `Session.forward`), so that nothing leaves
before the journal has what it carries.
"""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final, final

import asyncssh

from bodycam.model.event import Outcome, SessionOutcome
from bodycam.protocols.ssh import asking
from bodycam.protocols.ssh.answers import denied, refusal
from bodycam.protocols.ssh.approvals import Approvals
from bodycam.protocols.ssh.channel import SessionChannel
from bodycam.protocols.ssh.client import CHANNELS_MOST, ClientConnection, client_connection
from bodycam.protocols.ssh.forwards import Forward
from bodycam.protocols.ssh.jump import Jump
from bodycam.protocols.ssh.login import Login
from bodycam.protocols.ssh.place import NAME
from bodycam.protocols.ssh.target import TargetConnection
from bodycam.session.approval import ApprovalSaid
from bodycam.session.link import Answer, AskHostKey, AskServed, GivenUp, HostKey, Link, NoHostKey, Served
from bodycam.session.session import Exchange, Session

TOO_MANY: Final = f"{CHANNELS_MOST} channels of this connection are open already"

BY_APPLICATION: Final = asyncssh.DISC_BY_APPLICATION


@final
class SshMachine:
    """The machine of one link (`session.link.Machine`), and the host that its client has come to."""

    def __init__(self, link: Link, host: str = "") -> None:
        """`host` is `host:port` where the client has jumped to."""
        self._link = link
        self._client: ClientConnection | None = None
        self._early: list[bytes] = []
        self._login = Login(
            link, lambda: TargetConnection(self._send_target, self._target_lost), self._claims, host
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._channels: set[SessionChannel] = set()
        self._forwards = self._refused = 0
        self._over = False
        self._asked: dict[str, list[asyncio.Future[Served]]] = {}
        self._last: list[bytes] | None = None
        self.approvals = Approvals(link)
        link.ask(AskHostKey())

    # -- what the link tells ---------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Bytes of the client."""
        if self._client is None:
            self._early.append(data)
        else:
            self._client.data_received(data)

    def from_target(self, data: bytes) -> None:
        """Bytes of the target."""
        self._login.target.receive(data)

    def answer(self, answer: Answer) -> None:
        """What was asked for."""
        match answer:
            case HostKey(private=private):
                self._greet(private)
            case NoHostKey(message=message):
                self._link.send_client(refusal(message, "Try again in a moment."))
                self._link.close()
            case Served(where=where):
                waiting = self._asked[where].pop(0)
                if not self._asked[where]:
                    del self._asked[where]
                if not waiting.done():
                    waiting.set_result(answer)
            case GivenUp():
                pass
            case ApprovalSaid():
                self.approvals.answered(self.session, answer)
            case _:
                self._login.answer(answer)

    def _greet(self, private: bytes) -> None:
        host, _, port = self._link.address.rpartition(":")
        peer = (host, int(port) if port.isdigit() else 0)
        self._client = client_connection(self, private, self._send_client, self._client_closed, peer)
        early, self._early = self._early, []
        for data in early:
            self._client.data_received(data)

    def waits(self, said: ApprovalSaid) -> None:
        """It is known where something waits for a person."""
        self.approvals.waits(said)

    def client_gone(self) -> bool:
        """The client's connection is lost."""
        self._end(SessionOutcome.ENDED, "")
        if self._client is not None:
            # so that what is carried by its channels hears of it
            self._client.abort()
        return False

    def target_gone(self) -> None:
        """The target's connection is lost; what it said last is on its way to the client."""
        if self._login.target.stands:
            self._target_lost("the target closed the connection")
        else:
            self._login.target.gone()

    def cancel(self) -> None:
        """SSH has no cancel requests of this kind."""

    def alarm(self) -> None:
        """None was set."""

    def cut(self, reason: str) -> None:
        """End it now."""
        self._leave(SessionOutcome.CUT, reason)

    def drain(self, reason: str) -> None:
        """End it once no channel is open."""
        session = self._login.session
        if session is not None and not session.refusing:
            session.refusing = reason
        if not self._channels and not self._forwards:
            self.cut(reason)

    def farewell(self, message: str, hint: str) -> bytes:
        """A disconnect with its reason: in the clear before there are keys."""
        if self._client is None:
            return refusal(message, hint)
        self._over = True
        self._last = []
        self._client.disconnect(BY_APPLICATION, f"{message}. {hint}" if hint else message)
        said, self._last = b"".join(self._last), None
        return said

    # -- what the client's side asks (`client.Host`) -----------------------------------------------

    async def by_certificate(self, name: str, blob: bytes) -> str | None:
        """Open what is asked for to the certificate's holder."""
        return await self._login.by_certificate(name, blob)

    async def by_password(self, name: str, password: str) -> str | None:
        """The same by a password."""
        return await self._login.by_password(name, password)

    def session_channel(self) -> SessionChannel | None:
        """A channel for a program or files."""
        if self._login.jumping:
            # there is nothing here to run anything at
            return None
        if len(self._channels) + self._forwards >= CHANNELS_MOST:
            self._too_many()
            return None
        channel = SessionChannel(self)
        self._channels.add(channel)
        return channel

    def forward(self, kind: str, host: str, port: int) -> Coroutine[Any, Any, Any] | Jump | str:
        """A way on from the target."""
        if self._login.jumping:
            return self._jump(host, port)
        operation = asking.forward(kind, host, port, self.session.grant.database)
        if len(self._channels) + self._forwards >= CHANNELS_MOST:
            self._too_many()
            return TOO_MANY
        exchange = self.session.request(operation)
        self._link.stir()
        if not exchange.allowed:
            return self._refuse(exchange)
        if kind == "tunnel":
            return self._refuse(exchange, "network tunnels are not carried by this gateway")
        self._forwards += 1
        return self._carry(exchange, host, port)

    def _jump(self, host: str, port: int) -> Jump | str:
        if self._forwards >= CHANNELS_MOST:
            return TOO_MANY
        where = _where(host, port)
        self._forwards += 1
        return Jump(self._link, lambda link: SshMachine(link, where), self._forward_over)

    async def _carry(self, exchange: Exchange, host: str, port: int) -> Any:
        where = _where(host, port)
        served = await self._served(where) if port else Served(where, "")
        if served.protocol:
            # recorded as what it is, by a link of that protocol, which asks by itself who it is
            exchange.finish(Outcome.OK, f"as {served.protocol}")
            self._link.stir()
            own = served.protocol == NAME
            within = (lambda link: SshMachine(link, served.at)) if own else served.protocol
            return Jump(self._link, within, self._forward_over)
        forward = Forward(exchange, self._forward_over)
        await forward.connect(self.target, host, port)
        self._link.stir()
        return forward.near

    async def _served(self, where: str) -> Served:
        """The protocol of ours that is spoken there, as the target would reach it."""
        waiting = self._asked.setdefault(where, [])
        answer: asyncio.Future[Served] = asyncio.get_running_loop().create_future()
        waiting.append(answer)
        dial = self.session.grant.dial
        assert dial is not None
        self._link.ask(AskServed(where, dial.host))
        return await answer

    def _forward_over(self) -> None:
        self._forwards -= 1
        self._link.stir()

    def listen(self, kind: str, what: str) -> None:
        """Somebody at the target is to reach the client."""
        if self._login.jumping:
            return
        exchange = self.session.request(asking.forward(kind, what, 0, self.session.grant.database))
        self._refuse(exchange, "nothing at a target can reach a client through this gateway")
        self._link.stir()

    def client_lost(self, error: Exception | None) -> None:
        """Asyncssh has ended the client's connection."""
        if self._over:
            return
        left = asyncssh.ConnectionLost | asyncssh.PermissionDenied | OSError
        broken = error is not None and not isinstance(error, left)
        if broken and self._login.session is None and not self._login.jumping:
            self._link.stranger()
        if broken:
            self._end(SessionOutcome.BROKEN, self._why_broken(error))
        else:
            self._end(SessionOutcome.ENDED, "")
        self._link.close()
        self._link.stir()

    @staticmethod
    def _why_broken(error: Exception | None) -> str:
        if isinstance(error, asyncssh.Error):
            return f"the client broke the protocol: {error.reason:.300}"
        # what asyncssh has called failed: no fault of the client's, and somebody has to hear of it
        said = f"the gateway failed inside ({type(error).__name__})"
        asyncio.get_running_loop().call_exception_handler({"message": said, "exception": error})
        return said

    # -- what a channel needs (`channel.House`) ------------------------------------------------------

    @property
    def session(self) -> Session:
        """The session, once the login is over."""
        assert self._login.session is not None
        return self._login.session

    @property
    def target(self) -> asyncssh.SSHClientConnection:
        """The target's connection."""
        return self._login.target.ssh

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on beside."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # law 2: a fault of ours ends this link
            self._leave(SessionOutcome.BROKEN, f"the gateway failed inside ({type(error).__name__})")
            raise error

    def stir(self) -> None:
        """Something was recorded."""
        self._link.stir()

    def gone(self, channel: SessionChannel) -> None:
        """A channel is over."""
        self._channels.discard(channel)

    # -- bytes and ends ------------------------------------------------------------------------------

    def _send_client(self, data: bytes) -> None:
        session = self._login.session
        if self._last is not None:
            self._last.append(data)
        elif session is None or session.closed:
            self._link.send_client(data)
        else:
            session.deliver(data)
        self._link.stir()

    def _send_target(self, data: bytes) -> None:
        session = self._login.session
        if session is None or session.closed:
            self._link.send_target(data)
        else:
            session.forward(data)
        self._link.stir()

    def _client_closed(self) -> None:
        """Asyncssh closes its transport: what is queued still goes."""
        if not self._over:
            self._link.close()
            self._link.stir()

    def _target_lost(self, reason: str) -> None:
        self._leave(SessionOutcome.BROKEN, reason)

    def _too_many(self) -> None:
        self._refused += 1
        if self._refused == 1:
            self.session.note("refused", why=TOO_MANY)
            self._link.stir()

    @staticmethod
    def _refuse(exchange: Exchange, why: str = "") -> str:
        if not why or not exchange.allowed:
            verdict = exchange.verdict
            assert verdict is not None
            why = (
                denied(verdict)
                if verdict.terms is None
                else f"rule {verdict.rule} wants an approval, and a forward can't wait for one"
            )
        exchange.finish(Outcome.DENIED, None, {"code": "prohibited", "message": why.partition("\n")[0]})
        return why.replace("\n", ". ")

    def _claims(self) -> Mapping[str, str]:
        version = None if self._client is None else self._client.get_extra_info("client_version")
        return {"client": str(version)} if version else {}

    def _leave(self, outcome: SessionOutcome, reason: str) -> None:
        """End it from this side: everybody is told why."""
        if self._over:
            return
        for channel in list(self._channels):
            channel.cut(reason)
        if self._client is not None:
            self._client.disconnect(BY_APPLICATION, reason)
        elif outcome is SessionOutcome.CUT:
            self._link.send_client(refusal(reason, ""))
        self._end(outcome, reason)
        self._link.close()
        self._link.stir()

    def _end(self, outcome: SessionOutcome, reason: str) -> None:
        if self._over:
            return
        self._over = True
        self._login.drop()
        self.approvals.drop()
        for waiting in self._asked.values():
            for answer in waiting:
                answer.cancel()
        for channel in list(self._channels):
            channel.connection_lost(None)
        for task in list(self._tasks):
            task.cancel()
        if (session := self._login.session) is not None:
            if self._refused > 1:
                session.note("refused", why=TOO_MANY, times=self._refused)
            session.close(outcome, reason)
        self._login.target.close()


def _where(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
