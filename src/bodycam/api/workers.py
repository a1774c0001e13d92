"""The workers' line: logins and approvals answered, sessions kept count of, cuts pushed to every worker."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import structlog

from bodycam.api import wire
from bodycam.api.given import GivenSessions
from bodycam.api.leaves import Leaves
from bodycam.api.run_uses import RunUses
from bodycam.net.channel import Channel, ChannelClosed, ChannelServer, RemoteError
from bodycam.session.admission import Admission
from bodycam.session.approval import ApprovalSaid, ApprovalWanted, said_to_wire, wanted_from_wire
from bodycam.session.grant import Grant, Refusal

log = structlog.get_logger(__name__)

Certify = Callable[[bytes], bytes]
"""Signs a PEM request for the listeners' certificate and gives the PEM chain."""

Asked = Callable[[ApprovalWanted, str], Awaitable[ApprovalSaid]]
"""Answers what the worker of that incarnation wants approved."""

SAY_AGAIN = 0.5
ALL_SECONDS = 15.0
"""How long after the start of this process all workers are waited for before it is ready with some."""
CANCEL_SECONDS = 2.0
_KILLED_MOST = 10_000


@dataclass(slots=True)
class Worker:
    """One connected worker, as it said in its hello; `stats` are those it told last."""

    number: int
    incarnation: str
    pid: int
    stats: Mapping[str, Any] = field(default_factory=dict)
    heard: float = field(default_factory=time.monotonic)


