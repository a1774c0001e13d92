"""The run's SSH agent, with OpenSSH's own programs as its clients and with bytes that no client sends."""

import base64
import os
import socket
import stat
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_public_identity, load_ssh_public_key

from bodycam.run import ssh_agent
from bodycam.run.failure import RunFailure
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.ssh_agent import FAILURE, IDENTITIES_ANSWER, MESSAGE_LIMIT, SIGN_REQUEST, SIGN_RESPONSE
from bodycam.run.ssh_identity import SshFiles, SshIdentity
from tests.ssh_authority import SshAuthority

AUTHORITY = SshAuthority()
LIST = b"\x0b"


class Held:
    """An identity with its agent, and what a client of it does."""

    def __init__(self, identity: SshIdentity, files: SshFiles) -> None:
        self.identity, self.files = identity, files

    @property
    def line(self) -> str:
        return self.files.certificate.read_text().strip()

    def program(self, *command: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "SSH_AUTH_SOCK": str(self.files.agent)}
        return subprocess.run(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def listed(self) -> list[str]:
        lines = self.program("ssh-add", "-L").stdout.splitlines()
        return [line.removesuffix(" bodycam run") for line in lines]

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(self.files.agent))
            yield client

    def asked(self, message: bytes) -> bytes:
        with self.connection() as client:
            return exchanged(client, message)


def exchanged(client: socket.socket, message: bytes) -> bytes:
    client.sendall(string(message))
    return answer(client)


def answer(client: socket.socket) -> bytes:
    head = client.recv(4, socket.MSG_WAITALL)
    return client.recv(struct.unpack(">I", head)[0], socket.MSG_WAITALL) if head else b"gone"


def string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def strings(data: bytes) -> list[bytes]:
    found = []
    while data:
        (length,) = struct.unpack(">I", data[:4])
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    return found


def certified(identity: SshIdentity) -> dict[str, object]:
    line = AUTHORITY.vouch(identity.public_key, "run_x")
    return {"ssh_certificate": {"line": line, "expires": 0}}


@pytest.fixture
def held() -> Iterator[Held]:
    identity = SshIdentity()
    with PrivateFolder() as folder, ExitStack() as stack:
        yield Held(identity, identity.put(folder, certified(identity), stack))


def test_ssh_add_lists_the_certificate_and_then_the_key(held: Held) -> None:
    assert held.listed() == [held.line, held.identity.public_key]


def test_nobody_else_reaches_it_and_the_private_key_is_in_no_file(held: Held) -> None:
    folder = held.files.agent.parent
    assert stat.S_IMODE(held.files.agent.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert sorted(one.name for one in folder.iterdir()) == ["agent", "certificate.pub", "key.pub"]


def test_ssh_keygen_signs_with_it_and_the_key_verifies(held: Held, tmp_path: Path) -> None:
    file, signers = tmp_path / "file", tmp_path / "signers"
    file.write_text("what is signed")
    signers.write_text(f"run@x {held.identity.public_key}\n")
    signed = held.program("ssh-keygen", "-Y", "sign", "-f", str(held.files.public_key), "-n", "t", str(file))
    assert signed.returncode == 0, signed.stderr

    with file.open() as content:
        verified = subprocess.run(
            ["ssh-keygen", "-Y", "verify", "-f", signers, "-I", "run@x", "-n", "t", "-s", f"{file}.sig"],
            stdin=content,
            capture_output=True,
            timeout=30,
            check=False,
        )
    assert verified.returncode == 0, verified.stderr


@pytest.mark.parametrize("which", ["certificate", "key"])
def test_a_signature_is_of_the_run_s_key_whichever_identity_asks(held: Held, which: str) -> None:
    blob = blob_of(held.line if which == "certificate" else held.identity.public_key)
    said = held.asked(bytes([SIGN_REQUEST]) + string(blob) + string(b"data") + b"\0\0\0\0")

    assert said[0] == SIGN_RESPONSE
    kind, signature = strings(strings(said[1:])[0])
    assert kind == b"ssh-ed25519"
    public = load_ssh_public_key(held.identity.public_key.encode())
    public.verify(signature, b"data")  # type: ignore[call-arg,union-attr]


def blob_of(line: str) -> bytes:
    return base64.b64decode(line.split()[1])


@pytest.mark.parametrize(
    "command",
    [
        ("ssh-add", "-D"),
        ("ssh-add", "{other}"),
        ("ssh-add", "-d", "{held}"),
        ("ssh-add", "-e", "/usr/lib/some-provider.so"),
    ],
)
def test_it_takes_no_key_and_gives_none_up(held: Held, tmp_path: Path, command: tuple[str, ...]) -> None:
    other = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True, timeout=30)
    asked = [one.format(other=other, held=held.files.public_key) for one in command]

    assert held.program(*asked).returncode != 0
    assert held.listed() == [held.line, held.identity.public_key]


BLOB = b"{blob}"


