"""Tokens of an identity provider: good ones are taken, and each forged one is refused for its own reason."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk, jws
from joserfc.errors import SecurityWarning

from bodycam.config import parse
from bodycam.config.providers import Provider
from bodycam.identity.oidc.failure import ProviderAway, Reason, TokenRefused
from bodycam.identity.oidc.keys import PublicKey, read_keys
from bodycam.identity.oidc.providers import ProvedToken, Providers
from bodycam.model.identity import Principal, PrincipalKind
from tests.issuer import CLIENT, ISSUER, Issuer, encoded

SETTINGS = f"""
identity:
  providers:
    - {{name: corp, type: oidc, issuer: '{ISSUER}', client_id: {CLIENT}, groups: groups}}
    - name: ci
      type: oidc
      kind: workloads
      issuer: https://ci.example
      audience: [bodycam, bodycam-two]
      workloads:
        - {{when: {{repository: "acme/*", ref: [refs/heads/main, "refs/tags/*"]}}, agent: deployer, groups: [ci]}}
        - {{when: {{kubernetes.io.namespace: batch}}, agent: batcher}}
    - name: mesh
      type: oidc
      kind: workloads
      issuer: spiffe://corp.example
      jwks_uri: https://bundle.example
      audience: [bodycam]
      workloads: [{{when: {{sub: "spiffe://corp.example/ns/batch/*"}}, agent: batcher}}]
agents: {{deployer: {{}}, batcher: {{}}}}
"""
ISSUED = Issuer()
CI = Issuer("https://ci.example", ISSUED.keys)
STRANGER = Issuer()
with pytest.warns(SecurityWarning):
    SHORT_RSA = Issuer(keys={"rsa": jwk.RSAKey.generate_key(1024)})


async def asked(provider: Provider) -> tuple[PublicKey, ...]:
    return read_keys(ISSUED.jwks())


def providers(**more: Any) -> Providers:
    tree = parse(SETTINGS, file="bodycam.yaml", folder=Path("/srv"))
    return Providers(tree, **({"source": asked} | more))


async def refused(token: str, **more: Any) -> tuple[Reason, str]:
    with pytest.raises(TokenRefused) as caught:
        await providers(**more).verify(token)
    assert token not in str(caught.value)
    return caught.value.reason, caught.value.provider


@pytest.mark.parametrize(
    ("alg", "by"),
    [
        ("RS256", "rsa"), ("RS384", "rsa"), ("RS512", "rsa"), ("PS256", "rsa"), ("PS384", "rsa"), ("PS512", "rsa"),
        ("ES256", "p256"), ("ES384", "p384"), ("ES512", "p521"), ("EdDSA", "ed"), ("Ed25519", "ed"),
    ],
)  # fmt: skip
async def test_a_good_token_of_each_algorithm_proves_the_person_with_their_groups(alg: str, by: str) -> None:
    now = int(time.time())
    proved = await providers().verify(ISSUED.token(alg=alg, by=by, exp=now + 100, auth_time=now - 7))
    assert proved == ProvedToken(
        Principal("corp", "ann", PrincipalKind.HUMAN, frozenset({"devs"})), "corp", now + 100, now - 7, None,
        proved.digest,
    )  # fmt: skip


def with_public_key_as_secret() -> str:
    """HS256, its secret being the provider's public key in PEM, which a careless verifier takes for its key."""
    pem = ISSUED.keys["rsa"].as_pem(private=False)
    key = jwk.OctKey.import_key(base64.urlsafe_b64encode(pem).decode())
    claims = json.dumps(ISSUED.claims()).encode()
    return jws.serialize_compact({"alg": "HS256", "kid": "rsa"}, claims, key, algorithms=["HS256"])


def altered(**claims: Any) -> str:
    head, _, signature = ISSUED.token().split(".")
    return f"{head}.{encoded(ISSUED.claims(**claims))}.{signature}"


