"""SSH certificates of runs: what is in one, whose it is, and everything that is none."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_identity,
)

from bodycam.identity.run_certificates import CertificateRefused
from bodycam.identity.run_ssh_certificates import RunSshCertificates
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.net.ssh_authority import BadPublicKey, SshAuthority
from bodycam.net.ssh_key import SshKey

NOW = 1_900_000_000.0
RUN = Run(
    "run_aaaaaaaaaaaaaaaa",
    Principal("bodycam", "ci", PrincipalKind.SERVICE),
    "billing-bot",
    NOW + 3600.75,
)
KEY = SshKey.create()
CERTIFICATES = RunSshCertificates(SshAuthority(KEY))
CLIENT = SshKey.create()


def blob(line: str) -> bytes:
    return base64.b64decode(line.split()[1])


def refused(certificate: bytes, now: float = NOW, certificates: RunSshCertificates = CERTIFICATES) -> str:
    with pytest.raises(CertificateRefused) as caught:
        certificates.run_of(certificate, now)
    return str(caught.value)


def issued(run: Run = RUN) -> bytes:
    return blob(CERTIFICATES.issue(run, CLIENT.public_line, now=NOW))


def test_it_names_its_run_and_ends_with_the_lease() -> None:
    made = load_ssh_public_identity(CERTIFICATES.issue(RUN, CLIENT.public_line, now=NOW).encode())

    assert isinstance(made, SSHCertificate)
    assert made.public_key() == CLIENT.public
    assert made.type is SSHCertificateType.USER
    assert (made.key_id, made.valid_principals) == (RUN.id.encode(), [RUN.id.encode()])
    assert (made.valid_after, made.valid_before) == (NOW - 300, NOW + 3600)
    assert made.critical_options == {}
    assert made.extensions == {b"permit-port-forwarding": b"", b"permit-pty": b""}
    again = load_ssh_public_identity(CERTIFICATES.issue(RUN, CLIENT.public_line, now=NOW).encode())
    assert isinstance(again, SSHCertificate)
    assert again.serial != made.serial


@pytest.mark.parametrize("at", [NOW, NOW + 3599.9, NOW - 200])
def test_it_proves_its_run_while_the_lease_lasts(at: float) -> None:
    assert CERTIFICATES.run_of(issued(), at) == RUN.id


@pytest.mark.parametrize("at", [NOW + 3600, NOW + 86400 * 365, NOW - 301])
def test_before_and_after_it_does_not_and_says_when_it_ends(at: float) -> None:
    assert refused(issued(), at) == (
        "the SSH certificate of run run_aaaaaaaaaaaaaaaa is not valid now: it ended or ends at "
        f"{datetime.fromtimestamp(NOW + 3600, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


def by_hand(
    signer: Any = KEY.private,
    *,
    of: Any = CLIENT.public,
    kind: SSHCertificateType = SSHCertificateType.USER,
    name: str = "run_a",
    principals: tuple[str, ...] = ("run_a",),
    option: bytes = b"",
) -> bytes:
    """What only somebody with the authority's key could sign."""
    made = (
        SSHCertificateBuilder()
        .public_key(of)
        .serial(1)
        .type(kind)
        .key_id(name.encode("latin-1"))
        .valid_after(int(NOW) - 1)
        .valid_before(int(NOW) + 60)
    )
    made = made.valid_principals([one.encode() for one in principals]) if principals else made
    made = made if principals else made.valid_for_all_principals()
    made = made.add_critical_option(option, b"x") if option else made
    return blob(made.sign(signer).public_bytes().decode())


def altered(certificate: bytes, old: bytes, new: bytes) -> bytes:
    assert certificate.count(old) >= 1
    assert len(old) == len(new)
    return certificate.replace(old, new)


GOOD = by_hand()
FOREIGN = {
    "another authority": by_hand(Ed25519PrivateKey.generate()),
    "an authority of another kind": by_hand(ec.generate_private_key(ec.SECP256R1())),
    "signed by its own key": by_hand(CLIENT.private),
    "a host's": by_hand(kind=SSHCertificateType.HOST),
    "for everybody": by_hand(principals=()),
    "for another name": by_hand(principals=("run_b",)),
    "for two names": by_hand(principals=("run_a", "root")),
    "of no run": by_hand(name="root", principals=("root",)),
    "of no text": by_hand(name="run_\xff"),
    "with a condition": by_hand(option=b"force-command"),
    "altered": altered(GOOD, b"run_a", b"run_b"),
    "with another's key in it": altered(GOOD, CLIENT.public.public_bytes_raw(), bytes(32)),
    "with another signature": GOOD[:-1] + bytes([GOOD[-1] ^ 1]),
    "a key": blob(CLIENT.public_line),
    "the authority's key": blob(KEY.public_line),
    "nothing": b"",
    "nonsense": b"\0\0\0\x20" + b"x" * 100,
    "a length and no more": b"\0\0\0\x20",
    "a long name": b"\0\1\0\0" + b"x" * 70_000,
    "half of one": GOOD[:200],
    "more than one": GOOD + b"x",
    "another kind's name before it": altered(GOOD, b"ssh-ed25519-cert-v01@", b"ssh-ed25518-cert-v01@"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_this_gateway_gave_to_no_run_proves_nothing(name: str) -> None:
    said = refused(FOREIGN[name])
    if name == "a long name":
        assert said == "the SSH certificate is too long to be one of this gateway's"
    else:
        assert said == "the SSH certificate is not one that this gateway gave to a run"


@pytest.mark.parametrize("of", [CLIENT.public, ec.generate_private_key(ec.SECP384R1()).public_key()])
def test_the_case_that_the_table_differs_from_is_good(of: Any) -> None:
    assert CERTIFICATES.run_of(by_hand(of=of), NOW) == "run_a"


def test_every_bit_of_it_counts() -> None:
    for place in range(len(GOOD)):
        changed = bytearray(GOOD)
        changed[place] ^= 1
        assert "SSH certificate" in refused(bytes(changed))


def test_a_key_that_will_not_do_and_a_lease_that_is_over() -> None:
    with pytest.raises(BadPublicKey, match="expected one line"):
        CERTIFICATES.issue(RUN, "ssh-dss AAAA", now=NOW)
    with pytest.raises(BadPublicKey, match="has ended"):
        CERTIFICATES.issue(replace(RUN, expires=NOW), CLIENT.public_line, now=NOW)


def test_after_a_change_of_the_authority_the_old_ones_are_worth_nothing() -> None:
    assert "not one" in refused(issued(), certificates=RunSshCertificates(SshAuthority(SshKey.create())))
