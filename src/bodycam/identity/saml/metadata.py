"""What a SAML provider says of itself (SAML V2.0 Metadata): its keys, and where browsers are to go."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from bodycam.config.providers import provider_url
from bodycam.identity.oidc.failure import ProviderAway
from bodycam.identity.saml.failure import SamlRefused
from bodycam.identity.saml.signatures import not_wrapped, usable, verified
from bodycam.identity.saml.xml import MAX_METADATA, MD, SAMLP, Element, children, name, parse

REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
MAX_KEYS = 10
_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]+")


@dataclass(frozen=True, slots=True)
class IdentityProvider:
    """A provider as its metadata describes it; endpoints are by their binding.

    `logout_answers` are where answers to a logout go, where that is somewhere else. `until` is when the
    metadata ends, in Unix seconds, or None.
    """

    entity_id: str
    certificates: tuple[x509.Certificate, ...]
    sign_on: Mapping[str, str]
    logout: Mapping[str, str]
    logout_answers: Mapping[str, str]
    until: float | None = None

    def answers_at(self, binding: str) -> str | None:
        """Where the answer to a logout that came by `binding` goes; None if it takes none."""
        return self.logout_answers.get(binding) or self.logout.get(binding)


def read_metadata(
    data: bytes, entity_id: str | None, signers: Sequence[x509.Certificate] = ()
) -> IdentityProvider:
    """The identity provider in a metadata document: the one with that entity ID, or the only one.

    With `signers` the whole document has to be signed by a key of one of them (Metadata, section 3).

    Raises:
        ProviderAway: there is none in it that can be used.
    """
    try:
        root = parse(data, most=MAX_METADATA)
        if signers:
            # what federations put together may have signatures of its own parts
            not_wrapped(root, (root, *root.iter(name(MD, "EntityDescriptor"))))
            root = verified(root, signers)
        described = [
            (entity, part)
            for entity in root.iter(name(MD, "EntityDescriptor"))
            for part in children(entity, "md:IDPSSODescriptor")
            if SAMLP in str(part.get("protocolSupportEnumeration")).split()
            and entity_id in (None, entity.get("entityID"))
        ]
    except SamlRefused as error:
        raise ProviderAway(f"its metadata can't be read ({error.reason.value})") from error
    if len(described) != 1:
        raise ProviderAway(f"its metadata has {len(described)} identity providers of that entity_id, not one")
    entity, part = described[0]
    sign_on = _endpoints(part, "md:SingleSignOnService")
    certificates = tuple(one for one in _certificates(part) if usable(one))[:MAX_KEYS]
    if not entity.get("entityID") or not certificates or not sign_on:
        raise ProviderAway("its metadata names no entity ID, no key that can be used, or no address to go to")
    return IdentityProvider(
        str(entity.get("entityID")),
        certificates,
        sign_on,
        _endpoints(part, "md:SingleLogoutService"),
        _endpoints(part, "md:SingleLogoutService", "ResponseLocation"),
        min((end for one in (root, entity, part) if (end := _until(one)) is not None), default=None),
    )


def moment(text: str | None) -> float | None:
    """An xs:dateTime in Unix seconds; None if it is none. Without a zone it is UTC (Core, section 1.3.3)."""
    try:
        found = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return None
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _until(element: Element) -> float | None:
    text = element.get("validUntil")
    if text is None:
        return None
    found = moment(text)
    if found is None:
        raise ProviderAway("its metadata has a validUntil that is no time")
    return found


def _certificates(part: Element) -> list[x509.Certificate]:
    found = []
    for described in children(part, "md:KeyDescriptor"):
        if described.get("use", "signing") != "signing":
            continue
        for one in children(described, "ds:KeyInfo/ds:X509Data/ds:X509Certificate"):
            try:
                der = base64.b64decode("".join(str(one.text or "").split()), validate=True)
                found.append(x509.load_der_x509_certificate(der))
            except (ValueError, binascii.Error) as error:
                raise ProviderAway("its metadata has a certificate that can't be read") from error
    return found


def _endpoints(part: Element, path: str, attribute: str = "Location") -> Mapping[str, str]:
    found: dict[str, str] = {}
    for one in children(part, path):
        binding, location = one.get("Binding"), one.get(attribute)
        if binding not in (REDIRECT, POST) or location is None:
            continue
        # the host also stands in a header of ours
        plain = _HOST.fullmatch(urlsplit(location).netloc) if provider_url(location) else None
        if len(location) > 2000 or plain is None:
            raise ProviderAway("its metadata sends browsers to an address that is not https")
        found.setdefault(binding, location)
    return found
