"""Responses of a SAML provider: whom a good one proves, and for which reason each forged one is refused."""

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from bodycam.config.providers import Provider
from bodycam.identity.flows import Flows
from bodycam.identity.saml.assertions import Asserted, read_response
from bodycam.identity.saml.bindings import Came
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.logout import read_logout_request
from bodycam.identity.saml.metadata import read_metadata
from bodycam.identity.saml.ourselves import KeyPair, Ourselves
from tests import saml
from tests.saml import NS, Pair

IDP, OTHER, CURVE, OURS = Pair(), Pair(), Pair(ec.generate_private_key(ec.SECP256R1())), Pair()
CONSUMER = "https://gateway.example:7888/sign-in/saml/sso/acs"
OWN = Ourselves("https://gateway.example:7888/sign-in/saml/sso/metadata", CONSUMER, "https://gateway.example:7888/sign-in/saml/sso/logout", KeyPair(OURS.key, OURS.certificate))  # fmt: skip
NOW = time.time()
FLOWS = Flows(bytes(32), wall=lambda: NOW)
REQUEST = FLOWS.begin("sso").request


def provider(**more: Any) -> Provider:
    return Provider(name="sso", type="saml", metadata_file=Path("x"), groups=saml.GROUPS, **more)


def asserted(**changed: Any) -> str:
    given = {"consumer": CONSUMER, "audience": OWN.entity_id, "request": REQUEST} | changed
    return saml.assertion(NOW, **given)


def responded(inside: str, **changed: Any) -> str:
    return saml.response(NOW, inside, **({"destination": CONSUMER, "request": REQUEST} | changed))


def good(**changed: Any) -> str:
    return responded(saml.signed(asserted(**changed), IDP))


def read(document: str | bytes, *pairs: Pair, own: Ourselves = OWN, **more: Any) -> Asserted:
    idp = read_metadata(saml.metadata(*(pairs or (IDP,))), None)
    data = document.encode() if isinstance(document, str) else document
    return read_response(data, provider(**more), idp, own, ours=lambda one: FLOWS.ours("sso", one), now=NOW)


def refused(document: str | bytes, *pairs: Pair, **more: Any) -> Reason:
    with pytest.raises(SamlRefused) as caught:
        read(document, *pairs, **more)
    return caught.value.reason


def test_a_good_response_says_who_and_with_which_groups_and_since_when() -> None:
    found = read(good(groups=("devs", "dba"), lasts=600))
    assert str(found.principal) == "ann@sso"
    assert found.principal.groups == {"devs", "dba"}
    assert (found.identifier, found.request) == ("_assertion", REQUEST)
    assert (found.name.text, found.name.session) == ("ann", "s1")
    assert abs(found.signed_in - (NOW - 5)) <= 1
    assert found.ends is not None
    assert abs(found.ends - (NOW + 600)) <= 1


@pytest.mark.parametrize(
    "document",
    [
        saml.signed(responded(asserted()), IDP),
        saml.signed(responded(saml.signed(asserted(), IDP)), IDP),
        responded(saml.signed(asserted(), CURVE, method=SignatureMethod.ECDSA_SHA256)),
        responded(saml.signed(asserted(), IDP, method=SignatureMethod.SHA256_RSA_MGF1)),
        responded(saml.signed(asserted(), IDP, method=SignatureMethod.RSA_SHA512, digest=DigestAlgorithm.SHA512)),
        responded(saml.encrypted(saml.signed(asserted(), IDP), OURS)),
        saml.signed(responded(saml.encrypted(asserted(), OURS)), IDP),
        saml.signed(responded(saml.encrypted(asserted(), OURS, method="xenc:aes128-cbc")), IDP),
        '<?xml version="1.0" encoding="UTF-8"?>\n' + good(),
    ],
    ids=["response signed", "both signed", "ECDSA", "PSS", "SHA-512", "signed, encrypted", "encrypted, signed",
         "CBC under a signature", "declaration"],
)  # fmt: skip
def test_all_the_ways_in_which_providers_sign(document: str) -> None:
    assert str(read(document, OTHER, IDP, CURVE).principal) == "ann@sso"


def test_a_key_counts_by_the_metadata_and_not_by_its_certificates_end() -> None:
    old = Pair(over=True)
    assert str(read(responded(saml.signed(asserted(), old)), old).principal) == "ann@sso"


