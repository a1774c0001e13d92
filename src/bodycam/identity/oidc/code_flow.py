"""Signing in by the gateway itself: authorization code with PKCE at its own address (RFC 6749, RFC 7636)."""

import asyncio

from bodycam.config.providers import Provider
from bodycam.identity.flows import Flow, nonce_of, relay_of
from bodycam.identity.oidc.failure import ProviderAway, ProviderRefuses, Reason, TokenRefused
from bodycam.identity.oidc.fetch import fetch, trusted
from bodycam.net.openid import (
    MAX_METADATA,
    Metadata,
    NotOpenId,
    authorization_page,
    metadata_url,
    plain_object,
    read_metadata,
)

DEADLINE_SECONDS = 4.0
_OFFLINE = "offline_access"


async def page_of(provider: Provider, flow: Flow, back: str, *, max_age: int) -> str:
    """Where the browser goes to sign in.

    Raises:
        TokenRefused: the provider does not answer, or has no such way.
    """
    endpoint = (await _described(provider)).authorization
    if endpoint is None or provider.client_id is None:
        raise TokenRefused(Reason.PROVIDER_AWAY, provider.name)
    return authorization_page(
        endpoint,
        client_id=provider.client_id,
        back=back,
        # the gateway keeps a sign-in of its own and renews nothing at the provider
        scopes=[one for one in provider.scopes if one != _OFFLINE],
        state=relay_of(flow),
        nonce=nonce_of(flow),
        verifier=flow.verifier,
        max_age=max_age,
    )


async def traded(provider: Provider, flow: Flow, code: str, back: str) -> str:
    """The ID token for a code; nothing of it is verified yet.

    Raises:
        TokenRefused: the provider does not answer, or gives none for it.
    """
    endpoint = (await _described(provider)).token
    if endpoint is None or provider.client_id is None:
        raise TokenRefused(Reason.PROVIDER_AWAY, provider.name)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": back,
        "code_verifier": flow.verifier,
        "client_id": provider.client_id,
    }
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            trust = await asyncio.to_thread(trusted, provider.ca_file)
            answer = await fetch(endpoint, most=MAX_METADATA, trust=trust, form=form)
        token = plain_object(answer).get("id_token")
    except ProviderRefuses as error:
        raise TokenRefused(Reason.CODE, provider.name) from error
    except (ProviderAway, NotOpenId, TimeoutError) as error:
        raise TokenRefused(Reason.PROVIDER_AWAY, provider.name) from error
    if not isinstance(token, str):
        raise TokenRefused(Reason.MALFORMED, provider.name)
    return token


async def _described(provider: Provider) -> Metadata:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            trust = await asyncio.to_thread(trusted, provider.ca_file)
            document = await fetch(metadata_url(provider.issuer), most=MAX_METADATA, trust=trust)
        return read_metadata(document, provider.issuer)
    except (ProviderAway, NotOpenId, TimeoutError) as error:
        raise TokenRefused(Reason.PROVIDER_AWAY, provider.name) from error
