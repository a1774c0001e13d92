"""/sign-in, /sign-out: the pages by which people sign in and out in the browser."""

import time
from typing import Annotated
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from bodycam.api import cookies
from bodycam.api.caller import In
from bodycam.api.context import Control
from bodycam.api.errors import ApiError, not_found
from bodycam.api.fresh import fresh_until
from bodycam.api.goodbye import goodbye
from bodycam.api.page_route import PageRoute
from bodycam.api.pages import asset, origin_of, page, said
from bodycam.api.sign_in_desk import named
from bodycam.catalog.sign_ins import SignIn, Use
from bodycam.config.providers import Provider, ProviderType
from bodycam.config.sign_ins import SignIns
from bodycam.identity.flows import SECONDS, CommandLine, Flow, relay_of
from bodycam.identity.oidc.providers import people
from bodycam.identity.saml.bindings import Sent, send
from bodycam.identity.saml.failure import Reason, SamlRefused
from bodycam.identity.saml.metadata import POST, REDIRECT
from bodycam.identity.saml.requests import authn_request
from bodycam.net.openid import spoken

router = APIRouter(route_class=PageRoute, default_response_class=HTMLResponse)

MAX_FORM = 512 * 1024
_FRESH_SECONDS = 60
_CHALLENGE = r"^[A-Za-z0-9_-]{43}$"


@router.get("/sign-in")
async def sign_in_page(context: In, request: Request) -> Response:
    """Who you are in this browser, or by whom you can sign in."""
    settings = context.settings.settings
    ours = settings.identity.sign_ins
    proved = await context.sign_ins.proved(cookies.session_of(request, ours))
    if proved is None:
        return page("sign_in", providers=[one.name for one in people(settings)] if ours.url else [])
    fresh = fresh_until(proved.signed_in, settings.identity.fresh_sign_in, time.time())
    return page(
        "signed_in",
        principal=str(proved.principal),
        groups=sorted(proved.principal.groups),
        roles=sorted(context.settings.access.roles(proved.principal)),
        provider=proved.provider,
        signed_in=_when(proved.signed_in),
        until=_when(proved.expires),
        fresh=None if fresh is None else _when(fresh),
    )


@router.get("/sign-in/start")
async def begin(
    context: In,
    provider: Annotated[str, Query(max_length=63)],
    fresh: bool = False,
    port: Annotated[int | None, Query(ge=1024, le=65535)] = None,
    state: Annotated[str, Query(max_length=200)] = "",
    challenge: Annotated[str, Query(pattern=_CHALLENGE)] = "",
) -> Response:
    """Go to a provider's page; with `port`, `state` and `challenge` for a command of this machine."""
    settings = context.settings.settings
    chosen = named(settings, provider)
    ours = settings.identity.sign_ins
    if chosen is None or not ours.url:
        raise not_found("identity provider with sign-in in the browser", provider)
    command = None
    if port is not None:
        if not challenge:
            raise ApiError(422, "invalid", "a command's sign-in needs its challenge", "Run `bodycam login`.")
        command = CommandLine(port, state, challenge)
    flow = context.sign_ins.flows.begin(chosen.name, command)
    match chosen.type:
        case ProviderType.SAML:
            sent = await _asked_by_saml(context, chosen, flow, fresh)
        case ProviderType.OIDC:
            back = oidc_address(ours, chosen.name)
            # with some bound it has to say when the person signed in (OpenID Connect Core, 3.1.2.1)
            bound = _FRESH_SECONDS if fresh else int(ours.lasts)
            where = await context.sign_ins.openid.page_of(chosen, flow, back, max_age=bound, anew=fresh)
            sent = Sent(where, None)
    answer = carried(chosen.name, sent)
    cookies.keep_flow(answer, ours, context.sign_ins.flows.sealed(flow), SECONDS)
    return answer


@router.get("/sign-in/finish")
async def finish(context: In, request: Request, outcome: Annotated[str, Query(max_length=100)]) -> Response:
    """Come back from a provider: be signed in, or be asked about the command line."""
    ours = context.settings.settings.identity.sign_ins
    flow = context.sign_ins.flows.unsealed(cookies.flow_of(request, ours))
    found, begun = context.sign_ins.look(outcome, flow)
    if begun.command is not None:
        return page(
            "command",
            to=f"'self' http://127.0.0.1:{begun.command.port}",
            principal=str(found.principal),
            code=spoken(begun.command.challenge),
            outcome=outcome,
        )
    context.sign_ins.take(outcome, flow)
    given = await context.sign_ins.sign_in(found, Use.BROWSER, _address(request))
    if given is None:
        raise SamlRefused(Reason.EXPIRED, found.provider)
    # what the browser was signed in as before is over
    await _ended(context, request, "another sign-in took its place")
    answer = RedirectResponse("/sign-in", 303)
    cookies.keep_session(answer, ours, given.token, given.expires - time.time())
    cookies.drop_flow(answer, ours)
    return answer