def test_an_attribute_names_the_person_and_groups_have_their_prefix() -> None:
    found = read(good(groups=("ann.who",)), subject=saml.GROUPS, group_prefix="sso:")
    assert str(found.principal) == "ann.who@sso"
    assert found.principal.groups == {"sso:ann.who"}
    # then the name may be another one each time
    assert read(good(groups=("x",), name_format=saml.TRANSIENT), subject=saml.GROUPS).principal.subject == "x"


def swapped(document: str, old: str, new: str) -> str:
    assert old in document
    return document.replace(old, new, 1)


def unlike(name: str = "eve", identifier: str = "_evil") -> str:
    """An assertion that nobody signed."""
    return asserted(name=name, identifier=identifier, groups=("admins",))


GOOD, SIGNED = good(), saml.signed(asserted(), IDP)
WHOLE = saml.signed(responded(asserted()), IDP)
DEEP = responded("<saml:Advice>" * 80 + "</saml:Advice>" * 80)
MANY = responded("<saml:Advice/>" * 6000)
DTD = '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
BOMB = '<!DOCTYPE r [<!ENTITY a "' + "ha" * 50 + '">' + "".join(f'<!ENTITY b{n} "{"&a;" * 50}">' for n in range(9)) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (responded(asserted()), Reason.UNSIGNED),
        (responded(saml.signed(asserted(), OTHER)), Reason.SIGNATURE),
        (responded(saml.signed(asserted(), CURVE, method=SignatureMethod.ECDSA_SHA256)), Reason.SIGNATURE),
        (swapped(GOOD, ">ann<", ">eve<"), Reason.SIGNATURE),
        (swapped(GOOD, ">devs<", ">admins<"), Reason.SIGNATURE),
        (re.sub(r"<ds:SignatureValue>.*?</ds:SignatureValue>", "<ds:SignatureValue/>", GOOD), Reason.SIGNATURE),
        (re.sub(r"<ds:DigestValue>.*?</ds:DigestValue>", "<ds:DigestValue/>", GOOD), Reason.SIGNATURE),
        (responded(saml.signed(asserted(), IDP, method=SignatureMethod.RSA_SHA1)), Reason.ALGORITHM),
        (responded(saml.signed(asserted(), IDP, digest=DigestAlgorithm.SHA1)), Reason.ALGORITHM),
        (swapped(GOOD, "xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256"), Reason.ALGORITHM),
        (swapped(GOOD, "http://www.w3.org/2000/09/xmldsig#enveloped-signature",
                 "http://www.w3.org/TR/1999/REC-xslt-19991116"), Reason.ALGORITHM),
        (responded(saml.signed(asserted(), IDP, form="http://www.w3.org/TR/2001/REC-xml-c14n-20010315")),
         Reason.ALGORITHM),
        (swapped(GOOD, ">ann<", "><!-- -->ann<"), Reason.COMMENT),
        (good(name="ann<!-- -->.evil.example"), Reason.COMMENT),
        (good() + "<!-- after -->", Reason.COMMENT),
        (swapped(GOOD, "<saml:Issuer>", "<?pi x?><saml:Issuer>"), Reason.COMMENT),
        (DTD + GOOD, Reason.DTD),
        ("<!DOCTYPE r>" + GOOD, Reason.DTD),
        (BOMB + GOOD, Reason.DTD),
        (swapped(GOOD, ">ann<", ">&xxe;<"), Reason.MALFORMED),
        (GOOD.encode("utf-16"), Reason.MALFORMED),
        ('<?xml version="1.0" encoding="UTF-7"?>' + GOOD, Reason.MALFORMED),
        ("<html/>", Reason.MALFORMED),
        (b"\x00\x01", Reason.MALFORMED),
        (GOOD[:-40], Reason.MALFORMED),
        (GOOD + " " * 300_000, Reason.TOO_LARGE),
        (DEEP, Reason.TOO_LARGE),
        (MANY, Reason.TOO_LARGE),
        (swapped(GOOD, "<samlp:Status>", "<samlp:Status " + " ".join(f'a{n}=""' for n in range(51)) + ">"),
         Reason.TOO_LARGE),
        (responded(SIGNED, status="Responder"), Reason.STATUS),
        (responded(SIGNED, issuer="https://evil.example"), Reason.ISSUER),
        (good(issuer="https://evil.example"), Reason.ISSUER),
        (responded(SIGNED, destination="https://other.example/acs"), Reason.DESTINATION),
        (good(recipient="https://other.example/acs"), Reason.RECIPIENT),
        (good(method="urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"), Reason.RECIPIENT),
        (good(audience="https://other.example"), Reason.AUDIENCE),
        (good(restriction=""), Reason.AUDIENCE),
        (good(restriction="<saml:AudienceRestriction/>"), Reason.AUDIENCE),
        (good(restriction="<saml:Condition/>"), Reason.MALFORMED),
        (responded(SIGNED, request=""), Reason.UNSOLICITED),
        (responded(SIGNED, request="_made-up"), Reason.UNSOLICITED),
        (good(request="_made-up"), Reason.UNSOLICITED),
        (good(request=FLOWS.begin("other").request), Reason.UNSOLICITED),
        (good(ends=-40), Reason.EXPIRED),
        (good(confirmed_until=-40), Reason.EXPIRED),
        (good(lasts=-1), Reason.EXPIRED),
        (good(begins=60), Reason.NOT_YET_VALID),
        (good(since=60), Reason.NOT_YET_VALID),
        (good(statement=""), Reason.ATTRIBUTES),
        (good(name=""), Reason.NO_SUBJECT),
        (good(name="a" * 256), Reason.NO_SUBJECT),
        (good(name="a\u200bb"), Reason.NO_SUBJECT),
        (good(name_format=saml.TRANSIENT), Reason.NO_SUBJECT),
        (good(groups=("x\ty",)), Reason.ATTRIBUTES),
        (good(groups=tuple(f"g{n}" for n in range(1001))), Reason.ATTRIBUTES),
        (good(groups=("<saml:b/>",)), Reason.MALFORMED),
        (responded(saml.encrypted(SIGNED, OTHER)), Reason.ENCRYPTION),
        (responded(saml.encrypted(SIGNED, OURS, alter=lambda one: one[:-1] + b"x")), Reason.ENCRYPTION),
        (responded(saml.encrypted("<saml:Issuer/>", OURS)), Reason.ENCRYPTION),
        (responded(saml.encrypted(asserted(), OURS)), Reason.UNSIGNED),
        (responded(saml.encrypted(DTD + SIGNED, OURS)), Reason.DTD),
        (responded(saml.encrypted(SIGNED + SIGNED, OURS)), Reason.ENCRYPTION),
        (responded(saml.encrypted(SIGNED, OURS, method="xenc:aes256-cbc")), Reason.ALGORITHM),
        (responded(saml.encrypted(SIGNED, OURS, transport="rsa-1_5")), Reason.ALGORITHM),
    ],
)  # fmt: skip
def test_each_bad_response_is_refused_for_its_own_reason(document: str | bytes, reason: Reason) -> None:
    assert refused(document) is reason


