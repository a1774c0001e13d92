"""What the gateway's SSH keys and certificates are worth to OpenSSH's own client and server."""

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bodycam.config import parse
from bodycam.identity.run_ssh_certificates import RunSshCertificates
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.model.target import Dial
from bodycam.net.ssh_authority import SshAuthority, public_key
from bodycam.net.ssh_key import SshKey
from bodycam.registry import WANTS
from bodycam.targets.dials import Dials
from bodycam.targets.ssh_logins import SshLogins
from tests import openssh

AUTHORITY = SshAuthority(SshKey.create())
WHO = "run_aaaaaaaaaaaaaaaa/ses_bbbbbbbbbbbbbbbb"


@pytest.fixture(scope="module")
def trusting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openssh.OpenSsh]:
    """A server that lets in certificates of the gateway's CA for targets, and nothing else."""
    folder = tmp_path_factory.mktemp("trusting") / "server"
    with openssh.sshd(folder, user_ca=AUTHORITY.public_line, settings=["AuthorizedKeysFile none"]) as server:
        yield server


def dial(
    server: openssh.OpenSsh, more: str, clock: Callable[[], float] = time.time, host_key: str = ""
) -> Dial:
    """What a worker gets to reach the server, by the settings of a target."""
    text = f"""
targets:
  box:
    protocol: ssh
    address: "127.0.0.1:{server.port}"
    user: "{server.user}"
    users: [somebody]
    host_keys: ["{host_key or server.host_key}"]
    {more}
"""
    settings = parse(text, file="f", folder=Path("/"), protocols=WANTS)
    dials = Dials(ssh=SshLogins(AUTHORITY, clock))
    return asyncio.run(dials.resolve(settings, "box", None, None, WHO))


def log_in(folder: Path, server: openssh.OpenSsh, dial: Dial) -> subprocess.CompletedProcess[bytes]:
    """OpenSSH's client with nothing but what the dial holds."""
    assert dial.client_key is not None
    for name, text in (
        ("key", dial.client_key),
        ("known", dial.known_hosts),
        ("cert", dial.client_cert or ""),
    ):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    more = {"CertificateFile": str(folder / "cert")} if dial.client_cert else {}
    known = str(folder / "known")
    return server.ssh(
        "id -un", User=dial.user, IdentityFile=str(folder / "key"), UserKnownHostsFile=known, **more
    )


def test_a_target_that_trusts_the_ca_lets_the_gateway_in_and_logs_for_whom(
    trusting: openssh.OpenSsh, tmp_path: Path
) -> None:
    done = log_in(tmp_path, trusting, dial(trusting, "issued_certificate: true"))

    assert (done.returncode, done.stdout.decode().strip()) == (0, trusting.user), done.stderr
    said = trusting.log.read_text(errors="replace")
    assert f"ID {WHO} " in said.replace('"', "")


@pytest.mark.parametrize("minutes", [-6, 6])
def test_a_certificate_is_good_for_its_minutes_only(
    trusting: openssh.OpenSsh, tmp_path: Path, minutes: int
) -> None:
    made = dial(trusting, "issued_certificate: true", lambda: time.time() + minutes * 60)
    done = log_in(tmp_path, trusting, made)

    assert done.returncode == 255
    assert b"Permission denied" in done.stderr


def shown(folder: Path, server: openssh.OpenSsh, key: SshKey, certificate: str) -> int:
    """The client's exit status with this key and certificate."""
    for name, data in (("key", key.private_text), ("cert", certificate.encode())):
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)
    return server.ssh(
        "true", IdentityFile=str(folder / "key"), CertificateFile=str(folder / "cert")
    ).returncode


@pytest.mark.parametrize(("whose", "status"), [("", 0), ("somebody", 255)])
def test_a_certificate_is_good_for_its_account_only(
    trusting: openssh.OpenSsh, tmp_path: Path, whose: str, status: int
) -> None:
    key, now = SshKey.create(), time.time()
    line = AUTHORITY.vouch(
        public_key(key.public_line),
        key_id="x",
        principals=[whose or trusting.user],
        begins=now - 60,
        ends=now + 60,
    )
    assert shown(tmp_path, trusting, key, line) == status


def test_a_run_s_certificate_opens_no_account_even_where_its_ca_is_trusted_by_mistake(
    trusting: openssh.OpenSsh, tmp_path: Path
) -> None:
    key, now = SshKey.create(), time.time()
    run = Run("run_aaaaaaaaaaaaaaaa", Principal("b", "ci", PrincipalKind.SERVICE), "bot", now + 600)
    line = RunSshCertificates(AUTHORITY).issue(run, key.public_line, now=now)
    assert shown(tmp_path, trusting, key, line) == 255


def test_another_host_key_than_the_settings_name_ends_it(trusting: openssh.OpenSsh, tmp_path: Path) -> None:
    made = dial(trusting, "issued_certificate: true", host_key=SshKey.create().public_line)
    done = log_in(tmp_path, trusting, made)

    assert done.returncode == 255
    assert b"Host key verification failed" in done.stderr


def test_a_private_key_of_the_settings_is_one_that_openssh_reads(
    sshd: openssh.OpenSsh, tmp_path: Path
) -> None:
    done = log_in(tmp_path, sshd, dial(sshd, f"private_key: {{file: '{sshd.key}'}}"))

    assert (done.returncode, done.stdout.decode().strip()) == (0, sshd.user), done.stderr
