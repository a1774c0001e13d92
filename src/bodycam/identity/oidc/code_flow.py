"""Signing in by the gateway itself: authorization code with PKCE at its own address (RFC 6749, RFC 7636)."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

import structlog

from bodycam.config.providers import Provider
from bodycam.identity.flows import Flow, nonce_of, relay_of
from bodycam.identity.oidc.failure import ProviderAway, ProviderRefuses, Reason, TokenRefused
from bodycam.identity.oidc.fetch import fetch, trusted
from bodycam.net.openid import (
    MAX_METADATA,
    Metadata,
    NotOpenId,
    authorization_page,
    leaving_page,
    metadata_url,
    plain_object,
    read_metadata,
)

log = structlog.get_logger(__name__)

DEADLINE_SECONDS = 4.0
KEPT_SECONDS = 300.0
RETRY_SECONDS = 2.0
"""How long nobody is asked again after a failure: whoever begins a sign-in has a provider asked."""

_OFFLINE = "offline_access"


class CodeFlow:
    """Sends browsers to OpenID providers, and trades what they bring back. For one event loop."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._found: dict[str, tuple[Provider, float, Metadata | None]] = {}
        self._one_at_a_time: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def page_of(self, provider: Provider, flow: Flow, back: str, *, max_age: int, anew: bool) -> str:
        """Where the browser goes to sign in; `max_age` and `anew` are those of `authorization_page`.

        Raises:
            TokenRefused: the provider does not answer, or has no such way.
        """
        endpoint = (await self._described(provider)).authorization
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
            anew=anew,
        )

    async def traded(self, provider: Provider, flow: Flow, code: str, back: str) -> str:
        """The ID token for a code; nothing of it is verified yet.

        Raises:
            TokenRefused: the provider does not answer, or gives none for it.
        """
        endpoint = (await self._described(provider)).token
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
            token = plain_object(await _asked(provider, endpoint, form)).get("id_token")
        except ProviderRefuses as error:
            log.info("an identity provider refuses a code", provider=provider.name, error=str(error))
            raise TokenRefused(Reason.CODE, provider.name) from error
        except (ProviderAway, NotOpenId) as error:
            log.warning("an identity provider gives no token", provider=provider.name, error=str(error))
            raise TokenRefused(Reason.PROVIDER_AWAY, provider.name) from error
        if not isinstance(token, str):
            raise TokenRefused(Reason.MALFORMED, provider.name)
        return token

    async def leaving(self, provider: Provider) -> str | None:
        """Where a browser ends the person's session there; None if there is no such page, or no answer."""
        try:
            endpoint = (await self._described(provider)).end_session
        except TokenRefused:
            return None
        if endpoint is None or provider.client_id is None:
            return None
        return leaving_page(endpoint, client_id=provider.client_id)

    async def _described(self, provider: Provider) -> Metadata:
        async with self._one_at_a_time[provider.name]:
            kept = self._found.get(provider.name)
            if kept is None or kept[0] != provider or self._monotonic() - kept[1] >= _lasts(kept[2]):
                self._found[provider.name] = provider, self._monotonic(), await _described(provider)
            found = self._found[provider.name][2]
        if found is None:
            raise TokenRefused(Reason.PROVIDER_AWAY, provider.name)
        return found


async def _described(provider: Provider) -> Metadata | None:
    try:
        return read_metadata(await _asked(provider, metadata_url(provider.issuer), None), provider.issuer)
    except (ProviderAway, NotOpenId) as error:
        log.warning("an identity provider can't be asked", provider=provider.name, error=str(error))
        return None


async def _asked(provider: Provider, url: str, form: Mapping[str, str] | None) -> bytes:
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            trust = await asyncio.to_thread(trusted, provider.ca_file)
            return await fetch(url, most=MAX_METADATA, trust=trust, form=form)
    except TimeoutError as error:
        raise ProviderAway(f"it did not answer within {DEADLINE_SECONDS:g} seconds") from error


def _lasts(found: Metadata | None) -> float:
    return RETRY_SECONDS if found is None else KEPT_SECONDS