def test_without_a_key_of_ours_nothing_is_opened() -> None:
    own = Ourselves(OWN.entity_id, OWN.consumer, OWN.logout, None)
    assert refused(responded(saml.encrypted(SIGNED, OURS)), own=own) is Reason.ENCRYPTION


def test_short_keys_are_none() -> None:
    short = Pair(rsa.generate_private_key(65537, 1024))
    with pytest.raises(Exception, match="no key that can be used"):
        read(responded(saml.signed(asserted(), short)), short)


def element(text: str) -> Any:
    return etree.fromstring(text)


def find(root: Any, path: str) -> Any:
    found = root.find(path, NS)
    assert found is not None
    return found


def text(root: Any) -> str:
    return str(etree.tostring(root).decode())


def _response_inside_signature(*, clone: str) -> str:
    """XSW1 and XSW2: a response that is not signed, with the signed one inside or beside its signature."""
    original, evil = element(WHOLE), element(responded(unlike(), identifier="_evil-response"))
    signature = find(original, "ds:Signature")
    original.remove(signature)
    evil.insert(1, signature)
    if clone == "inside":
        signature.append(original)
    else:
        signature.addprevious(original)
    return text(evil)


def _assertion_beside(*, where: str) -> str:
    """XSW3 and XSW4: an assertion that is not signed, before or around the signed one."""
    root = element(GOOD)
    original, evil = find(root, "saml:Assertion"), element(unlike())
    if where == "before":
        original.addprevious(evil)
    else:
        root.remove(original)
        root.append(evil)
        evil.append(original)
    return text(root)


