"""The gateway's SSH keys and certificates: what OpenSSH reads in them, and what is none of ours."""

import shutil
import stat
import subprocess
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bodycam.net.key_files import KeyFileError
from bodycam.net.ssh_authority import BadPublicKey, SshAuthority, public_key
from bodycam.net.ssh_key import SshKey

KEYGEN = shutil.which("ssh-keygen")
needs_keygen = pytest.mark.skipif(KEYGEN is None, reason="no ssh-keygen here (Debian: openssh-client)")


def keygen(*arguments: str) -> str:
    assert KEYGEN is not None
    return subprocess.run(
        [KEYGEN, *arguments], capture_output=True, text=True, timeout=20, check=True, stdin=subprocess.DEVNULL
    ).stdout


def line_of(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | dsa.DSAPublicKey) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def files(folder: Path) -> tuple[Path, Path]:
    return folder / "one.key", folder / "one.pub"


def test_a_key_is_read_back_from_its_files(tmp_path: Path) -> None:
    key, (private, public) = SshKey.create(), files(tmp_path)
    key.save(private, public, "bodycam-gateway")

    again = SshKey.load(private, public)
    assert again.private.private_bytes_raw() == key.private.private_bytes_raw()
    assert again.public_line == key.public_line
    assert public.read_text() == f"{key.public_line} bodycam-gateway\n"
    assert [stat.S_IMODE(one.stat().st_mode) for one in (private, public)] == [0o600, 0o644]
    with pytest.raises(KeyFileError, match="File exists"):
        key.save(private, public, "x")


@needs_keygen
def test_openssh_reads_the_key_files(tmp_path: Path) -> None:
    key, (private, public) = SshKey.create(), files(tmp_path)
    key.save(private, public, "bodycam-gateway")

    assert keygen("-y", "-f", str(private)).split()[:2] == key.public_line.split()
    assert "(ED25519)" in keygen("-l", "-f", str(public))


def test_halves_that_do_not_belong_together_or_are_none(tmp_path: Path) -> None:
    private, public = files(tmp_path)
    with pytest.raises(KeyFileError, match=r"one\.key can't be read"):
        SshKey.load(private, public)
    SshKey.create().save(private, public, "x")
    line = public.read_text()
    for text, said in (
        (SshKey.create().public_line, "does not belong"),
        ("ssh-ed25519 AAAA", "no public key"),
        ("", "no public key"),
    ):
        public.write_text(text)
        with pytest.raises(KeyFileError, match=said):
            SshKey.load(private, public)
    public.write_text(line)
    private.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n")
    with pytest.raises(KeyFileError, match="no private key"):
        SshKey.load(private, public)


KINDS = {
    "ed25519": SshKey.create().public_line,
    "ecdsa-256": line_of(ec.generate_private_key(ec.SECP256R1()).public_key()),
    "ecdsa-521": line_of(ec.generate_private_key(ec.SECP521R1()).public_key()),
    "rsa": line_of(rsa.generate_private_key(65537, 2048).public_key()),
    "with a comment": f"{SshKey.create().public_line} somebody@somewhere and more\n",
}


@needs_keygen
@pytest.mark.parametrize("line", KINDS.values(), ids=list(KINDS))
def test_openssh_reads_what_a_certificate_says(tmp_path: Path, line: str) -> None:
    authority = SshAuthority(SshKey.create())
    made = authority.vouch(
        public_key(line), key_id="run_a/ses_b", principals=["deploy"], begins=1.9e9, ends=1.9e9 + 300.9
    )
    file = tmp_path / "one-cert.pub"
    file.write_text(made)

    said = [one.strip() for one in keygen("-L", "-f", str(file)).splitlines()]
    assert said[1].endswith("user certificate")
    authority_file = tmp_path / "ca.pub"
    authority_file.write_text(authority.public_line)
    fingerprint = keygen("-l", "-f", str(authority_file)).split()[1]
    assert f"Signing CA: ED25519 {fingerprint} (using ssh-ed25519)" in said
    moments = [f"{datetime.fromtimestamp(one):%Y-%m-%dT%H:%M:%S}" for one in (1.9e9, 1.9e9 + 300)]
    assert f"Valid: from {moments[0]} to {moments[1]}" in said
    assert 'Key ID: "run_a/ses_b"' in said
    assert said[said.index("Principals:") + 1 :] == [
        "deploy",
        "Critical Options: (none)",
        "Extensions:",
        "permit-port-forwarding",
        "permit-pty",
    ]


SMALL_RSA = line_of(rsa.generate_private_key(65537, 1024).public_key())
ED = SshKey.create().public_line
CERTIFICATE = SshAuthority(SshKey.create()).vouch(
    public_key(ED), key_id="x", principals=["x"], begins=1, ends=2
)
BAD = {
    "nothing": ("", "expected one line of an OpenSSH public key"),
    "no key": ("ssh-ed25519", "can't be read"),
    "not base64": ("ssh-ed25519 ???", "can't be read"),
    "half of one": (ED[:50], "can't be read"),
    "more than one": (f"{ED}AAAA", "can't be read"),
    "another kind than it says": (ED.replace("ssh-ed25519", "ssh-rsa"), "can't be read"),
    "two lines": (f"{ED}\n{ED}", "expected one line"),
    "options before it": (f'command="id" {ED}', "expected one line"),
    "DSA": (f"ssh-dss {ED.split()[1]}", "expected one line"),
    "a security key's": (f"sk-ssh-ed25519@openssh.com {ED.split()[1]}", "expected one line"),
    "a certificate": (CERTIFICATE, "expected one line"),
    "a private key": (SshKey.create().private_text.decode(), "expected one line"),
    "PEM": ("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----", "expected one line"),
    "a short RSA key": (SMALL_RSA, "2048 bits at least, and this one has 1024"),
    "too long": (ED + " " + "x" * 9000, "8192 characters at most"),
    "no text": ("ssh-ed25519 \ud800", "can't be read"),
}


@pytest.mark.parametrize(("line", "said"), BAD.values(), ids=list(BAD))
def test_a_line_for_which_there_is_no_certificate(line: str, said: str) -> None:
    with pytest.raises(BadPublicKey, match=said):
        public_key(line)