@pytest.mark.parametrize(
    "message",
    [
        b"\x00",
        b"\x01",  # version 1's list
        b"\x0b\x00",  # a list with something behind it
        b"\x16" + string(b"passphrase"),  # a lock
        b"\x1b" + string(b"session-bind@openssh.com") + string(b"x") * 3 + b"\0",
        b"\x1b" + string(b"query"),
        bytes([SIGN_REQUEST]),
        bytes([SIGN_REQUEST]) + b"\xff\xff\xff\xff",
        bytes([SIGN_REQUEST]) + string(b"another key") + string(b"data") + b"\0\0\0\0",
        bytes([SIGN_REQUEST]) + BLOB + string(b"data"),
        bytes([SIGN_REQUEST]) + BLOB + string(b"data")[:-1] + b"\0\0\0",
        bytes([SIGN_REQUEST]) + BLOB + string(b"data") + b"\0\0\0\0more",
        b"\xff" * 1000,
    ],
)
def test_all_else_is_refused_and_the_connection_goes_on(held: Held, message: bytes) -> None:
    sent = message.replace(BLOB, string(blob_of(held.identity.public_key)))
    with held.connection() as client:
        assert exchanged(client, sent) == bytes([FAILURE])
        assert exchanged(client, LIST)[0] == IDENTITIES_ANSWER


@pytest.mark.parametrize(
    "head", [b"\0\0\0\0", struct.pack(">I", MESSAGE_LIMIT + 1), b"\xff\xff\xff\xff", b"GET "]
)
def test_a_length_that_no_message_has_ends_the_connection(held: Held, head: bytes) -> None:
    with held.connection() as client:
        client.sendall(head + b"\x0b" * 100)
        with held.connection() as other:
            assert exchanged(other, LIST)[0] == IDENTITIES_ANSWER
        assert ended(client)


def ended(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_the_longest_message_is_taken_in_pieces(held: Held) -> None:
    blob = string(blob_of(held.line))
    data = b"d" * (MESSAGE_LIMIT - 1 - len(blob) - 4 - 4)
    message = string(bytes([SIGN_REQUEST]) + blob + string(data) + b"\0\0\0\0")
    assert len(message) == 4 + MESSAGE_LIMIT
    with held.connection() as client:
        for at in range(0, len(message), 1000):
            client.sendall(message[at : at + 1000])
        assert answer(client)[0] == SIGN_RESPONSE


def test_more_connections_than_it_takes_are_closed_and_places_are_given_back(held: Held) -> None:
    with ExitStack() as taken:
        for _ in range(ssh_agent.CONNECTIONS):
            client = taken.enter_context(held.connection())
            assert exchanged(client, LIST)[0] == IDENTITIES_ANSWER
        with held.connection() as one_more:
            assert ended(one_more)
    until(held.listed)


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_client_that_says_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_agent, "IDLE_SECONDS", 0.1)
    identity = SshIdentity()
    with PrivateFolder() as folder, ExitStack() as stack:
        held = Held(identity, identity.put(folder, certified(identity), stack))
        with held.connection() as client:
            client.sendall(b"\0\0")
            assert ended(client)


def test_a_renewed_certificate_takes_the_place_of_the_old(held: Held) -> None:
    before = held.line
    with held.connection() as client:
        exchanged(client, LIST)
        held.identity.renew(certified(held.identity))
        assert blob_of(held.line) in exchanged(client, LIST)
    assert held.line != before
    assert held.listed() == [held.line, held.identity.public_key]
    old = bytes([SIGN_REQUEST]) + string(blob_of(before)) + string(b"data") + b"\0\0\0\0"
    assert held.asked(old) == bytes([FAILURE])


@pytest.mark.parametrize(
    "given", [{}, {"ssh_certificate": None}, {"ssh_certificate": {"line": "ssh-ed25519 AAAA"}}]
)
def test_a_renewal_without_one_changes_nothing(held: Held, given: dict[str, object]) -> None:
    before = held.line
    held.identity.renew(given)
    assert held.listed() == [before, held.identity.public_key]


def test_a_certificate_of_another_key_is_none() -> None:
    identity = SshIdentity()
    with (
        PrivateFolder() as folder,
        ExitStack() as stack,
        pytest.raises(RunFailure, match="no SSH certificate"),
    ):
        identity.put(folder, certified(SshIdentity()), stack)


def test_what_the_gateway_writes_behind_the_certificate_is_left_out() -> None:
    identity = SshIdentity()
    given = certified(identity)
    given["ssh_certificate"]["line"] += " comment\nssh-ed25519 AAAA\n"  # type: ignore[index]
    with PrivateFolder() as folder, ExitStack() as stack:
        written = identity.put(folder, given, stack).certificate.read_text()
    assert len(written.splitlines()) == 1
    load_ssh_public_identity(written.encode())


def test_a_folder_that_is_too_deep_for_a_socket_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    identity = SshIdentity()
    with PrivateFolder() as folder, ExitStack() as stack, pytest.raises(RunFailure) as caught:
        identity.put(folder, certified(identity), stack)
    assert "TMPDIR" in caught.value.hint


def test_at_the_end_of_the_run_nobody_listens_and_connections_end() -> None:
    identity = SshIdentity()
    with PrivateFolder() as folder:
        with ExitStack() as stack:
            held = Held(identity, identity.put(folder, certified(identity), stack))
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(20)
            client.connect(str(held.files.agent))
            assert exchanged(client, LIST)[0] == IDENTITIES_ANSWER
            kept = client.dup()
        with kept:
            kept.settimeout(20)
            assert ended(kept)
        assert not held.files.agent.exists()
