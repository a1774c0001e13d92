"""What the gateway asks of a SAML provider and answers it: AuthnRequest, LogoutRequest, LogoutResponse."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from bodycam.identity.saml.metadata import POST
from bodycam.identity.saml.ourselves import Ourselves
from bodycam.identity.saml.xml import SAML, SAMLP, Element, name

_NAMES = {"samlp": SAMLP, "saml": SAML}
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"


@dataclass(frozen=True, slots=True)
class NameId:
    """Whom a provider names, with what belongs to the name; `session` is its own session's index."""

    text: str
    format: str | None = None
    qualifier: str | None = None
    own_qualifier: str | None = None
    session: str | None = None


def authn_request(
    own: Ourselves, *, identifier: str, destination: str, force: bool, name_format: str | None, now: float
) -> Element:
    """Ask who the person is; with `force` anew, whatever session they have there (Core, section 3.4.1)."""
    root = _message("AuthnRequest", own, identifier, destination, now)
    root.set("AssertionConsumerServiceURL", own.consumer)
    root.set("ProtocolBinding", POST)
    if force:
        root.set("ForceAuthn", "true")
    if name_format is not None:
        etree.SubElement(root, name(SAMLP, "NameIDPolicy"), Format=name_format, AllowCreate="true")
    return root


def logout_request(own: Ourselves, who: NameId, *, identifier: str, destination: str, now: float) -> Element:
    """Ask to end somebody's session there (Core, section 3.7.1)."""
    root = _message("LogoutRequest", own, identifier, destination, now)
    root.set("NotOnOrAfter", _time(now + 300))
    named = etree.SubElement(root, name(SAML, "NameID"))
    named.text = who.text
    for attribute, value in (
        ("Format", who.format),
        ("NameQualifier", who.qualifier),
        ("SPNameQualifier", who.own_qualifier),
    ):
        if value is not None:
            named.set(attribute, value)
    if who.session is not None:
        etree.SubElement(root, name(SAMLP, "SessionIndex")).text = who.session
    return root


def logout_response(own: Ourselves, *, to: str, destination: str, now: float) -> Element:
    """Say that the sessions which the request `to` named are over here (Core, section 3.7.2)."""
    root = _message("LogoutResponse", own, fresh_id(), destination, now)
    root.set("InResponseTo", to)
    status = etree.SubElement(root, name(SAMLP, "Status"))
    etree.SubElement(status, name(SAMLP, "StatusCode"), Value=SUCCESS)
    return root


def fresh_id() -> str:
    """A random identifier of a message, which has to begin like a name."""
    return f"_{secrets.token_hex(20)}"


def _message(kind: str, own: Ourselves, identifier: str, destination: str, now: float) -> Element:
    root = etree.Element(
        name(SAMLP, kind),
        ID=identifier,
        Version="2.0",
        IssueInstant=_time(now),
        Destination=destination,
        nsmap=_NAMES,
    )
    etree.SubElement(root, name(SAML, "Issuer")).text = own.entity_id
    return root


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
