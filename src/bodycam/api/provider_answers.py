"""/sign-in/saml, /sign-in/oidc: where identity providers send browsers back, and what they are told of us."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from bodycam.api import cookies
from bodycam.api.browser import carried, form_of, oidc_address
from bodycam.api.caller import In
from bodycam.api.context import Control
from bodycam.api.errors import not_found
from bodycam.api.page_route import PageRoute
from bodycam.api.pages import said
from bodycam.api.sign_in_desk import named
from bodycam.config.providers import Provider, ProviderType
from bodycam.identity.flows import nonce_of, relay_of
from bodycam.identity.oidc.failure import Reason as TokenReason
from bodycam.identity.oidc.failure import TokenRefused
from bodycam.identity.saml.assertions import read_response
from bodycam.identity.saml.bindings import Came, from_form, from_query, send
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.logout import read_logout_request, read_logout_response
from bodycam.identity.saml.metadata import POST, REDIRECT
from bodycam.identity.saml.ourselves import own_metadata
from bodycam.identity.saml.requests import logout_response

router = APIRouter(route_class=PageRoute, default_response_class=HTMLResponse)

_MAX_RELAY = 80


@router.get("/sign-in/saml/{provider}/metadata")
async def metadata(provider: str, context: In) -> Response:
    """What a SAML provider has to know of the gateway."""
    chosen = _provider(context, provider, ProviderType.SAML)
    own = await asyncio.to_thread(context.sign_ins.saml.own, provider)
    return Response(own_metadata(own, chosen), media_type="application/samlmetadata+xml")


@router.post("/sign-in/saml/{provider}/acs")
async def consume(provider: str, context: In, request: Request) -> Response:
    """Take a SAML response; the browser then comes back with the cookie that no other site may bring."""
    chosen = _provider(context, provider, ProviderType.SAML)
    came = from_form(await form_of(request))
    if came.request or came.relay is None or len(came.relay) > _MAX_RELAY:
        raise SamlRefused(Reason.UNSOLICITED, provider)
    known = await context.sign_ins.saml.known(provider)
    flows = context.sign_ins.flows
    found = await context.sign_ins.checked(
        read_response,
        came.document,
        chosen,
        known.idp,
        known.own,
        ours=lambda one: flows.ours(provider, one),
        now=time.time(),
    )
    await context.sign_ins.took(provider, found.identifier, found.request)
    outcome = context.sign_ins.asserted(found, came.relay)
    return RedirectResponse(f"/sign-in/finish?outcome={outcome}", 303)


@router.get("/sign-in/saml/{provider}/logout")
async def logout_by_redirect(provider: str, context: In, request: Request) -> Response:
    """Take a SAML logout request, or the answer to ours, by the Redirect binding."""
    _provider(context, provider, ProviderType.SAML)
    return await _logout(context, provider, from_query(request.url.query), REDIRECT)


@router.post("/sign-in/saml/{provider}/logout")
async def logout_by_post(provider: str, context: In, request: Request) -> Response:
    """The same by the POST binding."""
    _provider(context, provider, ProviderType.SAML)
    return await _logout(context, provider, from_form(await form_of(request)), POST)


@router.get("/sign-in/oidc/{provider}/callback")
async def callback(
    provider: str,
    context: In,
    request: Request,
    state: Annotated[str, Query(max_length=200)] = "",
    code: Annotated[str, Query(max_length=4096)] = "",
    error: Annotated[str, Query(max_length=200)] = "",
    iss: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """Come back from an OpenID provider with a code."""
    chosen = _provider(context, provider, ProviderType.OIDC)
    ours = context.settings.settings.identity.sign_ins
    flow = context.sign_ins.flows.unsealed(cookies.flow_of(request, ours))
    if flow is None or flow.provider != provider or state != relay_of(flow):
        raise SamlRefused(Reason.BROWSER, provider)
    if error or not code or iss not in ("", chosen.issuer):
        # RFC 9207: the answer of another provider, to be traded at this one
        raise SamlRefused(Reason.REFUSED, provider)
    token = await context.sign_ins.openid.traded(chosen, flow, code, oidc_address(ours, provider))
    proved = await context.providers.verify(token, nonce=nonce_of(flow))
    if proved.provider != provider:
        raise TokenRefused(TokenReason.ISSUER, provider)
    return RedirectResponse(f"/sign-in/finish?outcome={context.sign_ins.authorized(proved, flow)}", 303)


async def _logout(context: Control, provider: str, came: Came, binding: str) -> Response:
    known = await context.sign_ins.saml.known(provider)
    now = time.time()
    if not came.request:
        await context.sign_ins.checked(read_logout_response, came, known.idp, known.own)
        return said("You are signed out", "You are signed out.")
    wanted = await context.sign_ins.checked(read_logout_request, came, known.idp, known.own, now)
    await context.sign_ins.took(provider, wanted.identifier)
    await context.sign_ins.end_named(provider, wanted.name.text, wanted.sessions)
    where = known.idp.answers_at(binding)
    if where is None:
        return said("You are signed out", "You are signed out.")
    message = logout_response(known.own, to=wanted.identifier, destination=where, now=now)
    return carried(provider, send(message, where, binding, came.relay, known.own.pair))


def _provider(context: Control, name: str, kind: ProviderType) -> Provider:
    found = named(context.settings.settings, name)
    if found is None or found.type is not kind:
        raise not_found(f"identity provider of type {kind.value}", name)
    return found
