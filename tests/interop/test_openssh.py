"""The OpenSSH server that the tests of SSH stand on."""

import subprocess
from pathlib import Path

from tests import openssh


def test_its_own_client_gets_in_by_the_key(sshd: openssh.OpenSsh) -> None:
    done = sshd.ssh("printf out; printf err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"out", b"err")


def test_no_other_key_gets_in(sshd: openssh.OpenSsh, tmp_path: Path) -> None:
    made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"]
    subprocess.run(made, stdin=subprocess.DEVNULL, check=True, timeout=30)
    config = sshd.config.read_text().replace(f"IdentityFile {sshd.key}", f"IdentityFile {tmp_path / 'other'}")
    (tmp_path / "config").write_text(config)
    refused = subprocess.run(
        ["ssh", "-F", tmp_path / "config", "server", "true"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 255
    assert b"Permission denied (publickey)" in refused.stderr


def test_certificates_of_its_ca_get_in(tmp_path: Path) -> None:
    for name in ("ca", "agent"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name]
        subprocess.run(made, stdin=subprocess.DEVNULL, check=True, timeout=30)
    authority = (tmp_path / "ca.pub").read_text().strip()
    with openssh.sshd(tmp_path / "server", user_ca=authority, settings=["AuthorizedKeysFile none"]) as server:
        assert server.ssh("true").returncode == 255
        signed = ["ssh-keygen", "-q", "-s", tmp_path / "ca", "-I", "a run", "-n", server.user, "-V", "+5m"]
        subprocess.run([*signed, tmp_path / "agent.pub"], stdin=subprocess.DEVNULL, check=True, timeout=30)
        done = server.ssh(
            "true", IdentityFile=str(tmp_path / "agent"), CertificateFile=str(tmp_path / "agent-cert.pub")
        )
        assert done.returncode == 0, done.stderr


def test_it_serves_files(sshd: openssh.OpenSsh, tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(bytes(range(256)) * 400)
    (tmp_path / "batch").write_text(f"put {tmp_path}/from {tmp_path}/to\nbye\n")
    done = subprocess.run(
        ["sftp", "-q", "-b", tmp_path / "batch", "-F", sshd.config, "server"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "to").read_bytes() == (tmp_path / "from").read_bytes()
