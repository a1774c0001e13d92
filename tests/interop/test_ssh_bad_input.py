"""Clients and targets that break SSH, or make too much of it, at a real gateway: refused or survived, and bounded.

Beside each of them another client is served, by the same worker: there is one.
"""

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from tests import openssh
from tests.interop.raw import sessions, until
from tests.interop.ssh_road import EVERYTHING, Road, Traveller, road, target

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module")
def doomed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openssh.OpenSsh]:
    """A server of which a test kills what serves a session."""
    with openssh.sshd(tmp_path_factory.mktemp("doomed") / "server") as server:
        yield server


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh, doomed: openssh.OpenSsh) -> Iterator[Road]:
    other = (doomed.folder / "user.pub").read_text()
    targets = {
        "web1": target(sshd),
        "open": target(sshd, address=f"localhost:{sshd.port}", allow=EVERYTHING),
        "changed": target(sshd, host_keys=[" ".join(other.split()[:2])]),
        "down": target(sshd, address="127.0.0.1:1"),
        "no-login": target(sshd, private_key={"file": str(doomed.key)}),
        "doomed": target(doomed),
    }
    with road(targets, limits={"login_timeout": "4s"}) as one:
        yield one


@pytest.fixture(scope="module")
def bystander(way: Road) -> Traveller:
    """Who is served whatever others did."""
    return way.traveller()


@pytest.fixture
def traveller(way: Road, bystander: Traveller) -> Iterator[Traveller]:
    yield way.traveller()
    served = bystander.ssh("web1", "echo served")
    assert (served.returncode, served.stdout) == (0, b"served\n"), served.stderr


def worker(way: Road) -> int:
    (pid,) = way.gateway.children()["worker"]
    return pid


def memory(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def rest(sock: socket.socket) -> bytes:
    heard = b""
    with contextlib.suppress(ConnectionError):
        while data := sock.recv(65536):
            heard += data
    return heard


@contextlib.asynccontextmanager
async def connection(traveller: Traveller, name: str) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with asyncssh.connect(
        "127.0.0.1", traveller.road.port, username=name, known_hosts=None, agent_path=None, config=None,
        client_keys=[str(traveller.folder / "key")], login_timeout=30,
    ) as ssh:  # fmt: skip
        yield ssh


# -- before a login ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "values", "said"),
    [
        (
            "KexAlgorithms",
            "diffie-hellman-group1-sha1,diffie-hellman-group14-sha1",
            b"no matching key exchange method",
        ),
        ("HostKeyAlgorithms", "ssh-rsa,ssh-dss", b"no matching host key type"),
        ("Ciphers", "aes128-cbc,3des-cbc", b"no matching cipher"),
        ("Ciphers", "chacha20-poly1305@openssh.com", b"no matching cipher"),
        ("MACs", "hmac-sha1,hmac-md5", b"no matching MAC"),
    ],
)
def test_clients_of_old_algorithms_are_told_which_there_are(
    traveller: Traveller, option: str, values: str, said: bytes
) -> None:
    options = {"Ciphers": "aes128-ctr", "LogLevel": "INFO"} | {option: values}
    done = traveller.ssh("web1", "true", **options)
    assert done.returncode == 255
    assert said in done.stderr
    assert b"Their offer: " in done.stderr


def test_key_scanners_get_the_key_and_nothing_else(traveller: Traveller) -> None:
    scan = ["ssh-keyscan", "-T", "10", "-p", str(traveller.road.port), "127.0.0.1"]
    done = traveller.do(scan)
    keys = [line.split(" ", 1)[1] for line in done.stdout.decode().splitlines()]
    assert keys == [" ".join(traveller.road.host_key.split()[:2])]


@pytest.mark.parametrize(
    "said",
    [
        b"x" * MEGABYTE,
        b"SSH-2.0-" + b"y" * MEGABYTE,
        b"a line before\r\n" * 70_000,
        b"SSH-1.99-old\r\n" + bytes(64),
        b"SSH-2.0-x\r\n" + b"\xff" * 1000,
        b"SSH-2.0-x\r\n" + (2**31).to_bytes(4, "big") + bytes(MEGABYTE),
    ],
    ids=["no-banner", "long-banner", "many-lines", "old-version", "no-packets", "huge-packet"],
)
def test_who_does_not_speak_the_protocol_is_closed(traveller: Traveller, said: bytes) -> None:
    before = memory(worker(traveller.road))
    with socket.create_connection(("127.0.0.1", traveller.road.port), 30) as sock:
        with contextlib.suppress(ConnectionError):
            sock.sendall(said)
        assert rest(sock).startswith(b"SSH-2.0-bodycam\r\n")
    assert memory(worker(traveller.road)) - before < 16 * MEGABYTE


