"""A stage for SSH: real clients and servers at both ends of one machine, with a journal in between that checks law 1.

asyncssh needs an event loop, so that a play here carries bytes over loopback sockets: whoever connects to its port is
the client of one machine.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import asyncssh

from bodycam.model.event import Flavor, Kind
from bodycam.model.target import Dial, Target, TlsMode
from bodycam.protocols.ssh.machine import SshMachine
from bodycam.session.approval import ApprovalSaid
from bodycam.session.grant import Challenge, Grant, Method, Refusal
from bodycam.session.link import (
    AskApproval,
    AskChallenge,
    AskDial,
    AskGiveUp,
    AskHostKey,
    AskOpen,
    AskServed,
    DialDone,
    DialFailed,
    GivenUp,
    HostKey,
    Machine,
    Need,
    Served,
)
from bodycam.session.nesting import Carrier, Inner
from tests.playbook.play import GRANT, Play

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
TARGET_KEY = asyncssh.generate_private_key("ssh-ed25519")

Decide = Callable[[AskApproval], ApprovalSaid]


def grant(port: int, **more: Any) -> Grant:
    """A session at an SSH server on loopback."""
    dial = Dial("127.0.0.1", port, "app", "app", PASSWORD, TlsMode.DISABLE, known_hosts=KNOWN, **more)
    return replace(GRANT, target=Target("web1", "ssh"), database="app", dial=dial)


class SshPlay(Play):
    """One connection to the gateway's SSH listener, over sockets."""

    def __init__(
        self,
        given: Grant | Refusal,
        plays: "list[SshPlay]",
        *,
        decide: Decide | None = None,
        hold: type[Need] | None = None,
        machine: Callable[[Any], Machine] = lambda link: SshMachine(link),
        **more: Any,
    ) -> None:
        """Needs of the kind of `hold` are answered when `go_on` is set, and not before."""
        self.given, self._decide, self._plays, self._hold = given, decide, plays, hold
        self.asked: list[Need] = []
        self.given_up: list[str] = []
        self.go_on = asyncio.Event()
        self.served: dict[str, str] = {}
        self.nested: list[str] = []
        self._client: asyncio.StreamWriter | None = None
        self._target: asyncio.StreamWriter | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stirred = False
        self.gone = asyncio.Event()
        super().__init__(machine, **more)

    # -- Link ------------------------------------------------------------------------------------

    def ask(self, need: Need) -> None:
        self.asked.append(need)
        self._spawn(self._fulfil(need))

    def nest(self, machine: Callable[[Any], Machine] | str, carrier: Carrier) -> Inner | None:
        if isinstance(machine, str):
            self.nested.append(machine)
            return None
        inner = InnerPlay(self.given, machine, carrier)
        self._plays.append(inner)
        return inner

    def stir(self) -> None:
        if not self._stirred:
            self._stirred = True
            asyncio.get_running_loop().call_soon(self._flush)

    def close(self) -> None:
        super().close()
        self.stir()

    def drop_target(self) -> None:
        super().drop_target()
        if self._target is not None:
            self._target.close()
            self._target = None

    # -- the play --------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one client's bytes."""
        self._client = writer
        self.stir()
        while data := await reader.read(65536):
            self.machine.from_client(data)
            self._flush()
        if not self.closed and not self.machine.client_gone():
            self.close()
        self._flush()
        self.gone.set()

    async def _fulfil(self, need: Need) -> None:
        await asyncio.sleep(0)
        if self._hold is not None and isinstance(need, self._hold):
            await self.go_on.wait()
        match need:
            case AskHostKey():
                self.machine.answer(HostKey(HOST_KEY.export_private_key()))
            case AskServed(where=where):
                self.machine.answer(Served(where, self.served.get(where, ""), where))
            case AskChallenge(certificate=certificate):
                method = Method.CERTIFICATE if certificate else Method.CLEARTEXT
                self.machine.answer(Challenge("login-1", method))
            case AskGiveUp(login=login):
                self.given_up.append(login)
                self.machine.answer(GivenUp())
            case AskOpen():
                self.machine.answer(self.given)
            case AskDial(dial=dial):
                await self._dial(dial)
            case AskApproval():
                assert self._decide is not None
                self.machine.answer(replace(self._decide(need), exchange=need.wanted.exchange))
        self._flush()

    async def _dial(self, dial: Dial) -> None:
        try:
            reader, self._target = await asyncio.open_connection(dial.host, dial.port)
        except OSError as error:
            self.machine.answer(DialFailed(str(error)))
            return
        self._spawn(self._read_target(reader, self._target))
        self.machine.answer(DialDone(secure=False))

    async def _read_target(self, reader: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                self.machine.from_target(data)
                self._flush()
        # of one that was dropped nothing is told, as a link does not
        if not self.closed and self._target is target:
            self.machine.target_gone()
            self._flush()

    def _flush(self) -> None:
        self._stirred = False
        for writer, data in ((self._client, self.client_gets()), (self._target, self.target_sees())):
            if writer is not None and data:
                writer.write(data)
        if self.closed:
            self.gone.set()
            for one in (self._client, self._target):
                if one is not None:
                    one.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def story(self) -> list[str]:
        """What has been recorded since the last look, in short lines; data that follows data of its kind joins it."""
        told: list[str] = []
        for kind, number, body in self.recorded():
            line = _line(kind, number, body)
            if kind in (Kind.TO_CLIENT, Kind.TO_TARGET) and told and told[-1].startswith(line[:8]):
                told[-1] += line[8:]
            else:
                told.append(line)
        return told


class InnerPlay(SshPlay):
    """A link within another, whose client's bytes are a channel's content."""

    def __init__(self, given: Grant | Refusal, machine: Callable[[Any], Machine], carrier: Carrier) -> None:
        self._carrier = carrier
        super().__init__(given, [], machine=machine)

    def data(self, data: bytes) -> None:
        self.machine.from_client(data)
        self._flush()

    def lost(self) -> None:
        if not self.closed and not self.machine.client_gone():
            self.close()
        self._flush()

    def slow(self, slow: bool) -> None:
        """Nothing here is read faster than it is taken."""

    def _flush(self) -> None:
        if data := self.client_gets():
            self._carrier.write(data)
        super()._flush()
        if self.closed:
            self._carrier.close()


_WAYS = {Flavor.CHUNK: "out", Flavor.FRAMES: "scr", Flavor.ERRORS: "err"}


def _line(kind: Kind, number: int, body: Any) -> str:
    match kind:
        case Kind.REQUEST:
            verdict = f" {body[5][0]} by {body[5][1]}" if body[5] else ""
            return f"{number} {body[0]} {body[1]}{verdict}"
        case Kind.TO_TARGET:
            return f"{number} >  in  {body[2].decode('latin-1')}"
        case Kind.TO_CLIENT:
            return f"{number} <  {_WAYS[Flavor(body[0])]} {body[2].decode('latin-1')}"
        case Kind.FINISH:
            error = f": {body[5]['message']}" if body[5] else ""
            return f"{number} finish {body[0]} {body[4] or '-'}{error}"
        case Kind.NOTE:
            rest = ", ".join(f"{name}={value}" for name, value in body.items() if name != "note")
            return f"{number} note {body['note']} {rest}".rstrip()
        case Kind.CLOSED:
            return f"closed {body['outcome']}" + (f": {body['reason']}" if body["reason"] else "")
        case _:
            return "opened"


@contextlib.asynccontextmanager
async def stage(given: Grant | Refusal, **more: Any) -> AsyncIterator[tuple[int, list[SshPlay]]]:
    """A port of loopback where each connection is the client of a machine of its own."""
    plays: list[SshPlay] = []

    async def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        play = SshPlay(given, plays, **more)
        plays.append(play)
        with contextlib.suppress(ConnectionError):
            await play.serve(reader, writer)

    server = await asyncio.start_server(come, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], plays
    finally:
        server.close()


PASSWORD = "target-password-0815"


class _Server(asyncssh.SSHServer):
    """A target that lets `app` in by its password."""

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == ("app", PASSWORD)

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> Any:
        return _echo

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        raise AssertionError("a target was asked to listen")


async def _echo(reader: asyncssh.SSHReader[bytes], writer: asyncssh.SSHWriter[bytes]) -> None:
    """A service that speaks first."""
    writer.write(b"welcome\n")
    while data := await reader.read(4096):
        writer.write(data.upper())
    writer.write_eof()


Program = Callable[[asyncssh.SSHServerProcess[bytes]], Any]


@contextlib.asynccontextmanager
async def target(program: Program, **more: Any) -> AsyncIterator[int]:
    """An SSH server on loopback that runs this program for whatever is asked; gives its port."""
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Server,
        server_host_keys=[TARGET_KEY],
        process_factory=program,
        encoding=None,
        config=[],
        **more,
    )
    try:
        yield server.get_port()
    finally:
        server.close()


KNOWN = f"* {TARGET_KEY.export_public_key().decode()}"


KNOWN_HOSTS = asyncssh.import_known_hosts(f"* {HOST_KEY.export_public_key().decode()}")


def client(port: int, *, user: str = "web1", **more: Any) -> Any:
    """An SSH client of the gateway's listener, with a run credential as its password unless it has a key."""
    proof: dict[str, Any] = {"password": "bcr_secret", "client_keys": None}
    return asyncssh.connect(
        "127.0.0.1",
        port,
        username=user,
        agent_path=None,
        config=[],
        known_hosts=KNOWN_HOSTS,
        **{**proof, **more},
    )


async def until(true: Callable[[], object]) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)
