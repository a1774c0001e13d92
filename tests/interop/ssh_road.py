"""A gateway before real SSH servers, runs whose certificate OpenSSH's own clients show, and what was recorded."""

import contextlib
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.keys import load_archivist
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from bodycam.model import ids
from bodycam.model.event import Flavor, Kind
from tests import openssh, stage
from tests.interop.raw import until

_CLIENT = """\
Host *
HostName 127.0.0.1
Port {port}
IdentityFile {folder}/key
CertificateFile {folder}/key-cert.pub
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
UpdateHostKeys no
BatchMode yes
ConnectTimeout 30
LogLevel ERROR
"""
_TARGET = """\
Host {name}
User {name}
"""

EVERYTHING = [{"methods": ["EXEC", "SFTP", "SHELL", "FORWARD", "SUBSYSTEM"]}]


def target(server: openssh.OpenSsh, **changed: Any) -> dict[str, Any]:
    """A target that is this server, with the key that it lets in."""
    return {
        "protocol": "ssh",
        "address": f"127.0.0.1:{server.port}",
        "user": server.user,
        "private_key": {"file": str(server.key)},
        "host_keys": [" ".join(server.host_key.split()[:2])],
        **changed,
    }


@dataclass
class Did:
    """One exchange of a session as it was recorded, its bytes joined by whither they went."""

    verb: str
    text: str
    facts: Mapping[str, Any]
    outcome: str = ""
    tag: str | None = None
    error: Mapping[str, str] = field(default_factory=dict)
    input: bytes = b""
    output: bytes = b""
    errors: bytes = b""
    notes: list[Mapping[str, Any]] = field(default_factory=list)

    def files(self) -> list[tuple[str, str, int, str]]:
        """What was said of contents: path, direction, size and SHA-256."""
        said = [note for note in self.notes if note["note"] == "file"]
        return [(one["path"], one["direction"], one["size"], one["sha256"]) for one in said]


@dataclass
class Recorded:
    """One session as it was recorded."""

    target: Mapping[str, Any]
    account: str | None
    outcome: str = ""
    reason: str = ""
    did: dict[int, Did] = field(default_factory=dict)
    notes: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def only(self) -> Did:
        """The one exchange of this session."""
        (one,) = self.did.values()
        return one


def make_sense(events: Iterator[list[Any]]) -> Recorded:
    """Of the events of one session."""
    opened = next(events)[3]
    session = Recorded(opened["target"], opened.get("database"))
    for kind, _, number, body in events:
        one = session.did.get(number)
        if kind == Kind.REQUEST:
            session.did[number] = Did(body[0], body[1], body[3])
        elif kind == Kind.CLOSED:
            session.outcome, session.reason = body["outcome"], body["reason"]
        elif kind == Kind.NOTE:
            (session.notes if one is None else one.notes).append(body)
        elif one is None:
            continue
        elif kind == Kind.FINISH:
            one.outcome, one.tag, one.error = body[0], body[4], body[5] or {}
        elif kind == Kind.TO_TARGET:
            one.input += body[2]
        elif kind == Kind.TO_CLIENT and body[0] == Flavor.ERRORS:
            one.errors += body[2]
        elif kind == Kind.TO_CLIENT:
            one.output += body[2]
    return session


def recorded(gateway: stage.Gateway, run: str) -> list[Recorded]:
    """The sealed sessions of a run, by their opening, read from the store."""
    keys = load_archivist(gateway.folder / "keys")
    store = LocalStore(gateway.data / "recordings")
    keystore = KeyStore(gateway.data / "keystore" / "keys.db", keys.wrapping)
    wanted: dict[str, float] = {
        one["id"]: one["opened"]
        for one in gateway.api("GET", f"/v1/sessions?run={run}&limit=1000").json()["sessions"]
    }
    found: list[tuple[float, Recorded]] = []
    for name in store.list():

        def read(at: int, size: int, name: str = name) -> bytes:
            return store.get_range(name, at, size)

        for place in read_footer(read, store.size(name))[0]:
            session = ids.session_id(place.session)
            if session in wanted:
                reader = SessionReader(read, place.offset, place.length)
                events = iter(reader.events(keystore.get(place.session)))
                found.append((wanted[session], make_sense(events)))
    keystore.close()
    assert len(found) == len(wanted), "not all of the run's sessions are sealed"
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


