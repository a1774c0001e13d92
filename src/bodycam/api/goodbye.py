"""What tells a provider that somebody signed out here.

SAML V2.0 Profiles, section 4.4.3.1; OpenID Connect RP-Initiated Logout 1.0.
"""

import time

from bodycam.api.context import Control
from bodycam.api.sign_in_desk import name_of, named
from bodycam.catalog.sign_ins import SignIn
from bodycam.config.providers import ProviderType
from bodycam.identity.saml.bindings import Sent, send
from bodycam.identity.saml.failure import SamlRefused
from bodycam.identity.saml.metadata import POST, REDIRECT
from bodycam.identity.saml.requests import fresh_id, logout_request


async def goodbye(context: Control, kept: SignIn) -> Sent | None:
    """What a browser is to carry there; None if the provider has no address for it, or is away."""
    provider = named(context.settings.settings, kept.provider)
    if provider is None:
        return None
    match provider.type:
        case ProviderType.SAML:
            return await _by_saml(context, kept)
        case ProviderType.OIDC:
            page = await context.sign_ins.openid.leaving(provider)
            return None if page is None else Sent(page, None)


async def _by_saml(context: Control, kept: SignIn) -> Sent | None:
    who = name_of(kept)
    if who is None:
        return None
    try:
        known = await context.sign_ins.saml.known(kept.provider)
    except SamlRefused:
        # here it is over all the same
        return None
    if not known.idp.logout:
        return None
    binding = REDIRECT if REDIRECT in known.idp.logout else POST
    where = known.idp.logout[binding]
    message = logout_request(known.own, who, identifier=fresh_id(), destination=where, now=time.time())
    return send(message, where, binding, None, known.own.pair)
