"""How the gateway proves itself to a target of SSH: each kind of key, and those that will not do."""

import asyncio
import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    SSHCertificate,
    load_ssh_private_key,
    load_ssh_public_identity,
)

from bodycam.config import Settings, parse
from bodycam.model.target import Dial, TlsMode
from bodycam.net.ssh_authority import NotOurs, SshAuthority
from bodycam.net.ssh_key import SshKey
from bodycam.session.grant import grant_from_wire, grant_to_wire
from bodycam.targets.dials import Dials, TargetUnready
from bodycam.targets.ssh_logins import SshLogins
from tests.made_up import WITH_SHELL
from tests.playbook.play import GRANT

LINE = SshKey.create().public_line
NOW = 1_900_000_000.0


def settings(folder: Path, target: str, address: str = "box.internal:22") -> Settings:
    text = f"targets:\n  box: {{protocol: shell, address: '{address}', user: deploy, {target}}}\n"
    return parse(text, file="f", folder=folder, protocols=WITH_SHELL)


async def dial(folder: Path, target: str, address: str = "box.internal:22", **dials: Any) -> Dial:
    return await Dials(**dials).resolve(settings(folder, target, address), "box", None, None, "run_a/ses_b")


def put(file: Path, data: bytes | str, mode: int = 0o600) -> None:
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    file.chmod(mode)


def written(key: Any, form: PrivateFormat, passphrase: bytes | None = None) -> bytes:
    how = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase)
    return key.private_bytes(Encoding.PEM, form, how)  # type: ignore[no-any-return]


ED, EC, RSA = (
    ed25519.Ed25519PrivateKey.generate(),
    ec.generate_private_key(ec.SECP256R1()),
    rsa.generate_private_key(65537, 2048),
)
KEYS = {
    "OpenSSH's": (ED, PrivateFormat.OpenSSH),
    "PKCS #8": (ED, PrivateFormat.PKCS8),
    "ECDSA in OpenSSH's": (EC, PrivateFormat.OpenSSH),
    "ECDSA in SEC1": (EC, PrivateFormat.TraditionalOpenSSL),
    "RSA in OpenSSH's": (RSA, PrivateFormat.OpenSSH),
    "RSA in PKCS #1": (RSA, PrivateFormat.TraditionalOpenSSL),
}
KEY_FILE = f"private_key: {{file: k}}, host_keys: ['{LINE}']"


@pytest.mark.parametrize("name", KEYS)
async def test_a_private_key_goes_into_the_dial_in_openssh_s_format(tmp_path: Path, name: str) -> None:
    key, form = KEYS[name]
    put(tmp_path / "k", written(key, form))
    made = await dial(tmp_path, KEY_FILE)

    assert made.client_key is not None
    again = load_ssh_private_key(made.client_key.encode(), None)
    assert again.public_key() == key.public_key()
    assert (made.client_cert, made.tls, made.user) == (None, TlsMode.DISABLE, "deploy")
    assert "PRIVATE" not in repr(made)
    plain = {one: getattr(made, one) for one in Dial.__slots__}
    assert grant_from_wire(grant_to_wire(GRANT) | {"dial": plain}).dial == made


async def test_it_comes_from_a_variable_and_from_a_command_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written(ED, PrivateFormat.OpenSSH)
    put(tmp_path / "k", text)
    monkeypatch.setenv("BODYCAM_TEST_KEY", text.decode())
    for source in ("env: BODYCAM_TEST_KEY", f"command: [/bin/cat, '{tmp_path / 'k'}']"):
        made = await dial(tmp_path, f"private_key: {{{source}}}, host_keys: ['{LINE}']")
        assert made.client_key is not None
        assert load_ssh_private_key(made.client_key.encode(), None).public_key() == ED.public_key()


