"""Opens encrypted assertions and names (XML Encryption 1.1): only what nobody can alter or ask about."""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from lxml import etree

from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.xml import (
    DS,
    MAX_BYTES,
    SAML,
    XENC,
    XENC11,
    Element,
    alone,
    children,
    name,
    only,
    parse,
)

_GCM = {f"{XENC11}aes128-gcm": 16, f"{XENC11}aes192-gcm": 24, f"{XENC11}aes256-gcm": 32}
_CBC = {f"{XENC}aes128-cbc": 16, f"{XENC}aes192-cbc": 24, f"{XENC}aes256-cbc": 32}
_OAEP, _OAEP11 = f"{XENC}rsa-oaep-mgf1p", f"{XENC11}rsa-oaep"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    f"{DS}sha1": hashes.SHA1(),  # noqa: S303 - within OAEP it is no weakness
    f"{XENC}sha256": hashes.SHA256(),
    "http://www.w3.org/2001/04/xmldsig-more#sha384": hashes.SHA384(),
    f"{XENC}sha512": hashes.SHA512(),
}
_MASKS: dict[str, hashes.HashAlgorithm] = {
    f"{XENC11}mgf1sha1": hashes.SHA1(),  # noqa: S303
    f"{XENC11}mgf1sha256": hashes.SHA256(),
    f"{XENC11}mgf1sha384": hashes.SHA384(),
    f"{XENC11}mgf1sha512": hashes.SHA512(),
}
METHODS = (*_GCM, *_CBC)
"""The methods of data that are taken; the last three only where a signature protects the ciphertext."""

TRANSPORTS = (_OAEP11, _OAEP)
_IV, _NONCE = 16, 12


def opened(
    encrypted: Element, key: rsa.RSAPrivateKey | None, *, guarded: bool, kind: str = "Assertion"
) -> Element:
    """What is in an EncryptedAssertion, or of another `kind` in an EncryptedID, as a document's root.

    `guarded` says that a verified signature covers the ciphertext. Without, AES in CBC mode would let a
    stranger ask, one altered copy after another, what is in it; so it is refused. RSA without OAEP always is.

    Raises:
        SamlRefused: it can't be opened. What exactly went wrong is not told, not even to the audit.
    """
    data = only(encrypted, "xenc:EncryptedData")
    if key is None or data is None:
        raise SamlRefused(Reason.ENCRYPTION)
    method = _algorithm(data)
    if method not in _GCM and (method not in _CBC or not guarded):
        raise SamlRefused(Reason.ALGORITHM)
    # the key lies in the data's KeyInfo, or beside it (section 3.2)
    keys = [*children(data, "ds:KeyInfo/xenc:EncryptedKey"), *children(encrypted, "xenc:EncryptedKey")]
    if len(keys) != 1:
        raise SamlRefused(Reason.ENCRYPTION)
    try:
        secret = key.decrypt(_value(keys[0]), _padding(keys[0]))
        plain = _plain(method, secret, _value(data))
    except (ValueError, InvalidTag) as error:
        raise SamlRefused(Reason.ENCRYPTION) from error
    return _inside(plain, data, kind)


def _plain(method: str, secret: bytes, value: bytes) -> bytes:
    if method in _GCM:
        if len(secret) != _GCM[method] or len(value) < _NONCE + 16:
            raise ValueError("a key or a text of another length")
        return AESGCM(secret).decrypt(value[:_NONCE], value[_NONCE:], None)
    if len(secret) != _CBC[method] or len(value) < 2 * _IV or len(value) % _IV:
        raise ValueError("a key or a text of another length")
    decryptor = Cipher(algorithms.AES(secret), modes.CBC(value[:_IV])).decryptor()
    padded = decryptor.update(value[_IV:]) + decryptor.finalize()
    # section 5.2: only the last byte of the padding says something
    if not 1 <= padded[-1] <= _IV:
        raise ValueError("no padding")
    return padded[: -padded[-1]]


def _padding(key: Element) -> padding.OAEP:
    method = only(key, "xenc:EncryptionMethod")
    algorithm = None if method is None else method.get("Algorithm")
    if method is None or algorithm not in TRANSPORTS:
        raise SamlRefused(Reason.ALGORITHM)
    digest, mask = only(method, "ds:DigestMethod"), only(method, "xenc11:MGF")
    hashed = _HASHES.get(f"{DS}sha1" if digest is None else digest.get("Algorithm"))
    masked = _MASKS.get(f"{XENC11}mgf1sha1" if mask is None else mask.get("Algorithm"))
    if hashed is None or masked is None or only(method, "xenc:OAEPparams") is not None:
        raise SamlRefused(Reason.ALGORITHM)
    if algorithm == _OAEP:
        masked = _MASKS[f"{XENC11}mgf1sha1"]
    return padding.OAEP(mgf=padding.MGF1(masked), algorithm=hashed, label=None)


def _inside(plain: bytes, data: Element, kind: str) -> Element:
    if len(plain) > MAX_BYTES:
        raise SamlRefused(Reason.TOO_LARGE)
    # what was encrypted may use prefixes that were declared around it
    around = etree.Element("around", nsmap=data.nsmap)
    opening = etree.tostring(around, encoding="unicode").removesuffix("/>")
    root = parse(f"{opening}>".encode() + plain + b"</around>", most=MAX_BYTES + 8192)
    if len(root) != 1 or root[0].tag != name(SAML, kind):
        raise SamlRefused(Reason.ENCRYPTION)
    return alone(root[0])


def _algorithm(element: Element) -> str:
    method = only(element, "xenc:EncryptionMethod")
    return "" if method is None else str(method.get("Algorithm"))


def _value(element: Element) -> bytes:
    found = only(element, "xenc:CipherData/xenc:CipherValue")
    if found is None or len(found):
        raise SamlRefused(Reason.ENCRYPTION)
    try:
        return base64.b64decode("".join(str(found.text or "").split()), validate=True)
    except (ValueError, binascii.Error) as error:
        raise SamlRefused(Reason.ENCRYPTION) from error
