"""Keys and certificates for SAML in tests."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def self_signed(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, name: str = "provider", *, over: bool = False
) -> x509.Certificate:
    """A certificate of a key by itself; `over` makes it one that ended a year ago."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    end = datetime.now(UTC) + timedelta(days=-365 if over else 3650)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=4000))
        .not_valid_after(end)
        .sign(key, hashes.SHA256())
    )