NOW = time.time()
FORGED: dict[str, tuple[str, Reason]] = {
    "nothing": ("eyJ", Reason.MALFORMED),
    "two parts": ("eyJ.eyJ", Reason.MALFORMED),
    "no JSON": (f"{encoded({})[:-1]}.eyJ.x", Reason.MALFORMED),
    "a list": ("W10.W10.x", Reason.MALFORMED),
    "encrypted": ("eyJhbGciOiJSU0EtT0FFUCJ9.x.x.x.x", Reason.MALFORMED),
    "too long": (ISSUED.token(more="x" * 20_000), Reason.MALFORMED),
    "deep": (f"{encoded({'alg': 'RS256'})}.{base64.urlsafe_b64encode(b'[' * 9000).decode()}.x", Reason.MALFORMED),
    "alg none": (f"{encoded({'alg': 'none'})}.{encoded(ISSUED.claims())}.", Reason.ALGORITHM),
    "alg None": (f"{encoded({'alg': 'nOnE'})}.{encoded(ISSUED.claims())}.", Reason.ALGORITHM),
    "no alg": (f"{encoded({'kid': 'rsa'})}.{encoded(ISSUED.claims())}.", Reason.ALGORITHM),
    "alg list": (f"{encoded({'alg': ['RS256']})}.{encoded(ISSUED.claims())}.", Reason.ALGORITHM),
    "HS256 with the public key": (with_public_key_as_secret(), Reason.ALGORITHM),
    "crit": (
        f"{encoded({'alg': 'RS256', 'kid': 'rsa', 'crit': ['x'], 'x': 1})}.{encoded(ISSUED.claims())}.x",
        Reason.MALFORMED,
    ),
    "a logout token": (ISSUED.token(header={"typ": "logout+jwt"}), Reason.TYPE),
    "a proof of possession": (ISSUED.token(header={"typ": "dpop+jwt"}), Reason.TYPE),
    "bound to a key": (ISSUED.token(cnf={"jkt": "x"}), Reason.TYPE),
    "another issuer": (ISSUED.token(iss="https://login.evil.example"), Reason.ISSUER),
    "a longer issuer": (ISSUED.token(iss=f"{ISSUER}/"), Reason.ISSUER),
    "no issuer": (ISSUED.token(iss=None), Reason.ISSUER),
    "another audience": (ISSUED.token(aud="another-client"), Reason.AUDIENCE),
    "no audience": (ISSUED.token(aud=None), Reason.AUDIENCE),
    "audience in part": (ISSUED.token(aud=[f"{CLIENT}x", {CLIENT: 1}]), Reason.AUDIENCE),
    "another authorized party": (ISSUED.token(azp="another-client"), Reason.AUTHORIZED_PARTY),
    "several audiences, no party": (ISSUED.token(aud=[CLIENT, "other"]), Reason.AUTHORIZED_PARTY),
    "unknown kid": (ISSUED.token(header={"kid": "p999"}), Reason.UNKNOWN_KEY),
    "kid of another type": (ISSUED.token(header={"kid": "p256"}), Reason.UNKNOWN_KEY),
    "kid no text": (
        f"{encoded({'alg': 'RS256', 'kid': 7})}.{encoded(ISSUED.claims())}.x",
        Reason.MALFORMED,
    ),
    "signed by a stranger": (STRANGER.token(), Reason.SIGNATURE),
    "another signature": (ISSUED.token()[:-8] + "AAAAAAAA", Reason.SIGNATURE),
    "no signature": (ISSUED.token().rpartition(".")[0] + ".", Reason.SIGNATURE),
    "altered claims": (altered(sub="root", groups=["admins"]), Reason.SIGNATURE),
    "signature of another algorithm": (
        f"{encoded({'alg': 'PS256', 'kid': 'rsa'})}.{ISSUED.token().split('.', 1)[1]}", Reason.SIGNATURE,
    ),
    "expired": (ISSUED.token(exp=NOW - 1), Reason.EXPIRED),
    "never expires": (ISSUED.token(exp=None), Reason.CLAIMS),
    "expires in a word": (ISSUED.token(exp="2099"), Reason.CLAIMS),
    "expires never": (ISSUED.token(exp=1e300), Reason.CLAIMS),
    "expires true": (ISSUED.token(exp=True), Reason.CLAIMS),
    "not yet valid": (ISSUED.token(nbf=NOW + 18_000), Reason.NOT_YET_VALID),
    "issued in the future": (ISSUED.token(iat=NOW + 18_000), Reason.NOT_YET_VALID),
    "valid from a word": (ISSUED.token(nbf="now"), Reason.CLAIMS),
    "no subject": (ISSUED.token(sub=None), Reason.NO_SUBJECT),
    "empty subject": (ISSUED.token(sub=""), Reason.NO_SUBJECT),
    "subject a number": (ISSUED.token(sub=7), Reason.NO_SUBJECT),
    "subject of two lines": (ISSUED.token(sub="ann\nroot"), Reason.NO_SUBJECT),
    "subject with a zero": (ISSUED.token(sub="ann\0"), Reason.NO_SUBJECT),
    "groups no texts": (ISSUED.token(groups=[{"name": "admins"}]), Reason.CLAIMS),
    "groups a map": (ISSUED.token(groups={"admins": True}), Reason.CLAIMS),
    "too many groups": (ISSUED.token(groups=[f"g{number}" for number in range(1001)]), Reason.CLAIMS),
}  # fmt: skip


