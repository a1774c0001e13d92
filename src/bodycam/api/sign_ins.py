"""/v1/sign-ins: the sign-ins that the gateway keeps; a command's code for one, and ending them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from bodycam.api.caller import Caller, In, Who
from bodycam.api.catalog_calls import read
from bodycam.api.errors import ApiError, not_found
from bodycam.api.goodbye import goodbye
from bodycam.api.listing import Cursor, Limit, Name, maybe_seconds, now_micros, seconds
from bodycam.catalog import sign_ins as catalog
from bodycam.identity.sign_ins import ProvedSignIn

router = APIRouter()

_VERIFIER = r"^[A-Za-z0-9._~-]{43,128}$"


class RedeemIn(BaseModel):
    """The code that the browser brought, and the verifier whose hash the command began with (RFC 7636)."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(min_length=1, max_length=100)
    verifier: str = Field(pattern=_VERIFIER)


class RedeemedOut(BaseModel):
    """A sign-in with its token, which is shown this once."""

    id: str
    token: str
    principal: str
    expires: float


class SignInOut(BaseModel):
    """A sign-in without its token; `used` is to within a minute, `use` is where the token is."""

    id: str
    principal: str
    provider: str
    use: catalog.Use
    address: str
    signed_in: float | None
    created: float
    expires: float
    used: float
    ended: float | None
    reason: str | None


class SignInsOut(BaseModel):
    """A page of sign-ins, newest first."""

    sign_ins: list[SignInOut]
    next: str | None


class EndedOut(BaseModel):
    """A sign-in that was ended now.

    `page` is where its person's browser can end the session at the provider too, of a SAML one within five
    minutes; it is told to them alone, and null where the provider takes no such request by an address.
    """

    id: str
    page: str | None


@router.post("/v1/sign-ins", status_code=201)
async def redeem(body: RedeemIn, context: In, request: Request) -> RedeemedOut:
    """Trade a code that the browser brought to the command line for a sign-in, once."""
    given = await context.sign_ins.redeem(body.code, body.verifier)
    if given is None:
        address = "" if request.client is None else request.client.host
        context.admission.stranger("sign-in-code", address)
        raise ApiError(401, "bad-code", "the code is not good, or not any more", "Run `bodycam login` again.")
    return RedeemedOut(id=given.id, token=given.token, principal=str(given.principal), expires=given.expires)


@router.get("/v1/sign-ins")
async def list_sign_ins(
    context: In,
    who: Who,
    principal: Name = None,
    ended: Annotated[bool, Query(description="Also those that are over.")] = False,
    limit: Limit = 100,
    cursor: Cursor = None,
) -> SignInsOut:
    """Sign-ins that are in force, newest first."""
    page = await read(
        context.catalog,
        catalog.list_sign_ins,
        principal=_whose(who, principal),
        ended=ended,
        now=now_micros(),
        limit=limit,
        cursor=cursor,
    )
    return SignInsOut(sign_ins=[_shown(one) for one in page.items], next=page.next)


@router.delete("/v1/sign-ins/{sign_in}")
async def end_sign_in(sign_in: str, context: In, who: Who) -> EndedOut:
    """End a sign-in: its token is refused from now on. Runs go on; `own` is the one that asks."""
    name = _own(who) if sign_in == "own" else sign_in
    kept = await read(context.catalog, catalog.get_sign_in, name)
    if kept is None or not who.may_stop(kept.principal):
        raise not_found("sign-in", sign_in)
    reason = "signed out" if kept.principal == str(who.principal) else "an admin ended it"
    ended = await context.sign_ins.end(name, str(who.principal), reason)
    sent = None
    if ended is not None and kept.principal == str(who.principal):
        sent = await goodbye(context, ended)
    return EndedOut(id=name, page=None if sent is None or sent.fields is not None else sent.address)


def _whose(who: Caller, principal: str | None) -> str | None:
    if who.reads_all:
        return principal
    if principal is not None and not who.owns(principal):
        raise ApiError(
            403, "forbidden", "you may see your own sign-ins only", "An admin or auditor sees all."
        )
    return str(who.principal)


def _own(who: Caller) -> str:
    if not isinstance(who.proof, ProvedSignIn):
        raise ApiError(
            422, "invalid", "what you called with is no sign-in of the gateway's", "Name one by its id."
        )
    return who.proof.id


def _shown(one: catalog.SignIn) -> SignInOut:
    return SignInOut(
        id=one.id,
        principal=one.principal,
        provider=one.provider,
        use=one.use,
        address=one.address,
        signed_in=maybe_seconds(one.signed_in),
        created=seconds(one.created),
        expires=seconds(one.expires),
        used=seconds(one.used),
        ended=maybe_seconds(one.ended),
        reason=one.reason,
    )