def test_logins_that_never_end_are_closed_and_hold_up_nobody(traveller: Traveller) -> None:
    slow = [socket.create_connection(("127.0.0.1", traveller.road.port), 30) for _ in range(20)]
    try:
        for sock in slow[:10]:
            sock.sendall(b"SSH-2.0-slow\r\n")
        began = time.monotonic()
        assert traveller.ssh("web1", "true").returncode == 0
        for sock in slow:
            assert rest(sock).startswith(b"SSH-2.0-bodycam\r\n")
        assert time.monotonic() - began > 1
    finally:
        for sock in slow:
            sock.close()


async def test_many_wrong_proofs_on_one_connection_are_an_end_of_it(traveller: Traveller) -> None:
    tries = 0

    class Guessing(asyncssh.SSHClient):
        def password_auth_requested(self) -> str:
            nonlocal tries
            tries += 1
            return f"guess {tries}"

    with pytest.raises((asyncssh.PermissionDenied, asyncssh.DisconnectError, ConnectionError)):
        await asyncssh.connect(
            "127.0.0.1", traveller.road.port, username="web1", known_hosts=None, config=None, agent_path=None,
            client_keys=None, client_factory=Guessing, preferred_auth="password",
        )  # fmt: skip
    assert 1 <= tries <= 7


# -- channels ------------------------------------------------------------------------------------------


async def test_ten_thousand_channels_are_refused_or_served_and_the_connection_lives(
    traveller: Traveller,
) -> None:
    before = memory(worker(traveller.road))
    opened = refused = 0
    async with connection(traveller, "web1") as ssh:
        for _ in range(10):

            async def one() -> bool:
                try:
                    # a forward is judged, refused and recorded
                    await ssh.open_connection("127.0.0.1", 5432)
                except asyncssh.ChannelOpenError:
                    return False
                return True

            done = await asyncio.gather(*(one() for _ in range(1000)))
            opened += sum(done)
            refused += len(done) - sum(done)
        assert (opened, refused) == (0, 10_000)
        assert (await ssh.run("echo lives", check=True)).stdout == "lives\n"
    assert memory(worker(traveller.road)) - before < 64 * MEGABYTE


async def test_who_does_not_read_holds_up_the_target_and_nobody_else(traveller: Traveller) -> None:
    before = memory(worker(traveller.road))
    async with connection(traveller, "web1") as ssh:
        unread = await ssh.create_process(
            "head -c 200000000 /dev/zero", encoding=None, window=1, max_pktsize=1024
        )
        for _ in range(5):
            assert (await asyncio.to_thread(traveller.ssh, "web1", "echo beside")).stdout == b"beside\n"
            assert memory(worker(traveller.road)) - before < 48 * MEGABYTE
        assert (await ssh.run("echo on it", check=True)).stdout == "on it\n"
        unread.close()
    recorded = traveller.end()
    held = next(did for one in recorded for did in one.did.values() if did.text.startswith("head"))
    assert held.outcome == "cancelled"
    assert len(held.output) < 48 * MEGABYTE


async def test_a_command_with_a_nul_does_not_run(traveller: Traveller, tmp_path: Path) -> None:
    async with connection(traveller, "web1") as ssh:
        done = await ssh.run(f"touch {tmp_path}/made\0; echo harmless")
    assert done.exit_status == 126
    assert "NUL" in str(done.stderr)
    assert not (tmp_path / "made").exists()


# -- targets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("changed", b"its host key is none that the settings know: ssh-ed25519 SHA256:"),
        ("no-login", b"it refused the gateway's login as"),
        ("down", b"target down"),
    ],
)
def test_a_target_that_can_not_be_reached_is_told_and_recorded(
    traveller: Traveller, name: str, said: bytes
) -> None:
    done = traveller.ssh(name, "true", LogLevel="INFO")
    assert done.returncode == 255
    assert said in done.stderr
    assert b"bodycam: " in done.stderr

    def failed() -> list[dict[str, Any]]:
        return [one for one in sessions(traveller.road.gateway, traveller.run) if one["outcome"] == "failed"]

    (listed,) = until(failed, "the session on the record")
    assert said.decode() in listed["reason"]


def test_a_target_that_is_gone_in_mid_command_is_told_and_recorded(traveller: Traveller) -> None:
    client = traveller.start("doomed", "echo $PPID; sleep 100")
    assert client.stdout is not None
    os.kill(int(client.stdout.readline()), signal.SIGKILL)
    _, err = client.communicate(timeout=60)
    assert client.returncode == 255
    assert b"the target closed the connection" in err

    def closed() -> bool:
        listed = sessions(traveller.road.gateway, traveller.run)
        return [(one["outcome"], one["reason"]) for one in listed] == [
            ("broken", "the target closed the connection")
        ]

    until(closed, "the end on the record")


def test_a_client_that_is_killed_in_mid_command_leaves_nothing_behind(traveller: Traveller) -> None:
    client = traveller.start("-tt", "web1", "echo $$; sleep 100")
    assert client.stdout is not None
    pid = int(client.stdout.readline())
    client.kill()
    client.communicate(timeout=30)
    until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the command at the target")
    (session,) = traveller.end()
    assert (session.outcome, session.only.outcome) == ("ended", "cancelled")
