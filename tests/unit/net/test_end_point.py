"""The binding tls-server-end-point, for certificates signed in every way that a server may have one."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from bodycam.net.end_point import NoEndPoint, server_end_point

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP384R1())


def certificate(key: Any, algorithm: hashes.HashAlgorithm | None, **more: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "db")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    return builder.sign(key, algorithm, **more).public_bytes(serialization.Encoding.DER)


PSS = {"rsa_padding": padding.PSS(padding.MGF1(hashes.SHA384()), padding.PSS.DIGEST_LENGTH)}


@pytest.mark.parametrize(
    ("made", "digest"),
    [
        (certificate(RSA, hashes.SHA256()), hashlib.sha256),
        (certificate(RSA, hashes.SHA384()), hashlib.sha384),
        (certificate(RSA, hashes.SHA512()), hashlib.sha512),
        (certificate(RSA, hashes.SHA384(), **PSS), hashlib.sha384),
        (certificate(EC, hashes.SHA256()), hashlib.sha256),
        (certificate(EC, hashes.SHA512()), hashlib.sha512),
    ],
)
def test_it_is_the_hash_of_the_signature_over_the_certificate(
    made: bytes, digest: Callable[[bytes], Any]
) -> None:
    assert server_end_point(made) == digest(made).digest()


def test_a_weak_hash_gives_way_to_sha_256() -> None:
    # the library signs nothing with SHA-1 any more: the signature's algorithm is put in by hand
    strong = certificate(RSA, hashes.SHA256())
    weak = strong.replace(bytes.fromhex("2a864886f70d01010b"), bytes.fromhex("2a864886f70d010105"))
    assert weak != strong
    assert server_end_point(weak) == hashlib.sha256(weak).digest()


def test_where_the_signature_has_no_hash_there_is_none() -> None:
    with pytest.raises(NoEndPoint, match="no hash"):
        server_end_point(certificate(ed25519.Ed25519PrivateKey.generate(), None))


@pytest.mark.parametrize("data", [b"", b"\x30\x03\x02\x01\x00", b"x" * 100])
def test_what_is_no_certificate_has_none(data: bytes) -> None:
    with pytest.raises(NoEndPoint, match="can't be read"):
        server_end_point(data)