@pytest.mark.parametrize("case", FORGED)
async def test_a_forged_token_is_refused_for_its_own_reason(case: str) -> None:
    token, reason = FORGED[case]
    assert (await refused(token))[0] is reason


async def test_a_person_is_told_little_and_never_the_token() -> None:
    for token, reason in FORGED.values():
        said = TokenRefused(reason, "corp")
        assert len(str(said)) < 120
        assert token not in f"{said}{said.hint}"


async def test_a_key_of_the_set_that_is_too_short_or_secret_is_no_key() -> None:
    async def weak(_provider: Provider) -> tuple[PublicKey, ...]:
        secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}
        leaked = {**ISSUED.keys["p256"].as_dict(private=True), "kid": "p256"}
        for_encryption = {**ISSUED.keys["ed"].as_dict(private=False), "kid": "ed", "use": "enc"}
        plain = [
            *SHORT_RSA.published(),
            secret,
            leaked,
            for_encryption,
            {"kty": "EC", "crv": "P-384"},
            "x",
            None,
        ]
        return read_keys(json.dumps({"keys": plain}).encode())

    assert (await refused(SHORT_RSA.token(), source=weak))[0] is Reason.UNKNOWN_KEY
    assert (await refused(ISSUED.token(alg="ES256", by="p256"), source=weak))[0] is Reason.UNKNOWN_KEY
    assert (await refused(ISSUED.token(alg="EdDSA", by="ed"), source=weak))[0] is Reason.UNKNOWN_KEY


async def test_a_key_that_is_confined_to_an_algorithm_signs_with_no_other() -> None:
    async def confined(_provider: Provider) -> tuple[PublicKey, ...]:
        (rsa,) = [one for one in ISSUED.published() if one["kid"] == "rsa"]
        return read_keys(json.dumps({"keys": [{**rsa, "alg": "PS256"}]}).encode())

    assert (await refused(ISSUED.token(alg="RS256"), source=confined))[0] is Reason.UNKNOWN_KEY
    assert (await providers(source=confined).verify(ISSUED.token(alg="PS256"))).principal.subject == "ann"


async def test_a_token_without_kid_is_taken_where_only_one_key_can_have_signed_it() -> None:
    token = ISSUED.token(header={"kid": None})
    assert (await providers().verify(token)).provider == "corp"

    async def two(_provider: Provider) -> tuple[PublicKey, ...]:
        return read_keys(json.dumps({"keys": ISSUED.published() + STRANGER.published()}).encode())

    assert (await refused(token, source=two))[0] is Reason.UNKNOWN_KEY


async def test_a_provider_that_is_away_refuses_with_its_name() -> None:
    async def away(_provider: Provider) -> tuple[PublicKey, ...]:
        raise ProviderAway("it is on fire")

    assert await refused(ISSUED.token(), source=away) == (Reason.PROVIDER_AWAY, "corp")