def _assertion_in_signature(*, how: str) -> str:
    """XSW5 to XSW8: the evil assertion has the signature, and the signed one is somewhere below."""
    root = element(GOOD)
    original = find(root, "saml:Assertion")
    signature = find(original, "ds:Signature")
    evil = element(unlike())
    original.remove(signature)
    match how:
        case "after":
            evil.insert(1, signature)
            root.append(evil)
        case "in signature":
            evil.insert(1, signature)
            signature.append(original)
            root.append(evil)
        case "extensions":
            extensions = etree.Element(f"{{{NS['samlp']}}}Extensions")
            extensions.append(evil)
            original.insert(1, signature)
            root.insert(1, extensions)
        case "object":
            evil.insert(1, signature)
            holder = etree.SubElement(signature, f"{{{NS['ds']}}}Object")
            holder.append(original)
            root.remove(original) if original.getparent() is root else None
            root.append(evil)
    return text(root)


def _same_identifier() -> str:
    root = element(GOOD)
    find(root, "saml:Issuer").set("ID", "_assertion")
    return text(root)


def _identifier_in_another_spelling() -> str:
    root = element(GOOD)
    find(root, "samlp:Status").set("Id", "_assertion")
    return text(root)


def _whole_document() -> str:
    return swapped(GOOD, 'URI="#_assertion"', 'URI=""')


def _signature_of_the_response_on_the_assertion() -> str:
    root = element(WHOLE)
    signature = find(root, "ds:Signature")
    root.remove(signature)
    find(root, "saml:Assertion").insert(1, signature)
    return text(root)


def _two_signatures() -> str:
    root = element(GOOD)
    inside = find(root, "saml:Assertion")
    inside.insert(1, element(text(find(inside, "ds:Signature"))))
    return text(root)


def _signed_and_encrypted_beside() -> str:
    root = element(GOOD)
    root.append(element(saml.encrypted(unlike(), OURS)))
    return text(root)


@pytest.mark.parametrize(
    "make",
    [
        lambda: _response_inside_signature(clone="inside"),
        lambda: _response_inside_signature(clone="beside"),
        lambda: _assertion_beside(where="before"),
        lambda: _assertion_beside(where="around"),
        lambda: _assertion_in_signature(how="after"),
        lambda: _assertion_in_signature(how="in signature"),
        lambda: _assertion_in_signature(how="extensions"),
        lambda: _assertion_in_signature(how="object"),
        _same_identifier,
        _identifier_in_another_spelling,
        _whole_document,
        _signature_of_the_response_on_the_assertion,
        _two_signatures,
        _signed_and_encrypted_beside,
    ],
    ids=["XSW1", "XSW2", "XSW3", "XSW4", "XSW5", "XSW6", "XSW7", "XSW8", "same ID", "same Id", "whole document",
         "moved", "two signatures", "encrypted beside"],
)  # fmt: skip
def test_a_signature_that_is_wrapped_around_something_else_is_refused(make: Callable[[], str]) -> None:
    assert refused(make()) is Reason.WRAPPED


def test_a_wrapped_assertion_that_is_encrypted_is_refused_too() -> None:
    inside = element(SIGNED)
    evil = element(unlike())
    evil.append(inside)
    assert refused(responded(saml.encrypted(text(evil), OURS))) is Reason.WRAPPED


def test_what_is_read_is_what_was_signed() -> None:
    # a response that is signed has the last word on what is in it, whatever signature an assertion has beside
    forged = saml.signed(responded(saml.signed(asserted(name="eve"), OTHER)), IDP)
    assert str(read(forged).principal) == "eve@sso"
    assert refused(saml.signed(responded(saml.signed(asserted(), IDP)), OTHER)) is Reason.SIGNATURE


def test_what_is_wide_is_looked_through_all_the_same() -> None:
    namespaces = " ".join(f'xmlns:n{number}="u:{number}"' for number in range(2400))
    used = "".join(f'<n{number % 2400}:a n{number % 7}:b=""/>' for number in range(4900))
    wide = swapped(WHOLE, "<samlp:Status>", f"<samlp:Status {namespaces}>{used}")
    assert refused(wide) is Reason.SIGNATURE