# made by ssh-keygen with a passphrase, for this test alone
WITH_PASSPHRASE = b"""\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABD5fbgzgQ
1au+P+h4YnFPIXAAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIJo+QLbnigMhXyZQ
nrvBB4kRkuhFqKY+B9qxZkA44pldAAAAkL0mSxF8UCNeLKNePX0YqmySI3RSeTsluAvFTk
pHwJ8rQ88fImaAU9mh52wI6AttuOG8Mh0Cgm4Y6UWTC/eR4LHKLmWT/KRpHIUfUdedU5xq
lu3S1B0wBTq/SpOI2eDrePEDKWacxxOgPfzRlnvOpqftBzJqDDLLTZv4nOqfTMxgYo0FzO
r6hQNZ2ON4kdhoyQ==
-----END OPENSSH PRIVATE KEY-----
"""
BAD = {
    "a passphrase": (WITH_PASSPHRASE, "has a passphrase, and nobody is there"),
    "one in PKCS #8": (written(ED, PrivateFormat.PKCS8, b"x"), "has a passphrase"),
    "one in PKCS #1": (written(RSA, PrivateFormat.TraditionalOpenSSL, b"x"), "has a passphrase"),
    "the first line alone": (
        written(ED, PrivateFormat.OpenSSH).split(b"\n")[0],
        "gives no private key in OpenSSH's format or PEM; the whole file has to be there",
    ),
    "half of it": (written(ED, PrivateFormat.OpenSSH)[:150], "gives no private key"),
    "a public key": (LINE.encode(), "gives no private key"),
    "nothing": (b"", "is empty"),
    "no text": (b"\xff\xfe", "is not text"),
    "too much": (b"x" * 20_000, "is too long"),
    "another use's": (
        written(x25519.X25519PrivateKey.generate(), PrivateFormat.PKCS8),
        "is none of Ed25519, ECDSA or RSA",
    ),
    "DSA": (
        written(dsa.generate_private_key(2048), PrivateFormat.TraditionalOpenSSL),
        "is none of Ed25519, ECDSA or RSA",
    ),
    "a curve that SSH has not": (
        written(ec.generate_private_key(ec.SECP256K1()), PrivateFormat.PKCS8),
        "gives no private key",
    ),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_private_key_that_will_not_do_is_refused_and_not_shown(tmp_path: Path, name: str) -> None:
    data, said = BAD[name]
    put(tmp_path / "k", data)
    with pytest.raises(TargetUnready) as caught:
        await dial(tmp_path, KEY_FILE)
    text = str(caught.value)
    assert text.startswith("the key for target box can't be had: ")
    assert said in text
    assert f"the file {tmp_path / 'k'}" in text
    assert "BEGIN" not in text


async def test_a_private_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "k", written(ED, PrivateFormat.OpenSSH), 0o640)
    with pytest.raises(TargetUnready, match="open to others"):
        await dial(tmp_path, KEY_FILE)


ISSUED = f"issued_certificate: true, host_keys: ['{LINE}']"


async def test_each_session_has_a_key_and_a_certificate_of_its_own(tmp_path: Path) -> None:
    authority = SshAuthority(SshKey.create())
    ssh = SshLogins(authority, lambda: NOW)
    first, second = [await dial(tmp_path, ISSUED, ssh=ssh) for _ in range(2)]

    assert first.client_key != second.client_key
    for one in (first, second):
        assert one.client_key is not None
        assert one.client_cert is not None
        made = load_ssh_public_identity(one.client_cert.encode())
        assert isinstance(made, SSHCertificate)
        assert made.public_key() == load_ssh_private_key(one.client_key.encode(), None).public_key()
        said = authority.read(base64.b64decode(one.client_cert.split()[1]))
        assert (said.key_id, said.principals) == ("run_a/ses_b", ("deploy",))
        assert (said.begins, said.ends) == (NOW - 300, NOW + 300)
    with pytest.raises(NotOurs):
        SshAuthority(SshKey.create()).read(base64.b64decode(first.client_cert.split()[1]))  # type: ignore[union-attr]


async def test_without_the_authority_there_is_none_and_it_is_said_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(TargetUnready, match=r"key for target box .*`bodycam init` makes it, then restart"):
        await dial(tmp_path, ISSUED)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("box.internal:22", "box.internal"),
        ("box.internal:2222", "[box.internal]:2222"),
        ("10.0.0.1:22", "10.0.0.1"),
        ("[fd00::1]:22", "fd00::1"),
        ("[fd00::1]:2222", "[fd00::1]:2222"),
    ],
)
async def test_host_keys_and_known_hosts_say_together_who_the_target_may_be(
    tmp_path: Path, address: str, name: str
) -> None:
    other = SshKey.create().public_line
    put(tmp_path / "known", f"# a comment\n{name} {other}", 0o644)
    made = await dial(tmp_path, f"host_keys: ['{LINE} root@box'], known_hosts: known", address)

    assert made.known_hosts == f"{name} {LINE}\n# a comment\n{name} {other}\n"
    assert (made.password, made.client_key) == (None, None)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here (Debian: openssh-client)")
@pytest.mark.parametrize("address", ["box.internal:22", "box.internal:2222", "[fd00::1]:2222"])
def test_openssh_finds_the_target_in_it(tmp_path: Path, address: str) -> None:
    made = asyncio.run(dial(tmp_path, f"host_keys: ['{LINE}']", address))
    put(tmp_path / "known", made.known_hosts)
    name = made.host if made.port == 22 else f"[{made.host}]:{made.port}"
    found = subprocess.run(
        ["ssh-keygen", "-F", name, "-f", str(tmp_path / "known")],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert LINE in found.stdout


@pytest.mark.parametrize(
    ("data", "said"),
    [(None, "can't be read"), (b"", "is empty"), (b"\xff", "is not text"), (b"x" * 70_000, "is too long")],
)
async def test_known_hosts_that_cannot_be_had_are_named(
    tmp_path: Path, data: bytes | None, said: str
) -> None:
    if data is not None:
        put(tmp_path / "known", data)
    with pytest.raises(TargetUnready, match=f"the host keys of target box can't be had: .*{said}"):
        await dial(tmp_path, "known_hosts: known")
