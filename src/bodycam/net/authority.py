"""A small X.509 certificate authority (RFC 5280): one key, short-lived leaves, no revocation lists.

Keys are ECDSA on P-256. A request's own names are never taken over: who signs decides them.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bodycam.net.key_files import KeyFileError, read_file, write_new

AUTHORITY_LIFETIME = timedelta(days=3653)
LEAF_LIFETIME = timedelta(days=1)
SKEW = timedelta(minutes=5)
"""How far a certificate's start lies back, for clocks that are behind."""


class AuthorityError(KeyFileError):
    """A key, certificate or request is not usable; the text says which and why."""


class Usage(Enum):
    """What a leaf may be used for."""

    SERVER = ExtendedKeyUsageOID.SERVER_AUTH
    CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True)
class Request:
    """A key made in memory and the PEM request for its certificate."""

    key_pem: bytes = field(repr=False)
    csr_pem: bytes


def request(common_name: str) -> Request:
    """Make a key and the request for its certificate; the key is never written anywhere."""
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder(_name(common_name)).sign(key, hashes.SHA256())
    return Request(_key_pem(key), csr.public_bytes(serialization.Encoding.PEM))


class Authority:
    """A certificate authority: its key and its own certificate."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        if key.public_key() != certificate.public_key():
            raise AuthorityError("the authority's key does not belong to its certificate")
        self._key, self.certificate = key, certificate

    @classmethod
    def create(
        cls, name: str, *, lifetime: timedelta = AUTHORITY_LIFETIME, now: datetime | None = None
    ) -> "Authority":
        """A new authority whose certificate carries `name`; it may sign leaves only."""
        now = now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name(name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    @classmethod
    def load(cls, key_file: Path, certificate_file: Path) -> "Authority":
        """The authority that `save` wrote.

        Raises:
            KeyFileError: a file is missing or bad, or the two do not belong together.
        """
        key_pem, certificate_pem = read_file(key_file), read_file(certificate_file)
        try:
            key = serialization.load_pem_private_key(key_pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise AuthorityError(f"{key_file} holds no private key in PEM: {error}") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(f"{key_file} holds no elliptic curve key")
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
        except ValueError as error:
            raise AuthorityError(f"{certificate_file} holds no certificate in PEM: {error}") from error
        return cls(key, certificate)

    def save(self, key_file: Path, certificate_file: Path) -> None:
        """Write the key (mode 0600) and the certificate (0644) to new files.

        Raises:
            KeyFileError: a file is there already, or can't be written.
        """
        write_new(key_file, _key_pem(self._key), 0o600)
        write_new(certificate_file, self.certificate_pem, 0o644)

    @property
    def certificate_pem(self) -> bytes:
        """The authority's certificate, for those who are to trust it."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(
        self,
        csr_pem: bytes,
        *,
        names: Sequence[str],
        usage: Usage = Usage.SERVER,
        lifetime: timedelta = LEAF_LIFETIME,
        now: datetime | None = None,
    ) -> bytes:
        """A certificate for the request's key with `names` (host names and addresses): PEM, leaf then ours.

        The leaf ends no later than the authority does.

        Raises:
            AuthorityError: the request is bad or not signed by its own key, a name is not one, or this
                authority has ended.
        """
        if not names:
            raise AuthorityError("a certificate needs at least one name")
        now = now or datetime.now(UTC)
        leaf = self._leaf(
            _requested_key(csr_pem),
            _name(names[0][:64]),
            [_general(name) for name in names],
            usage,
            now,
            now + lifetime,
        )
        return leaf + self.certificate_pem

    def vouch(
        self,
        csr_pem: bytes,
        *,
        name: str,
        unit: str,
        uris: Sequence[str],
        end: datetime,
        now: datetime | None = None,
    ) -> bytes:
        """A client's certificate for the request's key, until `end`: PEM, the leaf alone.

        `name` and `unit` are its subject; `uris` are the names by which it is known.

        Raises:
            AuthorityError: the request is bad or not signed by its own key, a name is not one, or `end` or
                this authority's own end is over.
        """
        now = now or datetime.now(UTC)
        try:
            known = [x509.UniformResourceIdentifier(uri) for uri in uris]
        except ValueError as error:
            raise AuthorityError(f"a name of the certificate is no URI in ASCII: {error}") from error
        return self._leaf(_requested_key(csr_pem), _name(name, unit), known, Usage.CLIENT, now, end)

    def _leaf(
        self,
        key: ec.EllipticCurvePublicKey,
        subject: x509.Name,
        names: Sequence[x509.GeneralName],
        usage: Usage,
        now: datetime,
        end: datetime,
    ) -> bytes:
        ours = self.certificate.not_valid_after_utc
        if min(end, ours) <= now:
            what = "authority's certificate has" if ours <= now else "time that was asked for has"
            raise AuthorityError(f"the {what} ended at {min(end, ours).isoformat()}")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(min(end, ours))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage.value]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)


def _requested_key(csr_pem: bytes) -> ec.EllipticCurvePublicKey:
    try:
        csr = x509.load_pem_x509_csr(csr_pem)
        if not csr.is_signature_valid:
            raise AuthorityError("the certificate request is not signed by its own key")
        key = csr.public_key()
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise AuthorityError(f"the certificate request can't be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise AuthorityError("the certificate request is not for an elliptic curve key")
    return key


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name.encode("idna").decode())
    except (ValueError, UnicodeError) as error:
        raise AuthorityError(f"{name!r} is neither a host name nor an address") from error


def _name(common_name: str, unit: str | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if unit is not None:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    return x509.Name(attributes)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
