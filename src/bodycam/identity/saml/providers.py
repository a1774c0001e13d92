"""The SAML providers of the settings in use, each with its metadata, kept for minutes and asked for again."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from cryptography import x509

from bodycam.config.providers import Provider, ProviderType
from bodycam.config.settings import Settings
from bodycam.identity.oidc.failure import ProviderAway
from bodycam.identity.oidc.fetch import fetch, trusted
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.metadata import IdentityProvider, read_metadata
from bodycam.identity.saml.ourselves import Ourselves, ourselves
from bodycam.identity.saml.signatures import usable
from bodycam.identity.saml.xml import MAX_METADATA

log = structlog.get_logger(__name__)

FRESH_SECONDS = 300.0
"""How long metadata counts without being asked for again."""

KEPT_SECONDS = 3600.0
"""How long metadata counts while it can't be had again: so long a key that was taken back may still count."""

RETRY_SECONDS = 2.0
DEADLINE_SECONDS = 4.0

Source = Callable[[Provider], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Known:
    """A provider, what it says of itself, and what the gateway is to it."""

    provider: Provider
    idp: IdentityProvider
    own: Ourselves


class SamlProviders:
    """Gives each provider with its metadata; `wall` and `monotonic` give seconds. For one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        source: Source | None = None,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._wall, self._monotonic = source or ask_for_metadata, wall, monotonic
        self._all: dict[str, _One] = {}
        self._url = ""
        self.adopt(settings)

    def adopt(self, settings: Settings) -> None:
        """Use these settings from here on; what is known of a provider that is the same as before is kept."""
        identity = settings.identity
        kept = self._all if identity.sign_ins.url == self._url else {}
        self._url = identity.sign_ins.url
        self._all = {
            one.name: found
            if (found := kept.get(one.name)) is not None and found.provider == one
            else _One(one, self._source, self._wall, self._monotonic)
            for one in identity.providers
            if one.type is ProviderType.SAML
        }

    def named(self, name: str) -> Provider | None:
        """The provider of that name, if there is one."""
        found = self._all.get(name)
        return None if found is None else found.provider

    def own(self, name: str) -> Ourselves:
        """What the gateway is to the provider of that name.

        Raises:
            SamlRefused: its key can't be used.
        """
        return self._ourselves(self._one(name).provider)

    async def known(self, name: str) -> Known:
        """The provider of that name with its metadata.

        Raises:
            SamlRefused: the metadata can't be had; within DEADLINE_SECONDS.
        """
        one = self._one(name)
        try:
            idp = await one.metadata()
        except ProviderAway as error:
            raise _away(one.provider, error) from error
        return Known(one.provider, idp, await asyncio.to_thread(self._ourselves, one.provider))

    def _one(self, name: str) -> "_One":
        # a reload may have taken it away a moment ago
        found = self._all.get(name)
        if found is None:
            raise SamlRefused(Reason.PROVIDER_AWAY, name)
        return found

    def _ourselves(self, provider: Provider) -> Ourselves:
        try:
            return ourselves(provider, self._url)
        except ProviderAway as error:
            raise _away(provider, error) from error


class _One:
    def __init__(
        self,
        provider: Provider,
        source: Source,
        wall: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.provider, self._source, self._wall, self._monotonic = provider, source, wall, monotonic
        self._found: tuple[float, IdentityProvider] | None = None
        self._failed: tuple[float, str] | None = None
        self._one_at_a_time = asyncio.Lock()

    async def metadata(self) -> IdentityProvider:
        async with self._one_at_a_time:
            if self._found is None or self._monotonic() - self._found[0] >= FRESH_SECONDS:
                await self._renew()
            if self._found is None or self._monotonic() - self._found[0] >= KEPT_SECONDS:
                raise ProviderAway("it can't be had" if self._failed is None else self._failed[1])
            idp = self._found[1]
        if idp.until is not None and self._wall() >= idp.until:
            raise ProviderAway("its metadata has expired (validUntil)")
        return idp

    async def _renew(self) -> None:
        if self._failed is not None and self._monotonic() - self._failed[0] < RETRY_SECONDS:
            return
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                data = await self._source(self.provider)
                idp = await asyncio.to_thread(_read, data, self.provider)
            self._found, self._failed = (self._monotonic(), idp), None
        except TimeoutError:
            self._fail(ProviderAway(f"it did not answer within {DEADLINE_SECONDS:g} seconds"))
        except ProviderAway as error:
            self._fail(error)

    def _fail(self, error: ProviderAway) -> None:
        self._failed = (self._monotonic(), str(error))
        log.warning("a provider's metadata can't be had", provider=self.provider.name, error=str(error))


async def ask_for_metadata(provider: Provider) -> bytes:
    """A provider's metadata as it is now: from the file, or from where the settings say.

    Raises:
        ProviderAway: it can't be had.
    """
    if provider.metadata_url is not None:
        trust = trusted(provider.ca_file)
        accept = "application/samlmetadata+xml, */*"
        return await fetch(provider.metadata_url, most=MAX_METADATA, trust=trust, accept=accept)
    return await asyncio.to_thread(_file, provider)


def _read(data: bytes, provider: Provider) -> IdentityProvider:
    signers: list[x509.Certificate] = []
    if provider.metadata_certificate is not None:
        try:
            signers = x509.load_pem_x509_certificates(provider.metadata_certificate.read_bytes())
        except (OSError, ValueError) as error:
            raise ProviderAway("its metadata_certificate can't be read") from error
        if not signers or not all(map(usable, signers)):
            raise ProviderAway("its metadata_certificate has no key of a kind and length that is taken")
    return read_metadata(data, provider.entity_id, signers)


def _file(provider: Provider) -> bytes:
    assert provider.metadata_file is not None
    try:
        with provider.metadata_file.open("rb") as file:
            return file.read(MAX_METADATA + 1)
    except OSError as error:
        raise ProviderAway(f"its metadata_file can't be read: {error.strerror}") from error


def _away(provider: Provider, error: ProviderAway) -> SamlRefused:
    log.warning("nobody can sign in at a provider", provider=provider.name, error=str(error))
    return SamlRefused(Reason.PROVIDER_AWAY, provider.name)