async def test_a_workload_is_known_by_its_claims_and_has_its_agent_and_groups() -> None:
    token = CI.token(aud=["bodycam", "x"], sub="repo:acme/shop", repository="acme/shop", ref="refs/tags/v1")
    proved = await providers().verify(token)
    assert proved.principal == Principal("ci", "repo:acme/shop", PrincipalKind.SERVICE, frozenset({"ci"}))
    assert (proved.agent, proved.provider) == ("deployer", "ci")
    nested = CI.token(aud="bodycam", **{"kubernetes.io": {"namespace": "batch"}})
    assert (await providers().verify(nested)).agent == "batcher"


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"repository": "acme/shop"},
        {"repository": "acme/shop", "ref": "refs/heads/main2"},
        {"repository": "evil/acme/shop", "ref": "refs/heads/main"},
        {"repository": "acme", "ref": "refs/heads/main"},
        {"repository": {"acme/": 1}, "ref": "refs/heads/main"},
        {"kubernetes.io": {"namespace": "batch2"}},
        {"kubernetes": {"io": "batch"}},
    ],
)
async def test_a_workload_that_no_entry_takes_is_refused(claims: dict[str, Any]) -> None:
    assert await refused(CI.token(aud="bodycam", **claims)) == (Reason.NO_WORKLOAD, "ci")


def svid(**changed: Any) -> str:
    """A JWT-SVID: it names no issuer, and its type may be JOSE."""
    whole = {"iss": None, "aud": ["bodycam"], "sub": "spiffe://corp.example/ns/batch/sa/nightly"} | changed
    return ISSUED.token(alg="ES256", by="p256", header={"typ": "JOSE"}, auth_time=None, groups=None, **whole)


async def bundle(_provider: Provider) -> tuple[PublicKey, ...]:
    """The keys of a trust domain, of which those for certificates are none for tokens."""
    uses = {"p256": "jwt-svid", "rsa": "x509-svid"}
    keys = [{**one, "use": uses[one["kid"]]} for one in ISSUED.published() if one["kid"] in uses]
    return read_keys(json.dumps({"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 60}).encode())


async def test_a_workload_of_a_trust_domain_is_known_by_its_spiffe_id() -> None:
    proved = await providers(source=bundle).verify(svid())
    name = "spiffe://corp.example/ns/batch/sa/nightly"
    assert proved.principal == Principal("mesh", name, PrincipalKind.SERVICE, frozenset())
    assert (proved.agent, proved.provider, proved.signed_in) == ("batcher", "mesh", None)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"sub": "spiffe://evil.example/ns/batch/sa/x"}, Reason.ISSUER),
        ({"sub": "spiffe://corp.example.evil.example/ns/batch/x"}, Reason.ISSUER),
        ({"sub": "spiffe://corp.example@evil.example/ns/batch/x"}, Reason.ISSUER),
        ({"sub": "spiffe://corp.example"}, Reason.ISSUER),
        ({"sub": "spiffe://corp.example/"}, Reason.ISSUER),
        ({"sub": "ann"}, Reason.ISSUER),
        ({"sub": None}, Reason.ISSUER),
        ({"iss": "https://evil.example"}, Reason.ISSUER),
        ({"iss": 7}, Reason.ISSUER),
        ({"sub": "spiffe://corp.example/ns/other/sa/x"}, Reason.NO_WORKLOAD),
        ({"aud": "else"}, Reason.AUDIENCE),
        ({"aud": CLIENT}, Reason.AUDIENCE),
        ({"exp": 1}, Reason.EXPIRED),
    ],
)
async def test_what_is_no_token_of_the_trust_domain_is_refused(
    changed: dict[str, Any], reason: Reason
) -> None:
    assert (await refused(svid(**changed), source=bundle))[0] is reason


async def test_a_key_for_certificates_signs_no_token_of_a_trust_domain() -> None:
    forged = ISSUED.token(iss=None, aud="bodycam", sub="spiffe://corp.example/ns/batch/sa/x")
    assert (await refused(forged, source=bundle))[0] is Reason.UNKNOWN_KEY


async def test_a_persons_token_is_not_taken_for_a_workloads_nor_the_other_way() -> None:
    assert (await refused(CI.token(aud=CLIENT, repository="acme/x", ref="refs/heads/main")))[
        0
    ] is Reason.AUDIENCE
    assert (await refused(ISSUED.token(aud="bodycam")))[0] is Reason.AUDIENCE


async def test_the_digest_tells_tokens_apart() -> None:
    known = [
        await providers().verify(ISSUED.token(iat=1, exp=NOW + 18_000, jti=jti)) for jti in ("a", "b", "a")
    ]
    assert known[0].digest == known[2].digest != known[1].digest
