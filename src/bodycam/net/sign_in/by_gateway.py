"""Signing in where the gateway itself asks the provider (SAML): by browser, with a code for the command."""

import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from bodycam.net.openid import challenge_of, spoken
from bodycam.net.sign_in.callback import Callback
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.kept import Kept

SECONDS = 300.0

Redeem = Callable[[Mapping[str, str]], Mapping[str, Any]]
"""Posts a code and its verifier to the gateway; the answer is the sign-in with its token."""


def by_gateway(
    provider: str,
    page: str,
    gateway: str,
    redeem: Redeem,
    show: Callable[[str, str], None],
    *,
    seconds: float = SECONDS,
) -> Kept:
    """Send a person's browser to the gateway's `page`, and trade the code that it brings back.

    `show` gets the page, and the code by which the person knows their own command there.

    Raises:
        SignInFailed: nobody came back in time, or what came can't be used.
    """
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    challenge = challenge_of(verifier)
    with Callback(state) as callback:
        query = {
            "provider": provider,
            "fresh": "true",
            "port": str(callback.port),
            "state": state,
            "challenge": challenge,
        }
        show(f"{page}?{urlencode(query)}", spoken(challenge))
        given = callback.wait(seconds)
    if given is None or "code" not in given:
        raise SignInFailed("nobody came back from the browser in time", "run `bodycam login` again")
    answer = redeem({"code": given["code"], "verifier": verifier})
    token, principal, expires = answer.get("token"), answer.get("principal"), answer.get("expires")
    if not (isinstance(token, str) and isinstance(principal, str) and isinstance(expires, int | float)):
        raise SignInFailed("what the gateway answers is no sign-in", "run `bodycam login` again")
    return Kept(
        gateway=gateway,
        provider=provider,
        issuer="",
        client_id="",
        ca_pem=None,
        token_endpoint="",
        revocation_endpoint=None,
        subject=principal,
        since=time.time(),
        expires=float(expires),
        id_token=token,
        refresh_token=None,
    )
