"""A worker's line to the control process: logins asked there, cuts and cancels heard from there.

While the control process is away nobody can log in; sessions that are open go on, and their expiry is
watched by the worker itself.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import structlog

from bodycam.model.target import Dial
from bodycam.net.channel import Channel, ChannelClosed, RemoteError, connect
from bodycam.session.approval import ApprovalSaid, ApprovalWanted, said_from_wire, wanted_to_wire
from bodycam.session.grant import (
    Challenge,
    Grant,
    Method,
    Refusal,
    RefusalCode,
    Wanted,
    dial_from_wire,
    grant_from_wire,
)
from bodycam.session.link import HostKey, NoHostKey

log = structlog.get_logger(__name__)

T = TypeVar("T")

RECONNECT_FIRST, RECONNECT_MOST = 0.05, 1.0
LOGIN_CALL_TIMEOUT = 8.0
APPROVAL_CALL_TIMEOUT = 8.0
LEAF_CALL_TIMEOUT = 8.0
HOST_KEY_CALL_TIMEOUT = 8.0


class NoLeaf(Exception):
    """There is no certificate for a host, and why, for people."""


class Orders(Protocol):
    """What the control process may tell a worker to do."""

    def hello(self) -> dict[str, Any]: ...

    def welcomed(self, answer: Mapping[str, Any]) -> None: ...

    def cut(self, *, sessions: list[str], run: str | None, reason: str, drain: float = 0.0) -> None: ...

    async def cancel_here(self, key: bytes) -> bool: ...

    def renewed(self, run: str, expires: float) -> None: ...

    def decided(self, approval: str) -> None: ...

    def used(self, told: Mapping[str, Any]) -> None: ...


class ControlLine:
    """The reconnecting channel to the control process; also this worker's Gatekeeper."""

    def __init__(self, path: Path, orders: Orders) -> None:
        self._path, self._orders = path, orders
        self._channel: Channel | None = None
        self.connected = asyncio.Event()

    async def run(self) -> None:
        """Keep the line up until cancelled."""
        pause = RECONNECT_FIRST
        while True:
            try:
                channel = await connect(self._path, self._hear)
            except ChannelClosed:
                await asyncio.sleep(pause)
                pause = min(pause * 2, RECONNECT_MOST)
                continue
            pause = RECONNECT_FIRST
            reading = asyncio.create_task(channel.run())
            try:
                self._orders.welcomed(await channel.call("hello", self._orders.hello()))
                self._channel = channel
                self.connected.set()
                await reading
                log.warning("the control process went away; new logins wait for it")
            except (RemoteError, ChannelClosed, TimeoutError) as error:
                log.warning("the control process did not take this worker", error=str(error))
                await asyncio.sleep(pause)
            finally:
                self.connected.clear()
                self._channel = None
                channel.close()
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading

    async def hello_again(self) -> None:
        """Say hello once more, for a fresh certificate; a failure is made good by the next try."""
        if self._channel is not None:
            with contextlib.suppress(ChannelClosed, RemoteError, TimeoutError):
                self._orders.welcomed(await self._channel.call("hello", self._orders.hello()))

    def tell(self, verb: str, body: Any) -> None:
        """Send a notice if the line is up; what it carries is said again by the next hello."""
        if self._channel is not None:
            with contextlib.suppress(ChannelClosed):
                self._channel.tell(verb, body)

    async def cancel(self, key: bytes) -> None:
        """Hand a cancel request to the worker that knows its key; returns once the target has it."""
        if self._channel is not None:
            with contextlib.suppress(ChannelClosed, RemoteError, TimeoutError):
                await self._channel.call("cancel", {"key": key})

    async def challenge(
        self, name: str, *, secure: bool, address: str, certificate: bytes = b"", encrypted: bool = False
    ) -> Challenge | Refusal:
        """Ask how a claimed name is to be proved; the client's certificate is judged there and not here."""
        body = {
            "name": name,
            "secure": secure,
            "encrypted": encrypted,
            "address": address,
            "certificate": certificate,
        }
        return await self._ask(
            "challenge", body, lambda said: Challenge(said["login"], Method(said["method"]))
        )

    async def respond(self, login: str, data: bytes) -> bytes | Refusal:
        """Carry the client's next message of a proof."""
        return await self._ask("respond", {"login": login, "data": data}, lambda said: bytes(said["data"]))

    async def open(self, login: str, proof: bytes, wanted: Wanted) -> Grant | Refusal:
        """Carry the end of a proof and what is wanted."""
        body = {"login": login, "proof": proof, "wanted": asdict(wanted)}
        return await self._ask("open", body, lambda said: grant_from_wire(said["grant"]))

    async def renew(self, session: str) -> Dial | None:
        """The way to a session's target with what is new of it; None where nothing is, or nobody answers."""
        if self._channel is not None:
            with contextlib.suppress(ChannelClosed, RemoteError, TimeoutError):
                said = await self._channel.call("renew", {"session": session}, timeout=LOGIN_CALL_TIMEOUT)
                return None if said["dial"] is None else dial_from_wire(said["dial"])
        return None

    async def approval(self, wanted: ApprovalWanted) -> ApprovalSaid | None:
        """Ask for an operation's approval; None when there is no answer, and then it must not be executed.

        APPROVED has used the approval up. One whose answer was lost on the way is used up as well.
        """
        if self._channel is None:
            return None
        try:
            said = await self._channel.call("approval", wanted_to_wire(wanted), timeout=APPROVAL_CALL_TIMEOUT)
        except (ChannelClosed, TimeoutError, ValueError):
            return None
        except RemoteError as error:
            log.error("the control process failed at an approval", error=str(error))
            return None
        return said_from_wire(said)

    async def leaf(self, host: str, csr: str) -> str:
        """A certificate of the interception CA for `host` and the key of a request: the chain, in PEM.

        Raises:
            NoLeaf: the control process is away, or signs none for that host.
        """
        if self._channel is None:
            raise NoLeaf("the gateway's control process is starting again")
        try:
            said = await self._channel.call("leaf", {"host": host, "csr": csr}, timeout=LEAF_CALL_TIMEOUT)
        except (ChannelClosed, TimeoutError) as error:
            raise NoLeaf(str(error) or "the gateway's control process did not answer in time") from error
        except RemoteError as error:
            raise NoLeaf(f"the gateway's control process signs no certificate: {error}") from error
        return str(said["chain"])

    async def host_key(self) -> HostKey | NoHostKey:
        """The private key that the gateway proves itself with to clients of a protocol with host keys."""
        if self._channel is None:
            return NoHostKey("the gateway's control process is starting again")
        try:
            said = await self._channel.call("host-key", {}, timeout=HOST_KEY_CALL_TIMEOUT)
        except (ChannelClosed, TimeoutError) as error:
            return NoHostKey(str(error) or "the gateway's control process did not answer in time")
        except RemoteError as error:
            log.error("the control process gave no host key", error=str(error))
            return NoHostKey("the gateway's control process gives no host key")
        return HostKey(bytes(said["private"]))

    async def served(self, where: str, seen_from: str) -> tuple[str, str]:
        """Protocol and address of the target at `host:port`, as a host sees it; two "" if none is known."""
        if self._channel is not None:
            with contextlib.suppress(ChannelClosed, RemoteError, TimeoutError):
                said = await self._channel.call(
                    "served", {"where": where, "from": seen_from}, timeout=LOGIN_CALL_TIMEOUT
                )
                return str(said["protocol"]), str(said["at"])
        return "", ""

    async def _ask(self, verb: str, body: Any, read: Callable[[Any], T]) -> T | Refusal:
        if self._channel is None:
            return _away("its control process is starting again")
        try:
            said = await self._channel.call(verb, body, timeout=LOGIN_CALL_TIMEOUT)
        except (ChannelClosed, TimeoutError) as error:
            return _away(str(error) or "its control process did not answer in time")
        except RemoteError as error:
            log.error("the control process failed at a login", verb=verb, error=str(error))
            return _away("its control process could not decide this login")
        if "refusal" in said:
            return _refusal(said["refusal"])
        return read(said)

    async def _hear(self, channel: Channel, verb: str, body: Any) -> Any:
        match verb:
            case "cut":
                self._orders.cut(
                    sessions=list(body.get("sessions") or ()),
                    run=body.get("run"),
                    reason=str(body.get("reason") or "ended by the gateway"),
                    drain=float(body.get("drain") or 0),
                )
            case "cancel":
                return {"found": await self._orders.cancel_here(bytes(body["key"]))}
            case "renewed":
                self._orders.renewed(str(body["run"]), float(body["expires"]))
            case "decided":
                self._orders.decided(str(body["approval"]))
            case "used":
                self._orders.used(body)
            case _:
                log.info("an order that this worker does not know", verb=verb)
        return None


def _away(why: str) -> Refusal:
    message = f"the gateway can't take logins just now: {why}"
    return Refusal(RefusalCode.UNAVAILABLE, message, "Try again in a moment.")


def _refusal(plain: Mapping[str, Any]) -> Refusal:
    grant = plain.get("grant")
    return Refusal(
        RefusalCode(plain["code"]),
        plain["message"],
        plain.get("hint", ""),
        None if grant is None else grant_from_wire(grant),
    )
