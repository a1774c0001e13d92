"""How messages travel through a browser: SAML's Redirect and POST bindings (SAML V2.0 Bindings, 3.4, 3.5)."""

import base64
import binascii
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus, urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from lxml import etree

from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.metadata import POST
from bodycam.identity.saml.ourselves import KeyPair
from bodycam.identity.saml.signatures import sign
from bodycam.identity.saml.xml import MAX_BYTES, Element

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_RSA: Mapping[str, hashes.HashAlgorithm] = {
    f"{_MORE}rsa-sha256": hashes.SHA256(),
    f"{_MORE}rsa-sha384": hashes.SHA384(),
    f"{_MORE}rsa-sha512": hashes.SHA512(),
}
_EC: Mapping[str, hashes.HashAlgorithm] = {
    f"{_MORE}ecdsa-sha256": hashes.SHA256(),
    f"{_MORE}ecdsa-sha384": hashes.SHA384(),
    f"{_MORE}ecdsa-sha512": hashes.SHA512(),
}
_OURS = f"{_MORE}rsa-sha256"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message on its way: where to go, and with the POST binding the fields of the form to send there."""

    address: str
    fields: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Came:
    """A message as it came: which of the two it is, its document, and its RelayState.

    `query` is what the Redirect binding signs, with the algorithm and the signature; None of a POST.
    """

    request: bool
    document: bytes
    relay: str | None
    query: tuple[bytes, str, bytes] | None = None


def send(message: Element, where: str, binding: str, relay: str | None, pair: KeyPair | None) -> Sent:
    """A request or a response for a browser to carry there, signed where there is a key."""
    kind = "SAMLResponse" if message.tag.endswith("Response") else "SAMLRequest"
    if binding == POST:
        document = etree.tostring(message if pair is None else sign(message, pair.key, pair.certificate))
        fields = {kind: base64.b64encode(document).decode()}
        return Sent(where, fields if relay is None else fields | {"RelayState": relay})
    packer = zlib.compressobj(wbits=-15)
    packed = packer.compress(etree.tostring(message)) + packer.flush()
    query = f"{kind}={quote(base64.b64encode(packed), safe='')}"
    if relay is not None:
        query += f"&RelayState={quote(relay, safe='')}"
    if pair is not None:
        query += f"&SigAlg={quote(_OURS, safe='')}"
        signature = pair.key.sign(query.encode(), padding.PKCS1v15(), hashes.SHA256())
        query += f"&Signature={quote(base64.b64encode(signature), safe='')}"
    return Sent(f"{where}{'&' if urlsplit(where).query else '?'}{query}", None)


def from_form(fields: Mapping[str, str]) -> Came:
    """What came by the POST binding.

    Raises:
        SamlRefused: there is not one message in it.
    """
    request = _which(fields)
    text = "".join(fields["SAMLRequest" if request else "SAMLResponse"].split())
    return Came(request, _decoded(text), fields.get("RelayState"))


def from_query(query: str) -> Came:
    """What came by the Redirect binding; `query` as the browser sent it.

    Raises:
        SamlRefused: there is not one message in it, or it unpacks to more than MAX_BYTES.
    """
    raw: dict[str, str] = {}
    for part in query.split("&"):
        key, _, value = part.partition("=")
        if key in raw:
            raise SamlRefused(Reason.MALFORMED)
        raw[key] = value
    fields = {key: unquote_plus(value) for key, value in raw.items()}
    request = _which(fields)
    kind = "SAMLRequest" if request else "SAMLResponse"
    document = _unpacked(_decoded(fields[kind]))
    relay = fields.get("RelayState")
    if "Signature" not in fields or "SigAlg" not in fields:
        return Came(request, document, relay)
    # section 3.4.4.1: over the text as it was encoded by whoever sent it
    covered = "&".join(f"{key}={raw[key]}" for key in (kind, "RelayState", "SigAlg") if key in raw)
    return Came(request, document, relay, (covered.encode(), fields["SigAlg"], _decoded(fields["Signature"])))


def query_verified(came: Came, certificates: Sequence[x509.Certificate]) -> None:
    """Make sure that one of the certificates' keys signed a message of the Redirect binding.

    Raises:
        SamlRefused: none did, or by a method that is not taken.
    """
    if came.query is None:
        raise SamlRefused(Reason.UNSIGNED)
    covered, method, signature = came.query
    if method not in _RSA and method not in _EC:
        raise SamlRefused(Reason.ALGORITHM)
    if not any(_signed_by(one, covered, method, signature) for one in certificates):
        raise SamlRefused(Reason.SIGNATURE)


def _signed_by(certificate: x509.Certificate, covered: bytes, method: str, signature: bytes) -> bool:
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and method in _RSA:
            key.verify(signature, covered, padding.PKCS1v15(), _RSA[method])
        elif isinstance(key, ec.EllipticCurvePublicKey) and method in _EC:
            key.verify(signature, covered, ec.ECDSA(_EC[method]))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _which(fields: Mapping[str, str]) -> bool:
    found = [kind for kind in ("SAMLRequest", "SAMLResponse") if kind in fields]
    if len(found) != 1 or fields.get("SAMLEncoding", _DEFLATE) != _DEFLATE:
        raise SamlRefused(Reason.MALFORMED)
    return found[0] == "SAMLRequest"


def _decoded(text: str) -> bytes:
    if len(text) > MAX_BYTES * 4 // 3 + 4:
        raise SamlRefused(Reason.TOO_LARGE)
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error) as error:
        raise SamlRefused(Reason.MALFORMED) from error


def _unpacked(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=-15)
    try:
        document = unpacker.decompress(packed, MAX_BYTES + 1)
    except zlib.error as error:
        raise SamlRefused(Reason.MALFORMED) from error
    if len(document) > MAX_BYTES:
        raise SamlRefused(Reason.TOO_LARGE)
    if not unpacker.eof:
        raise SamlRefused(Reason.MALFORMED)
    return document


_DEFLATE = "urn:oasis:names:tc:SAML:2.0:bindings:URL-Encoding:DEFLATE"
