"""The identity providers of the settings in use: whose token it is, and whom it proves."""

import hashlib
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bodycam.config.providers import Provider, ProviderKind, ProviderType
from bodycam.config.settings import Settings
from bodycam.identity.oidc.claims import principal_of
from bodycam.identity.oidc.failure import ProviderAway, Reason, TokenRefused
from bodycam.identity.oidc.fetch import fetch, trusted
from bodycam.identity.oidc.keys import MAX_JWKS, Keys, PublicKey, read_keys
from bodycam.identity.oidc.tokens import Unproved, expiry, look, moment, verify
from bodycam.model.identity import Principal
from bodycam.net.openid import MAX_METADATA, NotOpenId, metadata_url, read_metadata


@dataclass(frozen=True, slots=True)
class ProvedToken:
    """Who a token proved, and until when (`expires`); times are Unix seconds.

    `signed_in` is when a person proved themselves to the provider, if it says so. `agent` is the only
    one whose runs a workload may start. `digest` is the same for the same token, and for no other one of
    that provider.
    """

    principal: Principal
    provider: str
    expires: float
    signed_in: float | None
    agent: str | None
    digest: bytes


Source = Callable[[Provider], Awaitable[tuple[PublicKey, ...]]]


class Providers:
    """Verifies tokens; `wall` gives Unix seconds, `source` asks a provider for its keys."""

    def __init__(
        self, settings: Settings, *, wall: Callable[[], float] = time.time, source: Source | None = None
    ) -> None:
        self._wall, self._source = wall, source or ask_for_keys
        self._all: tuple[tuple[Provider, Keys], ...] = ()
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Use these settings from here on; what is known of a provider that is the same as before is kept."""
        self._all = tuple(
            (one, self._known(one) or self._keys(one))
            for one in settings.identity.providers
            if one.type is ProviderType.OIDC
        )

    async def verify(self, text: str, *, nonce: str | None = None) -> ProvedToken:
        """Whom a token proves now; with `nonce` it must be an ID token of the sign-in that it was made for.

        Raises:
            TokenRefused: nobody, with the reason; within a bounded time, whatever the provider does.
        """
        token = look(text)
        provider, keys = self._whose(token)
        try:
            key = await keys.find(token.kid, token.algorithm)
        except ProviderAway as error:
            raise TokenRefused(Reason.PROVIDER_AWAY, provider.name) from error
        if key is None:
            raise TokenRefused(Reason.UNKNOWN_KEY, provider.name)
        claims = verify(token, key, provider, self._wall())
        if nonce is not None and claims.get("nonce") != nonce:
            raise TokenRefused(Reason.NONCE, provider.name)
        principal, workload = principal_of(claims, provider)
        return ProvedToken(
            principal,
            provider.name,
            expiry(claims),
            moment(claims, "auth_time"),
            None if workload is None else workload.agent,
            _digest(provider.name, text),
        )

    def _whose(self, token: Unproved) -> tuple[Provider, Keys]:
        own = [(one, keys) for one, keys in self._all if one.issuer == token.issuer]
        if not own:
            raise TokenRefused(Reason.ISSUER)
        for provider, keys in own:
            if not token.audiences.isdisjoint(provider.audiences):
                return provider, keys
        raise TokenRefused(Reason.AUDIENCE, own[0][0].name)

    def _known(self, provider: Provider) -> Keys | None:
        return next((keys for one, keys in self._all if one == provider), None)

    def _keys(self, provider: Provider) -> Keys:
        async def ask() -> tuple[PublicKey, ...]:
            return await self._source(provider)

        return Keys(provider.name, ask)


async def ask_for_keys(provider: Provider) -> tuple[PublicKey, ...]:
    """A provider's keys as it has them now: from where the settings say, else where its discovery says.

    Raises:
        ProviderAway: it does not answer, or not with keys.
    """
    trust = trusted(provider.ca_file)
    return read_keys(await fetch(await _jwks_uri(provider, trust), most=MAX_JWKS, trust=trust))


async def _jwks_uri(provider: Provider, trust: ssl.SSLContext) -> str:
    if provider.jwks_uri is not None:
        return provider.jwks_uri
    document = await fetch(metadata_url(provider.issuer), most=MAX_METADATA, trust=trust)
    try:
        found = read_metadata(document, provider.issuer).jwks_uri
    except NotOpenId as error:
        raise ProviderAway(str(error)) from error
    if found is None:
        raise ProviderAway("its discovery document names no keys (jwks_uri)")
    return found


def people(settings: Settings) -> list[Provider]:
    """The providers by which people sign in, of every type."""
    return [one for one in settings.identity.providers if one.kind is ProviderKind.PEOPLE]


def _digest(provider: str, text: str) -> bytes:
    # of what was signed: the signature itself can be written in more ways than one
    signed = text.rpartition(".")[0]
    return hashlib.sha256(f"bodycam token {provider} {signed}".encode()).digest()
