"""What an OpenID provider says of itself (OpenID Connect Discovery 1.0), for gateway and command line."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from bodycam.config.providers import provider_url

MAX_METADATA = 256 * 1024


class NotOpenId(Exception):
    """What came is no discovery document of that provider; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """A provider's addresses; None is what it does not have."""

    issuer: str
    jwks_uri: str | None
    authorization: str | None
    token: str | None
    device_authorization: str | None
    revocation: str | None
    end_session: str | None = None


def metadata_url(issuer: str) -> str:
    """Where the discovery document of an issuer is (section 4)."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


def read_metadata(data: bytes, issuer: str) -> Metadata:
    """The document's content, if it is that issuer's own (section 4.3).

    Raises:
        NotOpenId: it is not JSON, of another issuer, or names an address that would be asked in clear.
    """
    plain = plain_object(data)
    if plain.get("issuer") != issuer:
        raise NotOpenId("its discovery document names another issuer")
    return Metadata(
        issuer,
        _address(plain, "jwks_uri"),
        _address(plain, "authorization_endpoint"),
        _address(plain, "token_endpoint"),
        _address(plain, "device_authorization_endpoint"),
        _address(plain, "revocation_endpoint"),
        _address(plain, "end_session_endpoint"),
    )


def authorization_page(
    endpoint: str,
    *,
    client_id: str,
    back: str,
    scopes: Iterable[str],
    state: str,
    nonce: str,
    verifier: str,
    max_age: int,
    anew: bool,
) -> str:
    """Where a browser is sent to sign in, and from there `back` (RFC 6749, 4.1.1; RFC 7636, 4.3).

    Who signed in longer than `max_age` seconds ago is asked to do it again; with `anew` everybody is asked
    something, whatever session they have there.
    """
    wanted = tuple(scopes)
    query = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": back,
        "scope": " ".join(wanted),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge_of(verifier),
        "code_challenge_method": "S256",
        "max_age": str(max_age),
    }
    # one value only: there are providers that take no two
    if "offline_access" in wanted:
        query["prompt"] = "consent"  # OpenID Connect Core, section 11: else it is ignored
    elif anew:
        query["prompt"] = "login"
    return _with(endpoint, query)


def leaving_page(endpoint: str, *, client_id: str) -> str:
    """Where a browser ends the person's session at the provider (OpenID Connect RP-Initiated Logout 1.0, 2).

    There is no `id_token_hint` in it, though it would spare the person a question there: an ID token is what
    people call the gateway with, and an address is kept and logged wherever it goes.
    """
    return _with(endpoint, {"client_id": client_id})


def challenge_of(verifier: str) -> str:
    """What a verifier hashes to (RFC 7636, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def spoken(challenge: str) -> str:
    """Eight characters that stand for a challenge, for people to compare on two screens."""
    short = base64.b32encode(hashlib.sha256(challenge.encode()).digest())[:8].decode()
    return f"{short[:4]}-{short[4:]}"


def plain_object(data: bytes) -> dict[str, Any]:
    """A JSON object.

    Raises:
        NotOpenId: it is none.
    """
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, dict):
        raise NotOpenId("what it answers is no JSON object")
    return plain


def _with(endpoint: str, query: Mapping[str, str]) -> str:
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


def _address(plain: Mapping[str, Any], name: str) -> str | None:
    value = plain.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not provider_url(value):
        raise NotOpenId(f"its {name} is no https address")
    return value
