"""Client certificates of runs: what is in one, whose it is, and everything that is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bodycam.identity.run_certificates import CertificateRefused, RunCertificates
from bodycam.model.identity import Principal, PrincipalKind, Run
from bodycam.net.authority import Authority, AuthorityError, Usage, request

NOW = 1_900_000_000.0
RUN = Run(
    "run_aaaaaaaaaaaaaaaa",
    Principal("bodycam", "ci", PrincipalKind.SERVICE),
    "billing-bot",
    NOW + 3600.75,
)
MADE = datetime.fromtimestamp(NOW - 86400, UTC)
AUTHORITY = Authority.create("Bodycam runs", now=MADE)
CERTIFICATES = RunCertificates(AUTHORITY)
ASKED = request("whatever the client says")


def der(pem: str | bytes) -> bytes:
    text = pem.encode() if isinstance(pem, str) else pem
    return x509.load_pem_x509_certificate(text).public_bytes(serialization.Encoding.DER)


def refused(certificate: bytes, now: float = NOW, certificates: RunCertificates = CERTIFICATES) -> str:
    with pytest.raises(CertificateRefused) as caught:
        certificates.run_of(certificate, now)
    return str(caught.value)


def test_it_names_run_and_agent_and_ends_with_the_lease() -> None:
    issued = CERTIFICATES.issue(RUN, ASKED.csr_pem, now=NOW)
    made = x509.load_pem_x509_certificate(issued.pem.encode())

    assert made.subject.rfc4514_string() == "CN=run_aaaaaaaaaaaaaaaa,OU=billing-bot"
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [
        "urn:bodycam:run:run_aaaaaaaaaaaaaaaa",
        "urn:bodycam:agent:billing-bot",
    ]
    assert made.not_valid_after_utc.timestamp() == issued.expires == NOW + 3600
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert issued.pem.count("BEGIN CERTIFICATE") == 1
    assert "BEGIN" not in repr(issued)
    # what the request says of itself is nothing to us
    assert "whatever" not in made.subject.rfc4514_string()


@pytest.mark.parametrize("at", [NOW, NOW + 3599.9, NOW - 200])
def test_it_proves_its_run_while_the_lease_lasts(at: float) -> None:
    assert CERTIFICATES.run_of(der(CERTIFICATES.issue(RUN, ASKED.csr_pem, now=NOW).pem), at) == RUN.id


@pytest.mark.parametrize("at", [NOW + 3601, NOW + 86400 * 365, NOW - 600])
def test_before_and_after_it_does_not_and_says_when_it_ends(at: float) -> None:
    said = refused(der(CERTIFICATES.issue(RUN, ASKED.csr_pem, now=NOW).pem), at)

    assert said == (
        "the client certificate of run run_aaaaaaaaaaaaaaaa is not valid now: it ended or ends at "
        f"{datetime.fromtimestamp(NOW + 3600, UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


def signed(
    authority: Authority = AUTHORITY,
    uris: tuple[str, ...] = ("urn:bodycam:run:run_a",),
    **changed: Any,
) -> bytes:
    end = datetime.fromtimestamp(NOW + 3600, UTC)
    now = datetime.fromtimestamp(NOW, UTC)
    wanted = {"name": "run_a", "unit": "bot", "uris": uris, "end": end, "now": now, **changed}
    return der(authority.vouch(ASKED.csr_pem, **wanted))


def by_hand(*, authority: bool = False, usage: Any = ExtendedKeyUsageOID.CLIENT_AUTH) -> bytes:
    """What only somebody with our authority's key could sign, and never should."""
    now = datetime.fromtimestamp(NOW, UTC)
    leaf = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "run_a")]))
        .issuer_name(AUTHORITY.certificate.subject)
        .public_key(leaf.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:bodycam:run:run_a")]), False
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(AUTHORITY.certificate.public_key()),  # type: ignore[arg-type]
            critical=False,
        )
        .sign(AUTHORITY._key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


FOREIGN = {
    "another authority": signed(Authority.create("Bodycam runs", now=MADE)),
    "the authority itself": der(AUTHORITY.certificate_pem),
    "no run": signed(uris=("urn:bodycam:agent:bot",)),
    "no name of ours": signed(uris=("https://example.test/run_a",)),
    "two runs": signed(uris=("urn:bodycam:run:run_a", "urn:bodycam:run:run_b")),
    "a server's": der(
        AUTHORITY.sign(ASKED.csr_pem, names=["run_a"], now=datetime.fromtimestamp(NOW, UTC)).split(
            b"-----END CERTIFICATE-----"
        )[0]
        + b"-----END CERTIFICATE-----\n"
    ),
    "a host's": der(
        AUTHORITY.sign(
            ASKED.csr_pem, names=["run-a"], usage=Usage.CLIENT, now=datetime.fromtimestamp(NOW, UTC)
        ).split(b"-----END CERTIFICATE-----")[0]
        + b"-----END CERTIFICATE-----\n"
    ),
    "another use": by_hand(usage=ExtendedKeyUsageOID.SERVER_AUTH),
    "an authority under ours": by_hand(authority=True),
    "nothing": b"",
    "nonsense": b"\x30\x82\xff\xff" + b"x" * 100,
    "half of one": signed()[:200],
    "more than one": signed() + b"x",
}


@pytest.mark.parametrize("certificate", FOREIGN.values(), ids=list(FOREIGN))
def test_what_this_gateway_gave_to_no_run_proves_nothing(certificate: bytes) -> None:
    assert refused(certificate) == "the client certificate is not one that this gateway gave to a run"


def test_the_case_that_the_table_differs_from_is_good() -> None:
    assert CERTIFICATES.run_of(signed(), NOW) == "run_a"
    assert CERTIFICATES.run_of(by_hand(), NOW) == "run_a"


def test_a_certificate_of_any_length_is_not_even_read() -> None:
    assert "too long" in refused(signed() + bytes(9000))


def test_after_a_change_of_the_authority_the_old_ones_are_worth_nothing() -> None:
    old = der(CERTIFICATES.issue(RUN, ASKED.csr_pem, now=NOW).pem)

    assert "not one" in refused(old, certificates=RunCertificates(Authority.create("Bodycam runs", now=MADE)))


def rsa_request() -> bytes:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    made = x509.CertificateSigningRequestBuilder(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("csr", "said"),
    [
        (b"", "can't be read"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "can't be read"),
        (rsa_request(), "elliptic curve"),
    ],
)
def test_a_request_that_will_not_do(csr: bytes, said: str) -> None:
    with pytest.raises(AuthorityError, match=said):
        CERTIFICATES.issue(RUN, csr, now=NOW)


def test_for_a_lease_that_is_over_there_is_none() -> None:
    with pytest.raises(AuthorityError, match="asked for has ended"):
        CERTIFICATES.issue(replace(RUN, expires=NOW - 1), ASKED.csr_pem, now=NOW)
