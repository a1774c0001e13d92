"""Checks one response of a SAML provider (SAML V2.0 Profiles, section 4.1.4) and says whom it proves."""

from collections.abc import Callable
from dataclasses import dataclass

from bodycam.config.providers import Provider
from bodycam.identity.oidc.claims import MAX_GROUPS, MAX_TEXT
from bodycam.identity.oidc.tokens import LEEWAY_SECONDS
from bodycam.identity.saml.encryption import opened
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.metadata import IdentityProvider, moment
from bodycam.identity.saml.names import named_by
from bodycam.identity.saml.ourselves import Ourselves
from bodycam.identity.saml.requests import SUCCESS, NameId
from bodycam.identity.saml.signatures import not_wrapped, signed, verified
from bodycam.identity.saml.xml import (
    SAML,
    SAMLP,
    Element,
    alone,
    children,
    name,
    only,
    parse,
    text_of,
)
from bodycam.model.identity import Principal, PrincipalKind

_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
_TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
_CONDITIONS = tuple(name(SAML, one) for one in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction"))
_ABOUT = ("Format", "NameQualifier", "SPNameQualifier")
_MAX_URI = 1024
_LATEST = 253402300799.0


@dataclass(frozen=True, slots=True)
class Asserted:
    """Whom a response proved; times are Unix seconds.

    `identifier` is the assertion's and `request` that of our request, each good once. `name` is how the
    provider calls the person, for a logout. `ends` is when the provider wants the sign-in to end, or None.
    """

    principal: Principal
    identifier: str
    request: str
    name: NameId
    signed_in: float
    ends: float | None


def read_response(
    document: bytes,
    provider: Provider,
    idp: IdentityProvider,
    own: Ourselves,
    *,
    ours: Callable[[str], bool],
    now: float,
) -> Asserted:
    """Whom a response proves at `now`; `ours` says whether an identifier is of a request that waits.

    Only what a key of the provider signed is read for it, from the bytes that were signed.

    Raises:
        SamlRefused: nobody, with the reason.
    """
    root = parse(document)
    _check_envelope(root, idp, own, ours)
    assertion = _trusted_assertion(root, idp, own)
    if text_of(only(assertion, "saml:Issuer")) != idp.entity_id:
        raise SamlRefused(Reason.ISSUER)
    conditions = only(assertion, "saml:Conditions")
    if conditions is None or assertion.get("Version") != "2.0" or not assertion.get("ID"):
        raise SamlRefused(Reason.MALFORMED)
    _within(conditions, now)
    _check_conditions(conditions, own)
    subject = only(assertion, "saml:Subject")
    if subject is None:
        raise SamlRefused(Reason.NO_SUBJECT)
    request = _confirmed(subject, own, ours, now)
    since, ends, session = _signed_in(assertion, now)
    named = _name_id(subject, session, own)
    return Asserted(
        _principal(assertion, named, provider), str(assertion.get("ID")), request, named, since, ends
    )


def _check_envelope(
    root: Element, idp: IdentityProvider, own: Ourselves, ours: Callable[[str], bool]
) -> None:
    if root.tag != name(SAMLP, "Response") or root.get("Version") != "2.0":
        raise SamlRefused(Reason.MALFORMED)
    if root.get("Destination") not in (None, own.consumer):
        raise SamlRefused(Reason.DESTINATION)
    if text_of(only(root, "saml:Issuer")) not in (None, idp.entity_id):
        raise SamlRefused(Reason.ISSUER)
    if not ours(root.get("InResponseTo") or ""):
        raise SamlRefused(Reason.UNSOLICITED)
    status = only(root, "samlp:Status/samlp:StatusCode")
    if status is None or status.get("Value") != SUCCESS:
        raise SamlRefused(Reason.STATUS)


def _trusted_assertion(root: Element, idp: IdentityProvider, own: Ourselves) -> Element:
    """The one assertion, out of what was verified: the whole response, or the assertion itself."""
    inside = list(root.iter(name(SAML, "Assertion"), name(SAML, "EncryptedAssertion")))
    if not inside:
        raise SamlRefused(Reason.MALFORMED)
    if len(inside) != 1 or inside[0].getparent() is not root:
        raise SamlRefused(Reason.WRAPPED)
    not_wrapped(root, (root, inside[0]))
    guarded = signed(root)
    if guarded:
        root = verified(root, idp.certificates)
    found = only(root, "saml:Assertion")
    if found is None:
        found = opened(
            root.find(name(SAML, "EncryptedAssertion")),
            None if own.pair is None else own.pair.key,
            guarded=guarded,
        )
        if len(list(found.iter(name(SAML, "Assertion"), name(SAML, "EncryptedAssertion")))) != 1:
            raise SamlRefused(Reason.WRAPPED)
        not_wrapped(found, (found,))
    found = alone(found)
    return found if guarded else verified(found, idp.certificates)


def _within(element: Element, now: float) -> None:
    begin, end = element.get("NotBefore"), element.get("NotOnOrAfter")
    if begin is not None and _moment(begin) > now + LEEWAY_SECONDS:
        raise SamlRefused(Reason.NOT_YET_VALID)
    if end is not None and now >= _moment(end) + LEEWAY_SECONDS:
        raise SamlRefused(Reason.EXPIRED)


def _check_conditions(conditions: Element, own: Ourselves) -> None:
    if any(one.tag not in _CONDITIONS for one in conditions):
        # Core, section 2.5.1.1: what is not understood makes the assertion one that can't be relied on
        raise SamlRefused(Reason.MALFORMED)
    restrictions = children(conditions, "saml:AudienceRestriction")
    for one in restrictions:
        meant = [text_of(audience) for audience in children(one, "saml:Audience")]
        if own.entity_id not in meant:
            raise SamlRefused(Reason.AUDIENCE)
    if not restrictions:
        raise SamlRefused(Reason.AUDIENCE)


def _confirmed(subject: Element, own: Ourselves, ours: Callable[[str], bool], now: float) -> str:
    """The request that the person's browser confirmed the assertion for; any one confirmation is enough."""
    refused = SamlRefused(Reason.RECIPIENT)
    for one in children(subject, "saml:SubjectConfirmation"):
        data = only(one, "saml:SubjectConfirmationData")
        if one.get("Method") != _BEARER or data is None:
            continue
        try:
            if data.get("Recipient") != own.consumer:
                raise SamlRefused(Reason.RECIPIENT)
            if data.get("NotOnOrAfter") is None or data.get("NotBefore") is not None:
                raise SamlRefused(Reason.MALFORMED)
            _within(data, now)
            request = data.get("InResponseTo") or ""
            if not ours(request):
                raise SamlRefused(Reason.UNSOLICITED)
        except SamlRefused as error:
            refused = error
            continue
        return request
    raise refused


def _signed_in(assertion: Element, now: float) -> tuple[float, float | None, str | None]:
    """When the person signed in at the provider, when that is to end, and the provider's session."""
    statements = children(assertion, "saml:AuthnStatement")
    if not statements:
        raise SamlRefused(Reason.ATTRIBUTES)
    instants = [_moment(one.get("AuthnInstant")) for one in statements]
    if max(instants) > now + LEEWAY_SECONDS:
        raise SamlRefused(Reason.NOT_YET_VALID)
    ends = [_moment(end) for one in statements if (end := one.get("SessionNotOnOrAfter")) is not None]
    if ends and now >= min(ends):
        raise SamlRefused(Reason.EXPIRED)
    session = statements[0].get("SessionIndex")
    if session is not None and not _sound(session):
        raise SamlRefused(Reason.ATTRIBUTES)
    # the oldest of several, which promises least
    return min(instants), min(ends, default=None), session


def _name_id(subject: Element, session: str | None, ours: Ourselves) -> NameId:
    named = named_by(subject, ours)
    text = text_of(named)
    if named is None or text is None or not _sound(text):
        raise SamlRefused(Reason.NO_SUBJECT)
    about = form, qualifier, own = [named.get(one) for one in _ABOUT]
    if not all(one is None or (len(one) <= _MAX_URI and one.isprintable()) for one in about):
        raise SamlRefused(Reason.NO_SUBJECT)
    return NameId(text, form, qualifier, own, session)


def _principal(assertion: Element, named: NameId, provider: Provider) -> Principal:
    if provider.subject is not None:
        said = _values(assertion, provider.subject)
        if len(said) != 1 or not _sound(said[0]):
            raise SamlRefused(Reason.NO_SUBJECT)
        subject = str(said[0])
    elif named.format == _TRANSIENT:
        # another one each time: it names nobody that rights could be given to
        raise SamlRefused(Reason.NO_SUBJECT)
    else:
        subject = named.text
    groups = [] if provider.groups is None else _values(assertion, provider.groups)
    if len(groups) > MAX_GROUPS or not all(_sound(one) for one in groups):
        raise SamlRefused(Reason.ATTRIBUTES)
    prefixed = frozenset(f"{provider.group_prefix}{one}" for one in groups)
    return Principal(provider.name, subject, PrincipalKind.HUMAN, prefixed)


def _values(assertion: Element, attribute: str) -> list[str | None]:
    return [
        text_of(value)
        for one in children(assertion, "saml:AttributeStatement/saml:Attribute")
        if one.get("Name") == attribute
        for value in children(one, "saml:AttributeValue")
    ]


def _sound(text: str | None) -> bool:
    return text is not None and 0 < len(text) <= MAX_TEXT and text.isprintable()


def _moment(text: str | None) -> float:
    found = moment(text)
    if found is None or not 0 <= found < _LATEST:
        raise SamlRefused(Reason.MALFORMED)
    return found
