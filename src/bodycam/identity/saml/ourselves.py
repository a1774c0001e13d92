"""The gateway as a SAML provider knows it: its names, addresses and key, and the metadata that says so."""

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from lxml import etree

from bodycam.config.providers import Provider
from bodycam.identity.oidc.failure import ProviderAway
from bodycam.identity.saml.encryption import METHODS, TRANSPORTS
from bodycam.identity.saml.metadata import POST, REDIRECT
from bodycam.identity.saml.xml import DS, MD, SAMLP, Element, name

_LEAST_BITS = 2048


@dataclass(frozen=True, slots=True)
class KeyPair:
    """Signs what we send, and opens what is encrypted to us."""

    key: rsa.RSAPrivateKey = field(repr=False)
    certificate: x509.Certificate


@dataclass(frozen=True, slots=True)
class Ourselves:
    """The gateway at one provider: entity ID, where assertions and logouts come in, and its key, if any."""

    entity_id: str
    consumer: str
    logout: str
    pair: KeyPair | None


def ourselves(provider: Provider, url: str) -> Ourselves:
    """What the gateway is at a provider; `url` is where browsers reach it.

    Raises:
        ProviderAway: the key or the certificate can't be used.
    """
    base = f"{url}/sign-in/saml/{provider.name}"
    return Ourselves(
        provider.own_entity_id or f"{base}/metadata", f"{base}/acs", f"{base}/logout", _pair(provider)
    )


def own_metadata(own: Ourselves, provider: Provider) -> bytes:
    """The document that the provider's administrators are given."""
    root = etree.Element(name(MD, "EntityDescriptor"), entityID=own.entity_id, nsmap={"md": MD, "ds": DS})
    part = etree.SubElement(
        root,
        name(MD, "SPSSODescriptor"),
        AuthnRequestsSigned="false" if own.pair is None else "true",
        WantAssertionsSigned="true",
        protocolSupportEnumeration=SAMLP,
    )
    if own.pair is not None:
        for use in ("signing", "encryption"):
            _described(part, use, own.pair.certificate)
    for binding in (REDIRECT, POST):
        etree.SubElement(part, name(MD, "SingleLogoutService"), Binding=binding, Location=own.logout)
    if provider.name_id_format is not None:
        etree.SubElement(part, name(MD, "NameIDFormat")).text = provider.name_id_format
    consumer = {"Binding": POST, "Location": own.consumer, "index": "0", "isDefault": "true"}
    etree.SubElement(part, name(MD, "AssertionConsumerService"), consumer)
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True))


def _described(part: Element, use: str, certificate: x509.Certificate) -> None:
    described = etree.SubElement(part, name(MD, "KeyDescriptor"), use=use)
    info = etree.SubElement(described, name(DS, "KeyInfo"))
    pem = certificate.public_bytes(Encoding.PEM).decode().split("-----")[2]
    data = etree.SubElement(info, name(DS, "X509Data"))
    etree.SubElement(data, name(DS, "X509Certificate")).text = "".join(pem.split())
    if use == "encryption":
        for method in (TRANSPORTS[1], *METHODS[:3]):
            etree.SubElement(described, name(MD, "EncryptionMethod"), Algorithm=method)


def _pair(provider: Provider) -> KeyPair | None:
    if provider.key is None or provider.certificate is None:
        return None
    try:
        key = load_pem_private_key(provider.key.read_bytes(), None)
        certificate = x509.load_pem_x509_certificate(provider.certificate.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise ProviderAway("its key or certificate in the settings can't be read") from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _LEAST_BITS:
        raise ProviderAway(f"its key in the settings is no RSA key of at least {_LEAST_BITS} bits")
    if certificate.public_key() != key.public_key():
        raise ProviderAway("its certificate in the settings is not one of its key")
    return KeyPair(key, certificate)
