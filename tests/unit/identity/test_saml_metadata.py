"""What a SAML provider says of itself, what the gateway says of itself, and when either is no use."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree
from signxml.algorithms import DigestAlgorithm, SignatureMethod

from bodycam.config import parse
from bodycam.config.providers import Provider
from bodycam.identity.flows import SECONDS, CommandLine, Flows, relay_of
from bodycam.identity.oidc.failure import ProviderAway
from bodycam.identity.saml.bindings import from_form, from_query, query_verified, send
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.metadata import POST, REDIRECT, moment, read_metadata
from bodycam.identity.saml.ourselves import KeyPair, ourselves, own_metadata
from bodycam.identity.saml.providers import RETRY_SECONDS, SamlProviders
from bodycam.identity.saml.requests import authn_request
from bodycam.identity.saml.xml import MD
from tests import saml
from tests.saml import PROVIDER, Pair

FIRST, SECOND = Pair(), Pair(ec.generate_private_key(ec.SECP384R1()))
GOOD = saml.metadata(FIRST, SECOND).decode()
URL = "https://gateway.example"


def provider(**more: Any) -> Provider:
    return Provider(name="sso", type="saml", metadata_file=Path("x"), **more)


def test_keys_and_addresses_are_read() -> None:
    found = read_metadata(GOOD.encode(), None)
    assert (found.entity_id, len(found.certificates)) == (PROVIDER, 2)
    assert found.sign_on == {REDIRECT: "https://idp.corp.example/sso", POST: "https://idp.corp.example/sso"}
    assert found.answers_at(POST) == "https://idp.corp.example/slo"
    assert found.until is None
    assert (
        read_metadata(saml.metadata(FIRST, until=' validUntil="2030-01-01T00:00:00Z"'), None).until
        == 1893456000
    )


def test_of_several_providers_the_named_one_counts() -> None:
    inside = GOOD + saml.metadata(FIRST, entity_id="https://second.example").decode()
    several = (
        f'<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">{inside}</EntitiesDescriptor>'
    )
    assert read_metadata(several.encode(), "https://second.example").entity_id == "https://second.example"
    for wanted in (None, "https://third.example"):
        with pytest.raises(ProviderAway, match="not one"):
            read_metadata(several.encode(), wanted)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("<html/>", "0 identity providers"),
        ("{}", "saml-malformed"),
        ("<!DOCTYPE x>" + GOOD, "saml-dtd"),
        (GOOD + " " * 3_000_000, "saml-too-large"),
        (saml.metadata().decode(), "no key that can be used"),
        (GOOD.replace("<ds:X509Certificate>", "<ds:X509Certificate>!"), "certificate that can't be read"),
        (GOOD.replace("https://idp", "http://idp"), "not https"),
        (GOOD.replace("https://idp", "javascript:idp"), "not https"),
        (GOOD.replace("https://idp", "https://idp; script-src *"), "not https"),
        (GOOD.replace('entityID="', 'validUntil="never" entityID="'), "validUntil"),
        (GOOD.replace("SingleSignOnService", "NoService"), "no address to go to"),
    ],
)
def test_what_can_not_be_used_is_said(document: str, message: str) -> None:
    with pytest.raises(ProviderAway, match=message):
        read_metadata(document.encode(), None)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-31T12:00:00Z", 1769860800.0),
        ("2026-01-31T12:00:00.123Z", 1769860800.123),
        ("2026-01-31T12:00:00", 1769860800.0),
        ("2026-01-31T13:00:00+01:00", 1769860800.0),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_times(text: str | None, at: float | None) -> None:
    assert moment(text) == at


def files(folder: Path, pair: Pair, other: Pair | None = None) -> dict[str, Path]:
    key, certificate = folder / "saml.key", folder / "saml.pem"
    key.write_bytes(pair.pem)
    certificate.write_bytes((other or pair).certificate.public_bytes(Encoding.PEM))
    return {"key": key, "certificate": certificate}


def test_our_own_metadata_names_addresses_and_key(tmp_path: Path) -> None:
    plain = provider(own_entity_id="urn:bodycam", name_id_format=saml.PERSISTENT, **files(tmp_path, FIRST))
    root = etree.fromstring(own_metadata(ourselves(plain, URL), plain))
    assert root.get("entityID") == "urn:bodycam"
    text = etree.tostring(root).decode()
    for part in (f"{URL}/sign-in/saml/sso/acs", f"{URL}/sign-in/saml/sso/logout", saml.PERSISTENT, 'use="encryption"',
                 'AuthnRequestsSigned="true"', 'WantAssertionsSigned="true"', FIRST.plain, "aes256-gcm"):  # fmt: skip
        assert part in text
    bare = etree.tostring(etree.fromstring(own_metadata(ourselves(provider(), URL), provider()))).decode()
    assert 'AuthnRequestsSigned="false"' in bare
    assert "KeyDescriptor" not in bare


def test_a_key_that_can_not_be_used_is_said_so(tmp_path: Path) -> None:
    for pair, other, message in (
        (SECOND, None, "no RSA key"),
        (FIRST, SECOND, "not one of its key"),
    ):
        with pytest.raises(ProviderAway, match=message):
            ourselves(provider(**files(tmp_path, pair, other)), URL)
    gone = files(tmp_path, FIRST)
    gone["key"].unlink()
    with pytest.raises(ProviderAway, match="can't be read"):
        ourselves(provider(**gone), URL)


@pytest.mark.parametrize("binding", [REDIRECT, POST])
def test_what_is_sent_is_signed_and_comes_in_as_it_was(binding: str, tmp_path: Path) -> None:
    own = ourselves(provider(**files(tmp_path, FIRST)), URL)
    message = authn_request(
        own, identifier="_1", destination="https://idp/sso?a=b", force=True, name_format=None, now=0
    )
    sent = send(message, "https://idp/sso?a=b", binding, "re lay&=", own.pair)
    if binding == POST:
        assert sent.fields is not None
        came = from_form(sent.fields)
        assert b"SignatureValue" in came.document
    else:
        assert sent.address.startswith("https://idp/sso?a=b&SAMLRequest=")
        query = sent.address.partition("?a=b&")[2]
        came = from_query(query)
        query_verified(came, [SECOND.certificate, FIRST.certificate])
        for changed, reason in (
            (query.replace("RelayState=re", "RelayState=ro"), Reason.SIGNATURE),
            (query.replace("rsa-sha256", "rsa-sha1"), Reason.ALGORITHM),
            (query.replace("rsa-sha256", "ecdsa-sha256"), Reason.SIGNATURE),
            (query.partition("&Signature")[0], Reason.UNSIGNED),
        ):
            with pytest.raises(SamlRefused) as caught:
                query_verified(from_query(changed), [FIRST.certificate, SECOND.certificate])
            assert caught.value.reason is reason
    assert (came.request, came.relay) == (True, "re lay&=")
    assert b'ForceAuthn="true"' in came.document


def test_an_elliptic_curve_may_sign_a_query() -> None:
    keys = KeyPair(FIRST.key, FIRST.certificate)
    own = ourselves(provider(), URL)
    message = authn_request(
        own, identifier="_1", destination="x", force=False, name_format=saml.PERSISTENT, now=0
    )
    came = from_query(send(message, "https://idp", REDIRECT, None, keys).address.partition("?")[2])
    with pytest.raises(SamlRefused):
        query_verified(came, [SECOND.certificate])


def test_a_flow_is_read_by_the_gateway_that_sealed_it_and_for_a_while() -> None:
    now = 1_000_000.0
    flows = Flows(bytes(32), wall=lambda: now)
    flow = flows.begin("sso", CommandLine(4711, "state", "challenge"))
    sealed = flows.sealed(flow)
    assert flows.unsealed(sealed) == flow
    assert flow.verifier not in sealed
    assert len(relay_of(flow)) <= 80
    assert flows.ours("sso", flow.request)
    assert not flows.ours("other", flow.request)
    other = Flows(b"\x01" * 32, wall=lambda: now)
    assert (other.unsealed(sealed), other.ours("sso", flow.request)) == (None, False)
    for wrong in ("", "x", sealed[:-2], f"{sealed}A", "é", "A" * 5000, sealed[:20]):
        assert flows.unsealed(wrong) is None
        assert not flows.ours("sso", wrong)
    now += SECONDS
    assert (flows.unsealed(sealed), flows.ours("sso", flow.request)) == (None, False)


def _signed(pair: Pair = FIRST, **more: Any) -> bytes:
    return saml.signed(
        GOOD.replace("<EntityDescriptor ", '<EntityDescriptor ID="_m" '), pair, **more
    ).encode()


def test_metadata_that_has_to_be_signed_is_read_when_one_of_the_signers_did() -> None:
    third = Pair()
    signers = [third.certificate, FIRST.certificate]
    assert read_metadata(_signed(), None, signers).entity_id == PROVIDER
    for document, certificates, reason in (
        (GOOD.encode(), signers, "saml-unsigned"),
        (_signed(), [third.certificate], "saml-signature"),
        (_signed().replace(b"idp.corp.example/sso", b"idp.evil.example/sso"), signers, "saml-signature"),
        (_signed(method=SignatureMethod.RSA_SHA1, digest=DigestAlgorithm.SHA1), signers, "saml-algorithm"),
    ):
        with pytest.raises(ProviderAway, match=reason):
            read_metadata(document, None, certificates)


def test_a_signature_of_one_part_says_nothing_of_the_whole() -> None:
    evil = saml.metadata(SECOND, entity_id="https://evil.example").decode()
    both = f'<EntitiesDescriptor xmlns="{MD}" ID="_all">{_signed().decode()}{evil}</EntitiesDescriptor>'
    with pytest.raises(ProviderAway, match="saml-unsigned"):
        read_metadata(both.encode(), "https://evil.example", [FIRST.certificate])
    wrapped = both.replace(
        "</EntityDescriptor><EntityDescriptor", "<Extensions/></EntityDescriptor><EntityDescriptor"
    )
    with pytest.raises(ProviderAway, match="saml-"):
        read_metadata(wrapped.encode(), PROVIDER, [FIRST.certificate])
    # parts of a federation's document may be signed by others; the federation's own signature counts
    whole = f'<EntitiesDescriptor xmlns="{MD}" ID="_all"><Extensions/>{_signed(SECOND, method=SignatureMethod.ECDSA_SHA256).decode()}</EntitiesDescriptor>'
    found = read_metadata(saml.signed(whole, FIRST).encode(), PROVIDER, [FIRST.certificate])
    assert found.entity_id == PROVIDER


async def test_the_signers_are_read_from_the_file_of_the_settings(tmp_path: Path) -> None:
    file = tmp_path / "signers.pem"
    given = provider(metadata_certificate=file)

    async def source(_provider: Provider) -> bytes:
        return _signed()

    settings = parse("{}", file="t", folder=tmp_path)
    identity = settings.identity.model_copy(update={"providers": (given,)})
    providers = SamlProviders(
        settings.model_copy(update={"identity": identity}),
        source=source,
        monotonic=count(0.0, RETRY_SECONDS).__next__,
    )
    other, own = (one.certificate.public_bytes(Encoding.PEM) for one in (Pair(), FIRST))
    for content, fits in ((b"nothing", False), (other, False), (other + own, True)):
        file.write_bytes(content)
        if fits:
            assert (await providers.known("sso")).idp.entity_id == PROVIDER
        else:
            with pytest.raises(SamlRefused) as caught:
                await providers.known("sso")
            assert caught.value.reason is Reason.PROVIDER_AWAY
