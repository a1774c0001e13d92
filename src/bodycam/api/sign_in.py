"""/v1/providers, /v1/whoami: by whom people sign in, and who the caller is."""

import asyncio
from pathlib import Path

from fastapi import APIRouter
from pydantic import BaseModel

from bodycam.api.caller import In, Who
from bodycam.api.errors import ApiError
from bodycam.api.fresh import callers_fresh_until
from bodycam.config.providers import Provider, ProviderType
from bodycam.identity.api_keys import ProvedKey
from bodycam.identity.oidc.providers import people
from bodycam.identity.sign_ins import ProvedSignIn
from bodycam.model.identity import PrincipalKind
from bodycam.policy.access import Role

router = APIRouter()


class ProviderOut(BaseModel):
    """A provider by which people sign in; `ca_pem` vouches for it, the system's CAs if it is null.

    One of type saml is asked by the gateway itself, and has no issuer and no client: people begin at `page`.
    """

    name: str
    type: ProviderType
    issuer: str
    client_id: str
    page: str | None
    scopes: list[str]
    ca_pem: str | None


class ProvidersOut(BaseModel):
    """The providers in the order of the settings; the first is the one that is taken without a name."""

    providers: list[ProviderOut]


class WhoamiOut(BaseModel):
    """The caller, with the id of their API key or what their token or sign-in says.

    `role` is the strongest of their `roles`; `signed_in` is when they did; `sign_in` is the id of a sign-in
    that the gateway keeps. `scopes` are those of a key that has some. `fresh` says whether what needs a fresh
    sign-in is open to them now.
    """

    principal: str
    kind: PrincipalKind
    groups: list[str]
    role: Role | None
    roles: list[Role]
    key: str | None
    scopes: list[str] | None
    provider: str | None
    expires: float | None
    signed_in: float | None
    fresh: bool
    sign_in: str | None


@router.get("/v1/providers")
async def providers(context: In) -> ProvidersOut:
    """The identity providers by which people sign in."""
    url = context.settings.settings.identity.sign_ins.url
    listed = [await _shown(one, url) for one in people(context.settings.settings)]
    return ProvidersOut(providers=listed)


@router.get("/v1/whoami")
async def whoami(context: In, who: Who) -> WhoamiOut:
    """Who the caller is to policy and record."""
    proof = None if isinstance(who.proof, ProvedKey) else who.proof
    return WhoamiOut(
        principal=str(who.principal),
        kind=who.principal.kind,
        groups=sorted(who.principal.groups),
        role=who.role,
        roles=[role for role in Role if role in who.roles],
        key=who.proof.key if isinstance(who.proof, ProvedKey) else None,
        scopes=None if who.scopes is None else who.scopes.listed(),
        provider=None if proof is None else proof.provider,
        expires=None if proof is None else proof.expires,
        signed_in=None if proof is None else proof.signed_in,
        fresh=callers_fresh_until(context, who) is not None,
        sign_in=proof.id if isinstance(proof, ProvedSignIn) else None,
    )


async def _shown(provider: Provider, url: str) -> ProviderOut:
    return ProviderOut(
        name=provider.name,
        type=provider.type,
        issuer=provider.issuer,
        client_id=provider.client_id or "",
        page=f"{url}/sign-in/start" if url else None,
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
