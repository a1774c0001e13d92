"""Checks one signed token (RFC 7519, RFC 8725; ID tokens: OpenID Connect Core, 3.1.3.7)."""

import base64
import binascii
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError

from bodycam.config.providers import Provider, ProviderKind
from bodycam.identity.oidc.failure import Reason, TokenRefused
from bodycam.identity.oidc.keys import ALGORITHMS, PublicKey

PREFIX = "eyJ"
"""How every such token begins: `{"` in base64url."""

MAX_TOKEN = 16 * 1024
LEEWAY_SECONDS = 30.0
_MAX_NUMBER = 1e11
# an access token, an ID token, a JWT-SVID (section 2.3); what has another type (a logout token, a proof) is
# for something else
_TYPES = ("jwt", "at+jwt", "application/jwt", "application/at+jwt", "jose")


_SPIFFE = "spiffe://"


class _Registry(jws.JWSRegistry):
    """The allowed algorithms, without its warning that one of them has a newer name."""

    max_header_length = MAX_TOKEN
    max_payload_length = MAX_TOKEN
    max_signature_length = 2048

    def get_alg(self, name: str) -> Any:
        if name not in ALGORITHMS:
            raise JoseError(f"{name} is not allowed")
        return self.algorithms[name]


_REGISTRY = _Registry(algorithms=list(ALGORITHMS), strict_check_header=False)


@dataclass(frozen=True, slots=True)
class Unproved:
    """A token as it came: what it says of itself, none of which is proved.

    `issuer` of a JWT-SVID without one is the trust domain of its subject, as `spiffe://corp.example`.
    """

    text: str
    algorithm: str
    kid: str | None
    issuer: str
    audiences: frozenset[str]


def look(text: str) -> Unproved:
    """Take a token apart.

    Raises:
        TokenRefused: it is no signed token of a kind and an algorithm that is taken.
    """
    parts = text.split(".")
    if len(text) > MAX_TOKEN or not text.isascii() or len(parts) != 3:
        raise TokenRefused(Reason.MALFORMED)
    header, claims = _object(parts[0]), _object(parts[1])
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise TokenRefused(Reason.ALGORITHM)
    if not isinstance(kid, str | None) or "crit" in header or "b64" in header:
        raise TokenRefused(Reason.MALFORMED)
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise TokenRefused(Reason.TYPE)
    issuer = claims["iss"] if "iss" in claims else _trust_domain(claims.get("sub"))
    if not isinstance(issuer, str):
        raise TokenRefused(Reason.ISSUER)
    return Unproved(text, algorithm, kid, issuer, _audiences(claims.get("aud")))


def verify(token: Unproved, key: PublicKey, provider: Provider, now: float) -> Mapping[str, Any]:
    """The claims of a token that `key` signed for us and that is valid at `now`, in Unix seconds.

    Raises:
        TokenRefused: any of it is not so.
    """
    try:
        signed = jws.deserialize_compact(
            token.text, key.key, algorithms=[token.algorithm], registry=_REGISTRY
        )
    except (JoseError, ValueError, TypeError) as error:
        raise TokenRefused(Reason.SIGNATURE, provider.name) from error
    claims: Mapping[str, Any] = json.loads(signed.payload)
    _check_times(claims, provider.name, now)
    _check_meant(claims, provider)
    if "cnf" in claims:
        # it is good only together with a key, and we would take it without
        raise TokenRefused(Reason.TYPE, provider.name)
    return claims


def expiry(claims: Mapping[str, Any]) -> float:
    """When verified claims end, in Unix seconds."""
    return float(claims["exp"])


def moment(claims: Mapping[str, Any], name: str) -> float | None:
    """A time among the claims, in Unix seconds; None if it is not there, or none."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value < _MAX_NUMBER else None


def _check_times(claims: Mapping[str, Any], provider: str, now: float) -> None:
    end = moment(claims, "exp")
    if end is None:
        raise TokenRefused(Reason.CLAIMS, provider)
    if now >= end:
        # no leeway: what is over is over, and a run that hangs on it ends there too
        raise TokenRefused(Reason.EXPIRED, provider)
    for name in ("nbf", "iat"):
        if name not in claims:
            continue
        begin = moment(claims, name)
        if begin is None:
            raise TokenRefused(Reason.CLAIMS, provider)
        if begin > now + LEEWAY_SECONDS:
            raise TokenRefused(Reason.NOT_YET_VALID, provider)


def _check_meant(claims: Mapping[str, Any], provider: Provider) -> None:
    audiences = _audiences(claims.get("aud"))
    if audiences.isdisjoint(provider.audiences):
        raise TokenRefused(Reason.AUDIENCE, provider.name)
    party = claims.get("azp")
    if party is None:
        # several are meant, and it is not said who of them asked for it
        if len(audiences) > 1 and provider.kind is ProviderKind.PEOPLE:
            raise TokenRefused(Reason.AUTHORIZED_PARTY, provider.name)
    elif provider.client_id is not None and party != provider.client_id:
        raise TokenRefused(Reason.AUTHORIZED_PARTY, provider.name)


def _trust_domain(subject: Any) -> str | None:
    """The trust domain of a SPIFFE ID, by which its keys are found (JWT-SVID, sections 3.1 and 4)."""
    if not isinstance(subject, str) or not subject.startswith(_SPIFFE):
        return None
    domain, slash, path = subject.removeprefix(_SPIFFE).partition("/")
    return f"{_SPIFFE}{domain}" if slash and path else None


def _audiences(value: Any) -> frozenset[str]:
    listed = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return frozenset(one for one in listed if isinstance(one, str))


def _object(part: str) -> dict[str, Any]:
    try:
        plain = json.loads(base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError) as error:
        raise TokenRefused(Reason.MALFORMED) from error
    if not isinstance(plain, dict):
        raise TokenRefused(Reason.MALFORMED)
    return plain
