"""A worker: its journal, its listeners, its links, and what the control process orders.

It is the process that parses hostile bytes, so it holds the least: the archivist's public key, and the
target secrets of the sessions that are open.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from bodycam.gateway import dialer
from bodycam.gateway.approvals import Approvals
from bodycam.gateway.cancels import Cancels
from bodycam.gateway.certificate import ListenerCertificate
from bodycam.gateway.control import ControlLine
from bodycam.gateway.decisions import Decisions
from bodycam.gateway.host_key import KnownHostKey
from bodycam.gateway.interception import Interception
from bodycam.gateway.link import ProxyLink
from bodycam.gateway.listener import Listener
from bodycam.gateway.needs import Needs
from bodycam.gateway.nested import Approach, CarriedTransport, Nested
from bodycam.gateway.session_table import SessionTable
from bodycam.gateway.strangers import Stranger, Strangers
from bodycam.gateway.throttle import Throttle
from bodycam.gateway.turn import Turn
from bodycam.gateway.usage_line import Used, tell_usage
from bodycam.gateway.worker_limits import WorkerLimits
from bodycam.journal.pressure import Pressure
from bodycam.journal.writer import JournalWriter
from bodycam.model.event import SessionOutcome
from bodycam.model.target import Dial
from bodycam.protocols import Protocol
from bodycam.session.grant import Challenge, Grant, Refusal
from bodycam.session.link import Answer, AskOpen, Link, Machine, Need
from bodycam.session.masks import Masking
from bodycam.session.nesting import Carrier, Inner
from bodycam.session.policing import Policy, Redaction
from bodycam.session.session import Session

log = structlog.get_logger(__name__)

TICK = 0.1
STATS_INTERVAL = 1.0


class Worker:
    """One worker process's state."""

    def __init__(
        self,
        number: int,
        *,
        journal: JournalWriter,
        line: Callable[["Worker"], ControlLine],
        certificate: ListenerCertificate,
        policy: Policy,
        redaction: Redaction,
        masking: Masking | None = None,
        used: Used,
        limits: WorkerLimits,
        version: str,
    ) -> None:
        self.number, self.journal, self.limits = number, journal, limits
        self.certificate = certificate
        self._line = line(self)
        self._policy, self.redaction, self._version = policy, redaction, version
        self._masking = masking
        self._used, self.used = used, used.elsewhere
        self._openings = 0
        self._links: set[ProxyLink] = set()
        self._sessions = SessionTable()
        self._cancels = Cancels(self._line.cancel)
        self.decided = Decisions()
        self._listeners: list[Listener] = []
        self._protocols: dict[str, Protocol] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._throttle = Throttle()
        self._unrecordable = asyncio.Event()
        self.counts: Counter[str] = Counter()
        self._needs = Needs(
            self._line,
            cancels=self._cancels,
            approvals=Approvals(self._line.approval, self.decided),
            interception=Interception(self._line.leaf),
            host_key=KnownHostKey(self._line.host_key),
            login_timeout=limits.login_timeout,
        )
        self.strangers = Strangers()
        self._turn = Turn(journal)
        self.read, self.moved = self._turn.read, self._turn.moved
        journal.on_release = lambda: self._turn.released(lambda: self._links)

    # -- life ------------------------------------------------------------------------------------

    def listen(self, listener: Listener, protocol: Protocol) -> None:
        """Take a listener; it starts when the worker runs."""
        self._listeners.append(listener)
        self._protocols[protocol.name] = protocol
        self._needs.target_openings[protocol.name] = protocol.target_opening

    def make_link(
        self, machine: Callable[..., Machine], address: str, secure: bool, certificate: bytes = b""
    ) -> ProxyLink:
        """The link of an accepted connection; `certificate` is what the client showed in TLS, in DER."""
        link = ProxyLink(
            self,
            machine,
            address=address,
            secure=secure,
            message_limit=self.limits.message_size,
            message_seconds=self.limits.message_seconds,
        )
        self._links.add(link)
        if certificate:
            self._needs.shown[link] = certificate
        self.counts["connections"] += 1
        return link

    def admit(self) -> str | None:
        """Why a new connection is turned away just now, or None."""
        if self._draining:
            return "the gateway is stopping"
        if self.journal.pressure >= Pressure.REFUSE:
            return "the gateway's journal is nearly full"
        if len(self._links) >= self.limits.connections:
            return "the gateway has too many connections"
        return None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop`, then drain: take nobody in, wait for sessions, cut those that stay.

        Returns as well when the journal has failed for good: whoever started this worker replaces it.
        """
        await self.journal.start()
        line = asyncio.create_task(self._line.run())
        ticking = asyncio.create_task(self._tick())
        counting = asyncio.create_task(tell_usage(self._line, self._used))
        try:
            connected = asyncio.create_task(self._line.connected.wait())
            stopping = asyncio.create_task(stop.wait())
            # without the control process nobody could log in, and its CA signs the listeners' certificate
            await asyncio.wait({connected, stopping}, return_when=asyncio.FIRST_COMPLETED)
            connected.cancel()
            if not stop.is_set():
                for listener in self._listeners:
                    listener.start()
                log.info("a worker accepts connections", worker=self.number)
            broken = asyncio.create_task(self._unrecordable.wait())
            await asyncio.wait({stopping, broken}, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            broken.cancel()
            await self._drain()
        finally:
            for task in (ticking, counting, line):
                task.cancel()
            await asyncio.gather(ticking, counting, line, return_exceptions=True)
            await self.journal.close()

    async def _drain(self) -> None:
        # who comes now is told so; a socket that nobody accepts from would let them wait
        self._draining = True
        patience = 0.0 if self._unrecordable.is_set() else self.limits.drain_timeout
        deadline = time.monotonic() + patience
        while self._links and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        for listener in self._listeners:
            listener.stop()
        for link in list(self._links):
            link.cut("the gateway is stopping")
        deadline = time.monotonic() + 5
        while self._links and time.monotonic() < deadline:
            await asyncio.sleep(0.05)

    async def _tick(self) -> None:
        stats_due = 0.0
        while True:
            await asyncio.sleep(TICK)
            for session, link in self._sessions.expired(time.time()):
                link.drain("the run's lease has expired", session.grant.limits.drain)
            self._watch_journal()
            for link in self._sessions.overdrawn():
                link.cut("the run has moved as much as limits.journal_per_run allows")
            if time.monotonic() >= stats_due:
                stats_due = time.monotonic() + STATS_INTERVAL
                self._line.tell("stats", self.stats())
                if self._line.connected.is_set() and (counted := self.strangers.drain()):
                    self._line.tell("strangers", counted)
                if self.certificate.due:
                    self.spawn(self._line.hello_again())

    def _watch_journal(self) -> None:
        pressure = self.journal.pressure
        if pressure >= Pressure.FULL and self.journal.stats()["failed"]:
            if not self._unrecordable.is_set():
                log.error(
                    "the journal has failed; this worker ends, for another to begin", worker=self.number
                )
            self._unrecordable.set()
        elif pressure >= Pressure.FULL and self._sessions:
            log.error("the journal is full; sessions end", worker=self.number)
            for _, link in self._sessions.open_now():
                link.cut("the gateway's journal is full")
        self._throttle.tick(self._links, slow=pressure >= Pressure.THROTTLE)

    # -- Services of a link ------------------------------------------------------------------------

    async def fulfil(self, link: ProxyLink, need: Need) -> Answer:
        """Answer what a machine needs."""
        answer = await self._needs.fulfil(link, need)
        gone = link.client is None or link.finished
        if gone and isinstance(need, AskOpen) and isinstance(answer, Grant | Refusal):
            self._left(link, answer)
        elif gone and isinstance(answer, Challenge):
            self._line.tell("given-up", {"login": answer.login})
        if isinstance(answer, Refusal):
            self.counts[f"refused_{answer.code.value}"] += 1
        return answer

    def _left(self, link: ProxyLink, answer: Grant | Refusal) -> None:
        """The client was gone when it was decided who it is: who is known is on the record all the same."""
        grant = answer if isinstance(answer, Grant) else answer.grant
        if grant is not None:
            session = self.open(link, grant, {})
            session.close(SessionOutcome.FAILED, "the client left before its login was over")
            self.journal.commit()

    def open(self, link: ProxyLink, grant: Grant, claims: Mapping[str, str]) -> Session:
        """Begin a session: the next gapless opening number of this journal."""
        self._openings += 1
        self.counts["sessions"] += 1
        session = Session.opened(
            grant,
            journal=self.journal,
            opening=self._openings,
            incarnation=self.journal.incarnation,
            address=link.address,
            claims=claims,
            version=self._version,
            policy=self._policy,
            redaction=self.redaction,
            masking=self._masking,
            client=link.client_box,
            target=link.target_box,
            unsent=link.unsent,
            on_close=self._session_closed,
        )
        self._sessions.add(session, link)
        return session

    def nest(
        self, link: ProxyLink, machine: Callable[[Link], Machine] | str, carrier: Carrier
    ) -> Inner | None:
        """A link within another, or none where no more are let in."""
        if self.admit() is not None:
            return None
        if not isinstance(machine, str):
            return self._nested(link, machine, carrier)
        protocol = self._protocols.get(machine)
        if protocol is None:
            return None
        return Approach(
            protocol.opening(False), carrier, lambda: self._nested(link, protocol.machine, carrier)
        )

    def _nested(self, link: ProxyLink, machine: Callable[[Link], Machine], carrier: Carrier) -> Nested:
        """It has as long for its login as one that comes by itself."""
        inner = self.make_link(machine, link.address, True)
        link.within.add(inner)
        inner.attach("client", CarriedTransport(carrier))
        patience = self.limits.login_timeout
        asyncio.get_running_loop().call_later(
            patience, lambda: None if inner.session else inner.cut(f"no login within {patience:g} s")
        )
        return Nested(inner)

    def stranger(self, link: ProxyLink) -> None:
        """Count somebody who broke the protocol before anybody knew who it was."""
        self.strangers.add(Stranger.NONSENSE, link.address)

    def link_ready(self, link: ProxyLink) -> None:
        """A login is over."""
        self._needs.ready(link)
        for listener in self._listeners:
            listener.link_ready(link)

    def link_closed(self, link: ProxyLink) -> None:
        """A link is gone."""
        self.link_ready(link)
        self._links.discard(link)
        self._turn.forget(link)
        self._needs.forget(link)
        self._cancels.forget(link)
        if link.session is not None and not link.session.closed:
            link.session.close(SessionOutcome.BROKEN, "the connection ended")

    def register_cancel(self, link: ProxyLink, key: bytes) -> None:
        """Remember which link a cancel key belongs to."""
        self._cancels.register(link, key)

    def knock(self, link: ProxyLink, dial: Dial, data: bytes) -> None:
        """Send something to a link's target on a connection of its own."""
        if link.session is None:
            return
        opening = self._needs.opening(link, dial)
        self._cancels.knock(link, dialer.knock(dial, opening, data))

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside, kept until it ends."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _session_closed(self, session: Session) -> None:
        self._sessions.closed(session)
        self._line.tell("closed", {"session": session.grant.session})

    # -- Orders of the control process ---------------------------------------------------------------

    def hello(self) -> dict[str, Any]:
        """Who this worker is and what it has open, said at every connection to the control process."""
        return {
            "worker": self.number,
            "incarnation": self.journal.incarnation.hex(),
            "pid": os.getpid(),
            "sessions": self._sessions.listed(),
            "csr": self.certificate.request(),
        }

    def welcomed(self, answer: Mapping[str, Any]) -> None:
        """The control process took the worker, signed its certificate, and says what must end."""
        chain = answer.get("certificate")
        if chain:
            self.certificate.adopt(chain)
        self.decided.missed()
        reason = "the run has ended or was revoked"
        for sessions, drain in ((answer.get("cut"), 0.0), (answer.get("drained"), answer.get("drain"))):
            self.cut(sessions=list(sessions or ()), run=None, reason=reason, drain=float(drain or 0))

    def cut(self, *, sessions: list[str], run: str | None, reason: str, drain: float = 0.0) -> None:
        """End sessions by their ids, or all of a run; `drain` is how long they may finish what they do."""
        for link in self._sessions.of(sessions, run):
            link.drain(reason, drain)

    async def cancel_here(self, key: bytes) -> bool:
        """A cancel request that arrived at another worker; whether its key is of a link of ours."""
        return await self._cancels.here(key)

    def renewed(self, run: str, expires: float) -> None:
        """A run's lease was extended."""
        self._sessions.renewed(run, expires)

    def stats(self) -> dict[str, Any]:
        """Counters and gauges for the control process's metrics."""
        return {
            "worker": self.number,
            "links": len(self._links),
            "sessions_open": len(self._sessions),
            "refused_connections": sum(listener.refused for listener in self._listeners),
            **self.counts,
            **self._sessions.moved(),
            "journal": self.journal.stats(),
        }
