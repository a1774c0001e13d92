"""What OpenSSH's client can ask for beside programs and files: subsystems, tunnels, sockets' paths, both ways."""

import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import openssh
from tests.interop.raw import until
from tests.interop.ssh_road import EVERYTHING, Did, Road, Traveller, road, target

SOCKETS = [{"methods": ["EXEC", "SUBSYSTEM", "SOCKET-FORWARD"]}]


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    folder = tmp_path_factory.mktemp("channels") / "server"
    settings = ["Subsystem shout /usr/bin/tr a-z A-Z", "AllowStreamLocalForwarding yes", "PermitTunnel yes"]
    with openssh.sshd(folder, settings=settings) as sshd:
        targets = {
            "web1": target(sshd),
            "open": target(sshd, address=f"localhost:{sshd.port}", allow=EVERYTHING),
            "sockets": target(sshd, address=f"localhost:{sshd.port}", allow=SOCKETS),
        }
        with road(targets) as one:
            yield one


@pytest.fixture
def traveller(way: Road) -> Traveller:
    return way.traveller()


def did(traveller: Traveller) -> list[Did]:
    """All that the run did, of all its sessions."""
    return [one for session in traveller.end() for one in session.did.values()]


# -- subsystems ----------------------------------------------------------------------------------------


def test_a_subsystem_that_may_be_asked_for_is_carried_and_recorded(traveller: Traveller) -> None:
    done = traveller.ssh("-s", "sockets", "shout", said=b"what is said\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"WHAT IS SAID\n", b"")
    (one,) = did(traveller)
    assert (one.verb, one.text, one.facts["ssh.name"], one.tag) == ("subsystem", "shout", "shout", "exit 0")
    assert (one.input, one.output) == (b"what is said\n", b"WHAT IS SAID\n")


def test_a_subsystem_that_may_not_be_asked_for_or_that_the_target_has_not_is_told_and_recorded(
    traveller: Traveller,
) -> None:
    denied = traveller.ssh("-s", "web1", "shout", said=b"what is said\n")
    assert (denied.returncode, denied.stdout) == (126, b"")
    assert b"denied by rule target-allow: SUBSYSTEM is not among what may be asked" in denied.stderr
    unknown = traveller.ssh("-s", "sockets", "netconf", said=b"hello\n")
    assert (unknown.returncode, unknown.stdout) == (255, b"")
    assert b"the target would not: Session request failed" in unknown.stderr
    told = [(one.verb, one.text, one.outcome, one.output) for one in did(traveller)]
    assert told == [("subsystem", "shout", "denied", b""), ("subsystem", "netconf", "error", b"")]


# -- network tunnels -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["web1", "open"])
@pytest.mark.parametrize("kind", ["point-to-point", "ethernet"])
def test_a_network_tunnel_is_refused_and_on_the_record_and_the_command_runs(
    traveller: Traveller, name: str, kind: str
) -> None:
    if not os.access("/dev/net/tun", os.W_OK):
        pytest.skip("ssh -w needs to open /dev/net/tun before it asks")
    asked = traveller.command("ssh", "-w", "any:7", name, "echo ran", LogLevel="INFO", Tunnel=kind)
    done = traveller.do(asked)
    if b"Tunnel device open failed" in done.stderr:
        pytest.skip("this user may make no network device, which ssh -w does before it asks")
    assert (done.returncode, done.stdout) == (0, b"ran\n"), done.stderr
    assert b"administratively prohibited: denied by rule target-allow: TUNNEL is not among" in done.stderr
    must = traveller.do([*asked[:-2], "-o", "ExitOnForwardFailure=yes", *asked[-2:]])
    assert (must.returncode, must.stdout) == (255, b"")
    device = {"point-to-point": "tun7", "ethernet": "tap7"}[kind]
    told = [(one.facts["ssh.kind"], one.text, one.outcome) for one in did(traveller)]
    assert told.count(("tunnel", device, "denied")) == 2
    assert ("exec", "echo ran", "ok") in told


# -- sockets' paths ------------------------------------------------------------------------------------


class Shouting:
    """A service at a socket's path, which speaks first and then says all again in capitals."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                with sock:
                    sock.sendall(b"welcome\n")
                    while data := sock.recv(65536):
                        sock.sendall(data.upper())

    def close(self) -> None:
        self._listener.close()


@contextmanager
def forwarding(traveller: Traveller, name: str, there: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A client that does nothing but -L from one socket's path to another; what it said last."""
    here, said = traveller.folder / "here", list[bytes]()
    client = traveller.start(name, "-N", "-L", f"{here}:{there}", LogLevel="INFO")
    try:
        until(lambda: here.exists() or client.poll() is not None, "the local socket")
        yield here, said
    finally:
        client.kill()
        said.append(client.communicate(timeout=30)[1])


def exchange(path: Path, said: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(str(path))
        with suppress(OSError):
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
        heard = b""
        with suppress(ConnectionError):
            while data := sock.recv(65536):
                heard += data
        return heard


@pytest.fixture
def there(traveller: Traveller) -> Iterator[Path]:
    path = traveller.folder / "there"
    service = Shouting(path)
    yield path
    service.close()


def test_a_forward_to_a_sockets_path_that_is_let_through_is_carried_and_recorded(
    traveller: Traveller, there: Path
) -> None:
    with forwarding(traveller, "sockets", there) as (here, _):
        assert exchange(here, b"some words") == b"welcome\nSOME WORDS"
    (one,) = did(traveller)
    assert (one.facts["ssh.kind"], one.text, one.facts["forward.host"]) == (
        "socket-forward",
        str(there),
        str(there),
    )
    assert (one.input, one.output, one.outcome) == (b"some words", b"welcome\nSOME WORDS", "ok")


@pytest.mark.parametrize("name", ["web1", "open"])
def test_a_forward_to_a_sockets_path_is_refused_by_default_and_on_the_record(
    traveller: Traveller, there: Path, name: str
) -> None:
    with forwarding(traveller, name, there) as (here, said):
        assert exchange(here, b"some words") == b""
    assert b"administratively prohibited: denied by rule target-allow: SOCKET-FORWARD" in said[0]
    (one,) = did(traveller)
    assert (one.text, one.outcome, one.input, one.output) == (str(there), "denied", b"", b"")


@pytest.mark.parametrize("name", ["web1", "open", "sockets"])
def test_a_way_back_to_a_sockets_path_is_refused_and_on_the_record(traveller: Traveller, name: str) -> None:
    back = traveller.folder / "back"
    asked = ["-R", f"{back}:{traveller.folder}/nothing", name, f"test -e {back} || echo none"]
    done = traveller.do(traveller.command("ssh", *asked, LogLevel="INFO"))
    assert (done.returncode, done.stdout) == (0, b"none\n")
    assert f"remote port forwarding failed for listen path {back}".encode() in done.stderr
    told = [(one.facts["ssh.kind"], one.text, one.outcome) for one in did(traveller)]
    assert told[0] == ("reverse-forward", str(back), "denied")
    assert told[1][0::2] == ("exec", "ok")


def test_nothing_listens_for_a_way_back_at_the_target_or_the_gateway(traveller: Traveller) -> None:
    with subprocess.Popen(
        traveller.command("ssh", "-N", "-R", "0:127.0.0.1:9", "open", ExitOnForwardFailure="yes"),
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as client:  # fmt: skip
        assert client.wait(60) == 255
    (one,) = did(traveller)
    assert (one.facts["ssh.kind"], one.outcome) == ("reverse-forward", "denied")