class Traveller:
    """One run and OpenSSH's clients with its certificate: a target's name as host asks for it."""

    def __init__(self, road: "Road", folder: Path, **more: Any) -> None:
        folder.mkdir(mode=0o700)
        self.road, self.folder = road, folder
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "key"]
        subprocess.run(make, stdin=subprocess.DEVNULL, check=True, timeout=30)
        body = {"agent": "billing-bot", "labels": {}, "trace": None, "grade": "advisory", **more}
        body["ssh_public_key"] = (folder / "key.pub").read_text().strip()
        answer = road.gateway.api("POST", "/v1/runs", json=body)
        assert answer.status_code == 201, answer.text
        said = answer.json()
        self.run, self.secret = said["run"]["id"], said["credential"]["secret"]
        (folder / "key-cert.pub").write_text(said["ssh_certificate"]["line"] + "\n")
        (folder / "known_hosts").write_text(f"* {road.host_key}\n")
        self.config = folder / "config"
        named = [_TARGET.format(name=name) for name in road.targets]
        self.config.write_text("".join([*named, _CLIENT.format(port=road.port, folder=folder)]))

    def command(self, program: str, *arguments: str, **more: str) -> list[str]:
        """One of OpenSSH's clients with this run's configuration; `more` are options as `-o` has them."""
        options = [part for name, value in more.items() for part in ("-o", f"{name}={value}")]
        return [program, "-F", str(self.config), *options, *arguments]

    def ssh(
        self, target: str, *arguments: str, said: bytes | None = None, **more: str
    ) -> subprocess.CompletedProcess[bytes]:
        """Run ssh; `arguments` are what follows the host: the command."""
        return self.do(self.command("ssh", target, *arguments, **more), said)

    def do(self, command: list[str], said: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end; `said` is its standard input, none if absent."""
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL} if said is None else {"input": said}
        return subprocess.run(command, **given, capture_output=True, timeout=90, check=False)

    def start(self, target: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """Start ssh, and go on."""
        pipe = subprocess.PIPE
        # without a buffer of ours: who has read a line may leave the rest to `communicate`
        return subprocess.Popen(
            self.command("ssh", target, *arguments, **more), stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0
        )

    def end(self) -> list[Recorded]:
        """End the run: its sessions as they were recorded."""
        self.road.gateway.end(stage.Credential(self.run, self.secret, {}))
        return recorded(self.road.gateway, self.run)


@contextlib.contextmanager
def forwarding(traveller: Traveller, name: str, where: str) -> Iterator[int]:
    """A client that does nothing but -L to `host:port`; the local port."""
    local = stage.free_port()
    client = traveller.start(name, "-N", LocalForward=f"127.0.0.1:{local} {where}")
    try:

        def listens() -> bool:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", local), 1):
                return True
            return False

        until(lambda: client.poll() is not None or listens(), "the local listener")
        yield local
    finally:
        client.kill()
        client.communicate(timeout=30)


class Road:
    """A gateway with SSH targets; `port` is its listener's, `folder` a place for runs."""

    def __init__(self, gateway: stage.Gateway, targets: Iterable[str], port: int, folder: Path) -> None:
        self.gateway, self.targets, self.port, self._folder = gateway, tuple(targets), port, folder
        self.host_key = gateway.api("GET", "/v1/gateway?agent=billing-bot").json()["ssh_host_key"]
        self._made = 0

    def traveller(self, **more: Any) -> Traveller:
        """A fresh run."""
        self._made += 1
        return Traveller(self, self._folder / str(self._made), **more)


@contextmanager
def road(
    targets: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    listen: Mapping[str, str] | None = None,
    **settings: Any,
) -> Iterator[Road]:
    """A gateway that serves these targets by SSH, and others where it is to `listen` for them."""
    with stage.folder() as folder:
        port = stage.free_port()
        listens = {"ssh": f"127.0.0.1:{port}", **(listen or {})}
        gateway = stage.Gateway(folder / "g", targets, listen=listens, **settings)
        gateway.init()
        gateway.start(**(environment or {}))
        try:
            (folder / "runs").mkdir()
            yield Road(gateway, targets, port, folder / "runs")
        finally:
            gateway.stop()


def by_a_jump(sshd: openssh.OpenSsh) -> list[str]:
    """What ssh is asked for a command that says so and stays, at a server behind the gateway as a jump host."""
    return ["-J", "jump@gateway", "-p", str(sshd.port), f"{sshd.user}@127.0.0.1", "echo in; exec sleep 100"]