@router.post("/sign-in/command")
async def to_the_command(context: In, request: Request) -> Response:
    """Say that the command line may act in your name: it gets a code, which it trades for a sign-in."""
    ours = context.settings.settings.identity.sign_ins
    cookies.from_own_page(request, ours)
    form = await form_of(request)
    flow = context.sign_ins.flows.unsealed(cookies.flow_of(request, ours))
    found, begun = context.sign_ins.take(form.get("outcome", ""), flow)
    if begun.command is None:
        raise SamlRefused(Reason.BROWSER, found.provider)
    code = context.sign_ins.code(found, begun.command.challenge, _address(request))
    query = urlencode({"code": code, "state": begun.command.state})
    answer = RedirectResponse(f"http://127.0.0.1:{begun.command.port}/callback?{query}", 303)
    cookies.drop_flow(answer, ours)
    return answer


@router.post("/sign-out")
async def leave(context: In, request: Request) -> Response:
    """End the browser's sign-in, and go on to the provider to end it there too, where it takes that."""
    ours = context.settings.settings.identity.sign_ins
    cookies.from_own_page(request, ours)
    kept = await _ended(context, request, "signed out")
    sent = None if kept is None else await goodbye(context, kept)
    if kept is None or sent is None:
        answer: Response = said("You are signed out", "You are signed out here.")
    else:
        # a page and no redirect, which the form-action of the page before would not let through
        answer = _carrying(kept.provider, sent)
    cookies.drop_session(answer, ours)
    return answer


@router.get("/sign-in/style.css")
async def style() -> Response:
    """The pages' style sheet."""
    return asset("style.css")


@router.get("/sign-in/submit.js")
async def script() -> Response:
    """Sends the one form that only has to be passed on."""
    return asset("submit.js")


def oidc_address(ours: SignIns, provider: str) -> str:
    """Where an OpenID provider sends browsers back to: the redirect address of its client."""
    return f"{ours.url}/sign-in/oidc/{provider}/callback"


def carried(provider: str, sent: Sent) -> Response:
    """The answer that makes a browser carry a message on."""
    return RedirectResponse(sent.address, 303) if sent.fields is None else _carrying(provider, sent)


def _carrying(provider: str, sent: Sent) -> Response:
    # browsers hold form-action against redirects too, and a provider may send people on to where it asks them
    to = f"{origin_of(sent.address)} https:"
    return page("carry", to=to, provider=provider, address=sent.address, fields=sent.fields)


async def form_of(request: Request) -> dict[str, str]:
    """A form's fields, each once.

    Raises:
        SamlRefused: it is no form, or too long.
    """
    data = await request.body()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if len(data) > MAX_FORM:
        raise SamlRefused(Reason.TOO_LARGE)
    try:
        fields = parse_qsl(data.decode("ascii"), keep_blank_values=True, max_num_fields=20, errors="strict")
    except ValueError as error:
        raise SamlRefused(Reason.MALFORMED) from error
    if kind != "application/x-www-form-urlencoded" or len(fields) != len(dict(fields)):
        raise SamlRefused(Reason.MALFORMED)
    return dict(fields)


async def _asked_by_saml(context: Control, provider: Provider, flow: Flow, fresh: bool) -> Sent:
    known = await context.sign_ins.saml.known(provider.name)
    wanted = POST if provider.binding.value == "post" else REDIRECT
    binding = wanted if wanted in known.idp.sign_on else next(iter(known.idp.sign_on))
    where = known.idp.sign_on[binding]
    message = authn_request(
        known.own,
        identifier=flow.request,
        destination=where,
        force=fresh,
        name_format=provider.name_id_format,
        now=time.time(),
    )
    return send(message, where, binding, relay_of(flow), known.own.pair)


async def _ended(context: Control, request: Request, reason: str) -> SignIn | None:
    """End the browser's sign-in, if it has one."""
    ours = context.settings.settings.identity.sign_ins
    proved = await context.sign_ins.proved(cookies.session_of(request, ours))
    return None if proved is None else await context.sign_ins.end(proved.id, str(proved.principal), reason)


def _address(request: Request) -> str:
    return "" if request.client is None else request.client.host


def _when(moment: float | None) -> str:
    if moment is None:
        return "a time that it does not say"
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