def test_a_refusal_says_nothing_of_what_came() -> None:
    with pytest.raises(SamlRefused) as caught:
        read(good(issuer="https://evil.example"))
    assert "evil" not in f"{caught.value} {caught.value.hint}"


def _name_encrypted(change: Callable[[str], str] = str, **more: Any) -> str:
    plain = asserted()
    named = text(find(element(plain), "saml:Subject/saml:NameID"))
    inside = saml.encrypted(change(named), more.pop("pair", OURS), element="EncryptedID", **more)
    start = plain.index("<saml:NameID")
    end = plain.index("</saml:NameID>") + len("</saml:NameID>")
    return plain[:start] + inside + plain[end:]


@pytest.mark.parametrize(
    "document",
    [
        responded(saml.signed(_name_encrypted(), IDP)),
        saml.signed(responded(_name_encrypted(method="xenc:aes128-cbc")), IDP),
        responded(saml.encrypted(saml.signed(_name_encrypted(), IDP), OURS)),
    ],
    ids=["GCM", "CBC", "within an encrypted assertion"],
)
def test_an_encrypted_name_is_opened(document: str) -> None:
    found = read(document)
    assert str(found.principal) == "ann@sso"
    assert (found.name.text, found.name.format, found.name.session) == ("ann", saml.PERSISTENT, "s1")


@pytest.mark.parametrize(
    ("inside", "reason"),
    [
        (_name_encrypted(pair=OTHER), Reason.ENCRYPTION),
        (_name_encrypted(alter=lambda one: one[:-1] + bytes([one[-1] ^ 1])), Reason.ENCRYPTION),
        (_name_encrypted(transport="rsa-1_5"), Reason.ALGORITHM),
        (_name_encrypted(lambda one: one + one), Reason.ENCRYPTION),
        (_name_encrypted(lambda one: one.replace("NameID", "Issuer")), Reason.ENCRYPTION),
        (_name_encrypted(lambda one: one.replace("ann", "a<!-- -->nn")), Reason.COMMENT),
        (_name_encrypted(lambda one: one.replace("ann", "a<b>n</b>n")), Reason.MALFORMED),
        (_name_encrypted(lambda one: one.replace("ann", "")), Reason.NO_SUBJECT),
        (_name_encrypted().replace("<saml:SubjectConfirmation ", "<saml:NameID>bob</saml:NameID><saml:SubjectConfirmation "), Reason.NO_SUBJECT),
    ],
    ids=["to another", "altered", "RSA 1.5", "two names", "another element", "comment", "element", "empty", "two"],
)  # fmt: skip
def test_an_encrypted_name_that_is_none_is_refused(inside: str, reason: Reason) -> None:
    assert refused(responded(saml.signed(inside, IDP))) is reason


def test_without_a_key_of_ours_no_name_is_opened() -> None:
    own = Ourselves(OWN.entity_id, OWN.consumer, OWN.logout, None)
    assert refused(responded(saml.signed(_name_encrypted(), IDP)), own=own) is Reason.ENCRYPTION


def test_a_logout_may_name_somebody_whom_only_we_can_read() -> None:
    named = f'<saml:NameID xmlns:saml="{NS["saml"]}">ann</saml:NameID>'
    for pair, name in ((OURS, "ann"), (OTHER, None)):
        wanted = (
            f'<samlp:LogoutRequest xmlns:samlp="{NS["samlp"]}" xmlns:saml="{NS["saml"]}" ID="_out" Version="2.0" '
            f'IssueInstant="{saml.when(NOW)}"><saml:Issuer>{saml.PROVIDER}</saml:Issuer>'
            f"{saml.encrypted(named, pair, element='EncryptedID')}</samlp:LogoutRequest>"
        )
        came = Came(True, saml.signed(wanted, IDP).encode(), None)
        idp = read_metadata(saml.metadata(IDP), None)
        if name is not None:
            assert read_logout_request(came, idp, OWN, NOW).name.text == name
            continue
        with pytest.raises(SamlRefused) as caught:
            read_logout_request(came, idp, OWN, NOW)
        assert caught.value.reason is Reason.ENCRYPTION
