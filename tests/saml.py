"""A SAML provider's keys and messages, made by the test itself: good ones, and forged ones."""

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.signer import XMLSigner

PROVIDER = "https://idp.corp.example/metadata"
GROUPS = "urn:oid:1.3.6.1.4.1.5923.1.5.1.1"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
NS = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
    "xenc": "http://www.w3.org/2001/04/xmlenc#",
    "xenc11": "http://www.w3.org/2009/xmlenc11#",
}
_DECLARED = f'xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}"'


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


@dataclass
class Pair:
    """A key with its certificate."""

    key: Any = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    over: bool = False
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = self_signed(self.key, over=self.over)

    @property
    def pem(self) -> bytes:
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def plain(self) -> str:
        """The certificate as metadata has it."""
        return "".join(self.certificate.public_bytes(Encoding.PEM).decode().split("-----")[2].split())


class _AnyMethod(XMLSigner):
    """Signs by weak methods too."""

    def check_deprecated_methods(self) -> None:
        pass


def when(at: float) -> str:
    """A time as SAML writes it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def metadata(
    *pairs: Pair, entity_id: str = PROVIDER, more: str = "", until: str = "", where: str = ""
) -> bytes:
    """The provider's metadata."""
    where = where or "https://idp.corp.example"
    keys = "".join(
        f'<KeyDescriptor use="signing"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>{one.plain}'
        "</ds:X509Certificate></ds:X509Data></ds:KeyInfo></KeyDescriptor>"
        for one in pairs
    )
    services = "".join(
        f'<{service} Binding="urn:oasis:names:tc:SAML:2.0:bindings:{binding}" Location="{where}/{at}"/>'
        for service, at in (("SingleLogoutService", "slo"), ("SingleSignOnService", "sso"))
        for binding in ("HTTP-Redirect", "HTTP-POST")
    )
    return (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" xmlns:ds="{NS["ds"]}" '
        f'entityID="{entity_id}"{until}><IDPSSODescriptor protocolSupportEnumeration="{NS["samlp"]}">'
        f"{keys}{services}</IDPSSODescriptor>{more}</EntityDescriptor>"
    ).encode()


def assertion(
    now: float,
    *,
    consumer: str,
    audience: str,
    request: str,
    issuer: str = PROVIDER,
    name: str = "ann",
    name_format: str = PERSISTENT,
    groups: tuple[str, ...] = ("devs",),
    since: float = -5,
    begins: float = -5,
    ends: float = 300,
    confirmed_until: float = 300,
    lasts: float | None = None,
    identifier: str = "_assertion",
    recipient: str | None = None,
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer",
    restriction: str | None = None,
    statement: str | None = None,
) -> str:
    """An assertion of somebody who has just signed in; `None` leaves parts as they are when all is well."""
    values = "".join(f"<saml:AttributeValue>{one}</saml:AttributeValue>" for one in groups)
    audiences = (
        f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
        if restriction is None
        else restriction
    )
    session = "" if lasts is None else f' SessionNotOnOrAfter="{when(now + lasts)}"'
    signed_in = (
        f'<saml:AuthnStatement AuthnInstant="{when(now + since)}" SessionIndex="s1"{session}>'
        "<saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
        "</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement>"
        if statement is None
        else statement
    )
    return (
        f'<saml:Assertion xmlns:saml="{NS["saml"]}" ID="{identifier}" Version="2.0" IssueInstant="{when(now)}">'
        f"<saml:Issuer>{issuer}</saml:Issuer>"
        f'<saml:Subject><saml:NameID Format="{name_format}">{name}</saml:NameID>'
        f'<saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData '
        f'InResponseTo="{request}" Recipient="{consumer if recipient is None else recipient}" '
        f'NotOnOrAfter="{when(now + confirmed_until)}"/></saml:SubjectConfirmation></saml:Subject>'
        f'<saml:Conditions NotBefore="{when(now + begins)}" NotOnOrAfter="{when(now + ends)}">{audiences}'
        f"</saml:Conditions>{signed_in}"
        f'<saml:AttributeStatement><saml:Attribute Name="{GROUPS}">{values}</saml:Attribute>'
        "</saml:AttributeStatement></saml:Assertion>"
    )


def response(
    now: float,
    inside: str,
    *,
    destination: str,
    request: str,
    issuer: str = PROVIDER,
    status: str = "Success",
    identifier: str = "_response",
) -> str:
    """A response around an assertion."""
    return (
        f'<samlp:Response {_DECLARED} ID="{identifier}" Version="2.0" IssueInstant="{when(now)}" '
        f'Destination="{destination}" InResponseTo="{request}"><saml:Issuer>{issuer}</saml:Issuer>'
        f'<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/>'
        f"</samlp:Status>{inside}</samlp:Response>"
    )


def signed(
    document: str,
    pair: Pair,
    *,
    method: SignatureMethod = SignatureMethod.RSA_SHA256,
    digest: DigestAlgorithm = DigestAlgorithm.SHA256,
    form: str = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0.value,
) -> str:
    """A document whose root is signed, behind its issuer."""
    root = etree.fromstring(document)
    place = etree.Element(f"{{{NS['ds']}}}Signature", Id="placeholder", nsmap={"ds": NS["ds"]})
    root[0].addnext(place)
    signer = _AnyMethod(signature_algorithm=method, digest_algorithm=digest, c14n_algorithm=form)
    done = signer.sign(root, key=pair.key, cert=[pair.certificate], reference_uri=f"#{root.get('ID')}")
    return str(etree.tostring(done).decode())


def encrypted(
    inside: str,
    pair: Pair,
    *,
    method: str = "xenc11:aes256-gcm",
    transport: str = "rsa-oaep-mgf1p",
    alter: Callable[[bytes], bytes] = bytes,
    element: str = "EncryptedAssertion",
) -> str:
    """An assertion, or what another element has encrypted, to a key."""
    prefix, _, local = method.partition(":")
    size = {"128": 16, "192": 24, "256": 32}[local[3:6]]
    secret, plain = os.urandom(size), inside.encode()
    if local.endswith("gcm"):
        nonce = os.urandom(12)
        value = nonce + AESGCM(secret).encrypt(nonce, plain, None)
    else:
        iv, over = os.urandom(16), 16 - len(plain) % 16
        encryptor = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor()
        value = iv + encryptor.update(plain + bytes(over - 1) + bytes([over])) + encryptor.finalize()
    public = pair.key.public_key()
    wrapped = (
        public.encrypt(secret, padding.PKCS1v15())
        if transport == "rsa-1_5"
        else public.encrypt(secret, padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None))
    )
    return (
        f'<saml:{element} xmlns:saml="{NS["saml"]}"><xenc:EncryptedData xmlns:xenc="{NS["xenc"]}" '
        f'Type="{NS["xenc"]}Element"><xenc:EncryptionMethod Algorithm="{NS[prefix]}{local}"/>'
        f'<ds:KeyInfo xmlns:ds="{NS["ds"]}"><xenc:EncryptedKey><xenc:EncryptionMethod '
        f'Algorithm="{NS["xenc"]}{transport}"/><xenc:CipherData><xenc:CipherValue>{_text(wrapped)}'
        "</xenc:CipherValue></xenc:CipherData></xenc:EncryptedKey></ds:KeyInfo><xenc:CipherData>"
        f"<xenc:CipherValue>{_text(alter(value))}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
        f"</saml:{element}>"
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
