"""/v1/providers, /v1/whoami: by whom people sign in, and who the caller is."""

import asyncio
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel

from bodycam.api.caller import In, Who
from bodycam.api.errors import ApiError
from bodycam.config.providers import Provider
from bodycam.identity.oidc.providers import ProvedToken, people
from bodycam.model.identity import PrincipalKind
from bodycam.policy.access import Role

router = APIRouter()


class ProviderOut(BaseModel):
    """A provider by which people sign in; `ca_pem` vouches for it, the system's CAs if it is null."""

    name: str
    issuer: str
    client_id: str
    scopes: list[str]
    ca_pem: str | None


class ProvidersOut(BaseModel):
    """The providers in the order of the settings; the first is the one that is taken without a name."""

    providers: list[ProviderOut]


class WhoamiOut(BaseModel):
    """The caller, with the id of their API key or what their token says; `signed_in` is when they did.

    `role` is the strongest of their `roles`.
    """

    principal: str
    kind: PrincipalKind
    groups: list[str]
    role: Role | None
    roles: list[Role]
    key: str | None
    provider: str | None
    expires: float | None
    signed_in: float | None


@router.get("/v1/providers")
async def providers(context: In) -> ProvidersOut:
    """The identity providers by which people sign in."""
    listed = [await _shown(one) for one in people(context.settings.settings)]
    return ProvidersOut(providers=listed)


@router.get("/v1/whoami")
async def whoami(who: Who) -> WhoamiOut:
    """Who the caller is to policy and record."""
    token = who.proof if isinstance(who.proof, ProvedToken) else None
    return WhoamiOut(
        principal=str(who.principal),
        kind=who.principal.kind,
        groups=sorted(who.principal.groups),
        role=who.role,
        roles=[role for role in Role if role in who.roles],
        key=None if isinstance(who.proof, ProvedToken) else who.proof.key,
        provider=None if token is None else token.provider,
        expires=None if token is None else token.expires,
        signed_in=None if token is None else token.signed_in,
    )


async def _shown(provider: Provider) -> ProviderOut:
    assert provider.client_id is not None
    return ProviderOut(
        name=provider.name,
        issuer=provider.issuer,
        client_id=provider.client_id,
        scopes=list(provider.scopes),
        ca_pem=None if provider.ca_file is None else await _text(provider.ca_file, provider.name),
    )


async def _text(file: Path, provider: str) -> str:
    try:
        return await asyncio.to_thread(file.read_text, encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ApiError(
            503,
            "provider-away",
            f"the ca_file of the identity provider {provider} can't be read",
            "The settings name it, under identity.providers.",
        ) from error
