"""Checks what a SAML provider says of a logout (SAML V2.0 Profiles, section 4.4)."""

from dataclasses import dataclass

from bodycam.identity.oidc.tokens import LEEWAY_SECONDS
from bodycam.identity.saml.bindings import Came, query_verified
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.metadata import IdentityProvider, moment
from bodycam.identity.saml.names import named_by
from bodycam.identity.saml.ourselves import Ourselves
from bodycam.identity.saml.requests import NameId
from bodycam.identity.saml.signatures import not_wrapped, signed, verified
from bodycam.identity.saml.xml import SAML, SAMLP, Element, children, name, only, parse, text_of

OLDEST_SECONDS = 600.0
MAX_SESSIONS = 100


@dataclass(frozen=True, slots=True)
class LogoutWanted:
    """Whose sessions a provider ended; `sessions` are its own indexes of them, none meaning all."""

    identifier: str
    name: NameId
    sessions: frozenset[str]


def read_logout_request(came: Came, idp: IdentityProvider, own: Ourselves, now: float) -> LogoutWanted:
    """What a signed LogoutRequest asks for.

    Raises:
        SamlRefused: it is not signed by the provider, not meant for us, too old, or names nobody.
    """
    root = _checked(came, "LogoutRequest", idp, own)
    issued = moment(root.get("IssueInstant"))
    ends = moment(root.get("NotOnOrAfter")) if root.get("NotOnOrAfter") is not None else None
    if issued is None or (ends is None and root.get("NotOnOrAfter") is not None):
        raise SamlRefused(Reason.MALFORMED)
    if issued > now + LEEWAY_SECONDS:
        raise SamlRefused(Reason.NOT_YET_VALID)
    if now >= issued + OLDEST_SECONDS or (ends is not None and now >= ends + LEEWAY_SECONDS):
        raise SamlRefused(Reason.EXPIRED)
    named = named_by(root, own)
    text, identifier = text_of(named), root.get("ID")
    indexes = [text_of(one) for one in children(root, "samlp:SessionIndex")]
    if named is None or text is None or not identifier or len(indexes) > MAX_SESSIONS:
        raise SamlRefused(Reason.NO_SUBJECT)
    sessions = frozenset(one for one in indexes if one is not None)
    return LogoutWanted(identifier, NameId(text, named.get("Format")), sessions)


def read_logout_response(came: Came, idp: IdentityProvider, own: Ourselves) -> None:
    """Make sure that an answer to our LogoutRequest is the provider's; what it says changes nothing here.

    Raises:
        SamlRefused: it is not.
    """
    _checked(came, "LogoutResponse", idp, own)


def _checked(came: Came, kind: str, idp: IdentityProvider, own: Ourselves) -> Element:
    root = parse(came.document)
    if root.tag != name(SAMLP, kind) or root.get("Version") != "2.0":
        raise SamlRefused(Reason.MALFORMED)
    if root.get("Destination") not in (None, own.logout):
        raise SamlRefused(Reason.DESTINATION)
    if text_of(only(root, "saml:Issuer")) != idp.entity_id:
        raise SamlRefused(Reason.ISSUER)
    if next(root.iter(name(SAML, "Assertion")), None) is not None:
        raise SamlRefused(Reason.WRAPPED)
    not_wrapped(root, (root,))
    if signed(root):
        return verified(root, idp.certificates)
    query_verified(came, idp.certificates)
    return root
