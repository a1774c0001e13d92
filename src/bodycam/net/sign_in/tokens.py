"""What a provider's token endpoint gives, and what must be true of it before it is kept."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.provider import Answered, Provider


@dataclass(frozen=True, slots=True)
class Tokens:
    """An ID token with its subject and its end in Unix seconds, and what renews it, if it can be renewed."""

    id_token: str = field(repr=False)
    subject: str
    expires: float
    refresh_token: str | None = field(default=None, repr=False)


def read_tokens(answer: Answered, provider: Provider, *, nonce: str | None = None) -> Tokens:
    """The tokens of an answer that gives them.

    It came from the provider itself, over TLS that was verified, which is what a client needs (OpenID Connect
    Core, 3.1.3.7, point 6); the gateway checks the signature.

    Raises:
        SignInFailed: there is no ID token, or it is not meant for this client and this sign-in.
    """
    text, refresh = answer.body.get("id_token"), answer.body.get("refresh_token")
    if not isinstance(text, str) or not isinstance(refresh, str | None):
        raise _unusable(provider, "it gave no ID token")
    claims = _claims(text)
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if claims.get("iss") != provider.issuer or provider.client_id not in audiences:
        raise _unusable(provider, "its ID token is not meant for this sign-in")
    if nonce is not None and claims.get("nonce") != nonce:
        raise _unusable(provider, "its ID token is of another sign-in")
    subject, expires = claims.get("sub"), claims.get("exp")
    if not isinstance(subject, str) or isinstance(expires, bool) or not isinstance(expires, int | float):
        raise _unusable(provider, "its ID token says no subject or no end")
    return Tokens(text, subject, float(expires), refresh)


def _claims(text: str) -> Mapping[str, Any]:
    try:
        part = text.split(".")[1]
        plain = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError, binascii.Error, RecursionError):
        plain = None
    return plain if isinstance(plain, dict) else {}


def _unusable(provider: Provider, why: str) -> SignInFailed:
    return SignInFailed(
        f"the sign-in at {provider.name} can't be used: {why}",
        "docs/identity.md says what a provider has to give",
    )
