"""The NameID by which a provider calls somebody, in clear or encrypted to us (SAML Core, section 2.2)."""

from bodycam.identity.saml.encryption import opened
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.ourselves import Ourselves
from bodycam.identity.saml.xml import Element, children, only


def named_by(element: Element, own: Ourselves) -> Element | None:
    """The one NameID of a subject, or of a logout; None without any. A verified signature covers `element`.

    Raises:
        SamlRefused: there are several, or it can't be opened.
    """
    encrypted = children(element, "saml:EncryptedID")
    if not encrypted:
        return only(element, "saml:NameID")
    if len(encrypted) > 1 or children(element, "saml:NameID"):
        raise SamlRefused(Reason.NO_SUBJECT)
    key = None if own.pair is None else own.pair.key
    return opened(encrypted[0], key, guarded=True, kind="NameID")