class Workers:
    """The control side of `control.sock`."""

    def __init__(
        self,
        admission: Admission,
        *,
        approvals: Asked | None = None,
        certify: Certify | None = None,
        leaves: Leaves | None = None,
        host_key: bytes | None = None,
        limits: Callable[[], Mapping[str, Any]] = dict,
        expected: int = 1,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`expected` is how many workers there are to be; `clock` gives monotonic seconds.

        `host_key` is the private key, as the text of its file, that workers prove the gateway with.
        """
        self.expected, self._clock, self._began, self._complete = expected, clock, clock(), False
        self._admission, self._approvals = admission, approvals
        self._certify, self._leaves, self._limits = certify, leaves, limits
        self._host_key = host_key
        self._server = ChannelServer(self._hear, lost=self._lost)
        self._workers: dict[Channel, Worker] = {}
        self._killed: dict[str, None] = {}
        self._uses = RunUses()
        self.given = GivenSessions()
        self.unknown_cancels = 0
        """Cancel requests whose key no worker knew: late ones, or somebody guesses."""

    @property
    def connected(self) -> list[Worker]:
        """The workers that said hello and are still there."""
        return sorted(self._workers.values(), key=lambda worker: worker.number)

    @property
    def awaited(self) -> bool:
        """Whether it is too early to go on without those that did not say hello since this process began."""
        return not self._complete and self._clock() - self._began < ALL_SECONDS

    async def start(self, path: Path) -> None:
        """Listen for workers at `path`."""
        await self._server.start(path)

    async def stop(self) -> None:
        """Stop listening and let every worker go; they keep their sessions."""
        await self._server.stop()

    def open_sessions(self, run: str) -> list[str]:
        """The sessions of a run that are open on any worker."""
        return self._admission.sessions.of_run(run)

    def is_open(self, session: str) -> bool:
        """Whether a worker has this session open."""
        return session in self._admission.sessions

    def stop_run(self, run: str, reason: str, *, drain: float | None = None) -> list[str]:
        """Cut a run's sessions on every worker, and refuse its logins under way; returns those open now.

        What they are at may go on for `drain` seconds; None: as long as the settings say.
        """
        sessions = self._admission.stop(run)
        self._cut({"sessions": sessions, "run": run, "reason": reason}, drain)
        return sessions

    def cut_run(self, run: str, reason: str, *, drain: float | None = None) -> None:
        """Cut a run's sessions as `stop_run` does; whether it may log in again is the catalog's affair."""
        sessions = self._admission.sessions.of_run(run)
        self._cut({"sessions": sessions, "run": run, "reason": reason}, drain)

    def kill(self, session: str, reason: str) -> bool:
        """Cut one session; False when no connected worker is known to have it, who is told at its hello."""
        self._killed[session] = None
        if len(self._killed) > _KILLED_MOST:
            del self._killed[next(iter(self._killed))]
        self._cut({"sessions": [session], "run": None, "reason": reason}, 0.0)
        return self.is_open(session)

    def renewed(self, run: str, expires: float) -> None:
        """A run's lease was extended; `expires` in Unix seconds."""
        self._admission.renewed(run, expires)
        self._tell_all("renewed", {"run": run, "expires": expires})

    def decided(self, approval: str, state: str) -> None:
        """Wake those that wait for an approval; they ask again, which alone lets anything through."""
        self._tell_all("decided", {"approval": approval, "state": state})

    def limits_changed(self) -> None:
        """Push the limits of the settings as they are now."""
        self._tell_all("limits", dict(self._limits()))

    async def ended(self, sessions: Sequence[str], timeout: float) -> None:
        """Wait until none of these sessions is open any more, or `timeout` seconds have passed."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and any(self.is_open(session) for session in sessions):
            await asyncio.sleep(0.02)

    def _cut(self, order: dict[str, Any], drain: float | None) -> None:
        order["drain"] = self._admission.drain_seconds if drain is None else drain
        self._tell_all("cut", order)
        # an opening that crossed the order on its way is met by saying it again
        asyncio.get_running_loop().call_later(SAY_AGAIN, self._tell_all, "cut", order)

    def _tell_all(self, verb: str, body: Any) -> None:
        for channel in list(self._workers):
            self._tell(channel, verb, body)

    @staticmethod
    def _tell(channel: Channel, verb: str, body: Any) -> None:
        try:
            channel.tell(verb, body)
        except ChannelClosed:
            channel.close()  # its hello, when it comes back, tells it what to cut

    async def _cancel(self, key: bytes, *, but: Channel) -> None:
        """Pass a cancel request on to the worker whose session it is for; it came to another one."""
        others = [channel for channel in self._workers if channel is not but]
        if not any(await asyncio.gather(*(self._knows(channel, key) for channel in others))):
            self.unknown_cancels += 1
            log.info("a cancel request has a key that no worker knows")

    @staticmethod
    async def _knows(channel: Channel, key: bytes) -> bool:
        try:
            said = await channel.call("cancel", {"key": key}, timeout=CANCEL_SECONDS)
        except (ChannelClosed, RemoteError, TimeoutError):
            return True  # it may have known it, and nobody is to be counted for that
        return bool(said["found"])

    async def _hear(self, channel: Channel, verb: str, body: Any) -> Any:
        if verb == "hello":
            return await self._hello(channel, body)
        worker = self._workers.get(channel)
        if worker is None:
            raise RemoteError("no-hello", "a worker says hello before anything else")
        worker.heard = time.monotonic()
        match verb:
            case "challenge":
                said = await self._admission.challenge(
                    str(body["name"]),
                    secure=body["secure"] is True,
                    encrypted=body.get("encrypted") is True,
                    address=str(body["address"]),
                    certificate=bytes(body.get("certificate") or b""),
                )
                return wire.challenge_answer(said)
            case "respond":
                return wire.respond_answer(
                    await self._admission.respond(str(body["login"]), bytes(body["data"]))
                )
            case "open":
                return await self._open(channel, worker, body)
            case "approval" if self._approvals is not None:
                return said_to_wire(await self._approvals(wanted_from_wire(dict(body)), worker.incarnation))
            case "leaf" if self._leaves is not None:
                return {"chain": self._leaves.sign(str(body["host"]), str(body["csr"]))}
            case "renew":
                dial = await self._admission.renew(str(body["session"]), worker.incarnation)
                return {"dial": None if dial is None else asdict(dial)}
            case "served":
                protocol, at = self._admission.served(str(body["where"]), str(body["from"]))
                return {"protocol": protocol, "at": at}
            case "host-key" if self._host_key is not None:
                return {"private": self._host_key}
            case "given-up":
                self._admission.give_up(str(body["login"]))
            case "closed":
                self._admission.closed(str(body["session"]))
            case "stats":
                worker.stats = dict(body)
            case "used":
                self._used(channel, worker, body)
            case "strangers":
                for what, host, count in body:
                    self._admission.stranger(str(what), str(host), int(count))
            case "cancel":
                await self._cancel(bytes(body["key"]), but=channel)
            case _:
                raise RemoteError("unknown-verb", f"the control process does not know {verb!r}")
        return None

    def _used(self, channel: Channel, worker: Worker, told: Mapping[str, Sequence[int]]) -> None:
        self._uses.told(worker.incarnation, told)
        for other, one in list(self._workers.items()):
            if other is not channel and (used := self._uses.elsewhere(one.incarnation, told)):
                self._tell(other, "used", used)

    async def _open(self, channel: Channel, worker: Worker, body: Mapping[str, Any]) -> dict[str, Any]:
        gatekeeper = self._admission.gatekeeper(worker.incarnation)
        said = await gatekeeper.open(
            str(body["login"]), bytes(body["proof"]), wire.wanted_from(body["wanted"])
        )
        grant = said if isinstance(said, Grant) else said.grant
        if grant is not None:
            self.given.add(grant.run.id, grant.session)
            if used := self._uses.elsewhere(worker.incarnation, [grant.run.id]):
                # the first session of a run here; what it used elsewhere counts from its first operation on
                self._tell(channel, "used", used)
        if isinstance(said, Grant) and channel.closed.is_set():
            # the worker that asked is gone and can't say that it closed the session
            self._admission.closed(said.session)
        if isinstance(said, Refusal):
            log.info("a login was refused", code=said.code.value, known=grant is not None)
        return wire.open_answer(said)

    async def _hello(self, channel: Channel, body: Mapping[str, Any]) -> dict[str, Any]:
        incarnation = str(body["incarnation"])
        known = self._workers.get(channel)
        stats = known.stats if known is not None else {}
        worker = Worker(int(body["worker"]), incarnation, int(body["pid"]), stats)
        told = [(str(one["session"]), str(one["run"])) for one in body["sessions"]]
        for old in [old for old, other in self._workers.items() if other.incarnation == incarnation]:
            if old is not channel:
                del self._workers[old]
                old.close()
        # heard from here on, so that a cut which is ordered during the look-up below reaches it too
        self._workers[channel] = worker
        self._complete |= len({one.number for one in self._workers.values()}) >= self.expected
        for session, run in told:
            self.given.add(run, session)
        over = set(await self._admission.hello(incarnation, told))
        killed = {session for session, _ in told if session in self._killed}
        csr = body.get("csr")
        chain = None
        if csr and self._certify is not None:
            chain = (await asyncio.to_thread(self._certify, str(csr).encode())).decode()
        log.info(
            "a worker said hello",
            worker=worker.number,
            pid=worker.pid,
            sessions=len(told),
            cut=len(over | killed),
        )
        drain = self._admission.drain_seconds
        return {
            "cut": sorted(killed if drain else killed | over),
            "drained": sorted(over - killed if drain else ()),
            "drain": drain,
            "certificate": chain,
            "limits": dict(self._limits()),
        }

    def _lost(self, channel: Channel) -> None:
        worker = self._workers.pop(channel, None)
        if worker is not None:
            log.warning("a worker's line is gone", worker=worker.number, pid=worker.pid)
            self._admission.lost(worker.incarnation)
            self._uses.lost(worker.incarnation)
