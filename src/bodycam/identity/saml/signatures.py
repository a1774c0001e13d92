"""XML signatures of SAML (SAML Core, section 5), checked so that what is signed is what is read."""

import logging
from collections.abc import Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.exceptions import InvalidDigest, InvalidSignature
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.xml import DS, Element, alone, children, identified, name, only

# it writes whole documents into its log, where that is asked for everything
logging.getLogger("signxml").setLevel(logging.WARNING)

METHODS = frozenset(
    {
        SignatureMethod.RSA_SHA256,
        SignatureMethod.RSA_SHA384,
        SignatureMethod.RSA_SHA512,
        SignatureMethod.SHA256_RSA_MGF1,
        SignatureMethod.SHA384_RSA_MGF1,
        SignatureMethod.SHA512_RSA_MGF1,
        SignatureMethod.ECDSA_SHA256,
        SignatureMethod.ECDSA_SHA384,
        SignatureMethod.ECDSA_SHA512,
    }
)
DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})
_EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
_ENVELOPED = SignatureConstructionMethod.enveloped.value
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192


def usable(certificate: x509.Certificate) -> bool:
    """Whether the key of a certificate is of a kind and length that is taken."""
    match certificate.public_key():
        case rsa.RSAPublicKey() as key:
            return _MIN_RSA_BITS <= key.key_size <= _MAX_RSA_BITS
        case ec.EllipticCurvePublicKey() as key:
            return key.curve.name in _CURVES
        case _:
            return False


def not_wrapped(root: Element, signed: Sequence[Element]) -> None:
    """Make sure that a document has nothing in it that is made to be taken for what is signed.

    `signed` are the elements that may have a signature. Each one's must be its own child and mean itself.

    Raises:
        SamlRefused: anything else is in it: a second element with the same identifier, a signature elsewhere,
            or one of something else.
    """
    identifiers = list(identified(root))
    if len(identifiers) != len(set(identifiers)):
        raise SamlRefused(Reason.WRAPPED)
    for signature in root.iter(name(DS, "Signature")):
        parent = signature.getparent()
        if not any(parent is one for one in signed) or len(children(parent, "ds:Signature")) != 1:
            raise SamlRefused(Reason.WRAPPED)
        own = parent.get("ID")
        references = children(signature, "ds:SignedInfo/ds:Reference")
        inside = [one for one in signature.iter() if one.tag in (name(DS, "Object"), name(DS, "Manifest"))]
        if not own or inside or [one.get("URI") for one in references] != [f"#{own}"]:
            raise SamlRefused(Reason.WRAPPED)


def signed(element: Element) -> bool:
    """Whether an element has a signature of its own."""
    return bool(children(element, "ds:Signature"))


def verified(element: Element, certificates: Sequence[x509.Certificate]) -> Element:
    """What one of the certificates' keys signed of `element`, read anew from the very bytes that were signed.

    When a certificate ends is not asked: the metadata says which keys count (SAML V2.0 Metadata
    Interoperability Profile, section 2.6.1).

    Raises:
        SamlRefused: nothing was, or by a method that is not taken.
    """
    _methods(element)
    own = alone(element)
    for certificate in certificates:
        try:
            found = XMLVerifier().verify(
                own, x509_cert=certificate, id_attribute="ID", expect_config=_configuration(certificate)
            )
        except (InvalidSignature, InvalidDigest):
            continue
        except Exception as error:
            # a signature that makes the library stumble is none
            if _other_kind(error):
                continue
            raise SamlRefused(Reason.SIGNATURE) from error
        whole = found.signed_xml if isinstance(found, VerifyResult) else None
        if whole is None or whole.tag != element.tag or whole.get("ID") != element.get("ID"):
            raise SamlRefused(Reason.WRAPPED)
        return whole
    raise SamlRefused(Reason.SIGNATURE)


def sign(element: Element, key: rsa.RSAPrivateKey, certificate: x509.Certificate) -> Element:
    """The element with a signature of its own, behind the issuer, where the schema wants it."""
    issuer = element[0]
    place = etree.Element(name(DS, "Signature"), Id="placeholder", nsmap={"ds": DS})
    issuer.addnext(place)
    signer = XMLSigner(
        signature_algorithm=SignatureMethod.RSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=_EXCLUSIVE,
    )
    return signer.sign(element, key=key, cert=[certificate], reference_uri=f"#{element.get('ID')}")


def _methods(element: Element) -> None:
    signature = only(element, "ds:Signature")
    if signature is None:
        raise SamlRefused(Reason.UNSIGNED)
    method = only(signature, "ds:SignedInfo/ds:SignatureMethod")
    digest = only(signature, "ds:SignedInfo/ds:Reference/ds:DigestMethod")
    form = only(signature, "ds:SignedInfo/ds:CanonicalizationMethod")
    if method is None or digest is None or form is None:
        raise SamlRefused(Reason.SIGNATURE)
    if method.get("Algorithm") not in {one.value for one in METHODS}:
        raise SamlRefused(Reason.ALGORITHM)
    if digest.get("Algorithm") not in {one.value for one in DIGESTS}:
        raise SamlRefused(Reason.ALGORITHM)
    transforms = children(signature, "ds:SignedInfo/ds:Reference/ds:Transforms/ds:Transform")
    # Core, 5.4.3 and 5.4.4: only these; others could choose what is signed
    used = [one.get("Algorithm") for one in transforms]
    if form.get("Algorithm") != _EXCLUSIVE.value or used != [_ENVELOPED, _EXCLUSIVE.value]:
        raise SamlRefused(Reason.ALGORITHM)


def _configuration(certificate: x509.Certificate) -> SignatureConfiguration:
    return SignatureConfiguration(
        require_x509=True,
        location="./",
        expect_references=1,
        signature_methods=METHODS,
        digest_algorithms=DIGESTS,
        ignore_ambiguous_key_info=True,
        verification_time=certificate.not_valid_before_utc,
    )


def _other_kind(error: Any) -> bool:
    # an RSA signature held against a certificate with an elliptic curve, or the other way round
    return "does not match specified signature algorithm" in str(error)
