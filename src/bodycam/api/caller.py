"""Who calls: an API key, a provider's token or a sign-in, proved anew at each request, and the role it gives.

A run credential is never taken here: it is good at the data listeners only.
"""

import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from bodycam.api import break_glass, cookies
from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.api.scopes import agent_in_scope, route_in_scope
from bodycam.identity import api_keys
from bodycam.identity.api_keys import ProvedKey
from bodycam.identity.oidc.failure import Reason, TokenRefused
from bodycam.identity.oidc.providers import ProvedToken
from bodycam.identity.oidc.tokens import PREFIX as TOKEN
from bodycam.identity.run_credentials import PREFIX as RUN_CREDENTIAL
from bodycam.identity.scopes import Scopes
from bodycam.identity.sign_ins import PREFIX as SIGN_IN
from bodycam.identity.sign_ins import ProvedSignIn
from bodycam.model.identity import Principal
from bodycam.policy.access import Role

Proof = ProvedKey | ProvedToken | ProvedSignIn
"""What proved a caller, and who it was."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A proved principal with its roles as the settings are now, and what proved it.

    `emergency` is the reason for which the break-glass account was let in; empty for everybody else. Which
    recordings they may look at is the sights' to say (`Control.sights`).
    """

    principal: Principal
    roles: frozenset[Role]
    proof: Proof
    emergency: str = ""

    @property
    def role(self) -> Role | None:
        """The strongest of their roles."""
        return next((role for role in Role if role in self.roles), None)

    @property
    def reads_all(self) -> bool:
        """Whether everything is open to them."""
        return Role.ADMIN in self.roles or Role.AUDITOR in self.roles

    def owns(self, owner: str) -> bool:
        """Whether that is themselves, as `subject@issuer`."""
        return owner == str(self.principal)

    def may_stop(self, owner: str) -> bool:
        """Whether what `owner` began, a run or a sign-in, may be renewed, ended, revoked or cut."""
        return Role.ADMIN in self.roles or self.owns(owner)

    def may_stop_run(self, owner: str, agent: str) -> bool:
        """Whether a run of `agent` that `owner` started may be renewed, ended, revoked or cut.

        With a key that has scopes only their own may, whatever their roles.

        Raises:
            ApiError: 403, the key's scopes don't have that agent, or they are a workload of another one.
        """
        if not self.may_stop(owner) or (self.scopes is not None and not self.owns(owner)):
            return False
        self.must_act_for(agent)
        return True

    @property
    def only_agent(self) -> str | None:
        """The one agent that a workload is confined to; None for everybody else."""
        return self.proof.agent if isinstance(self.proof, ProvedToken) else None

    def must_act_for(self, agent: str) -> None:
        """Let them touch runs of an agent only if their proof is not confined to others.

        Workloads of several agents may have one name, so that a run's being their own is not enough.

        Raises:
            ApiError: 403, it is.
        """
        agent_in_scope(self.scopes, agent)
        if self.only_agent not in (None, agent):
            raise ApiError(
                403,
                "may-not-start",
                f"{self.principal} may start agent {self.only_agent!r} only, and touch no other's runs",
                "The settings say which, under identity.providers[].workloads[].agent.",
            )

    @property
    def scopes(self) -> Scopes | None:
        """What their key may be used for; None is all that they may."""
        return self.proof.scopes if isinstance(self.proof, ProvedKey) else None


def control(request: Request) -> Control:
    """The collaborators that `create_app` was given."""
    found: Control = request.app.state.control
    return found


async def caller(request: Request) -> Caller:
    """Prove the request's bearer token, or the cookie of the gateway's own pages where there is none.

    Raises:
        ApiError: 401, without telling which part was wrong; 403, another site made the browser ask, or the
            key's scopes don't have the route.
    """
    return await _proved(request, again=False)


async def same_caller(request: Request) -> Caller:
    """Prove once more who is being answered still; that is no further call of theirs.

    Raises:
        ApiError: as `caller` does.
    """
    return await _proved(request, again=True)


async def _proved(request: Request, *, again: bool) -> Caller:
    context = control(request)
    ours = context.settings.settings.identity.sign_ins
    if "authorization" not in request.headers and (kept := cookies.session_of(request, ours)):
        cookies.from_own_page(request, ours)
        return _caller(context, await _by_sign_in(context, kept, request))
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise ApiError(
            401,
            "no-credential",
            "this needs an API key or a token",
            "Send a key as Authorization: Bearer KEY; people sign in with `bodycam login`.",
        )
    if token.startswith(RUN_CREDENTIAL):
        raise ApiError(
            401,
            "run-credential",
            "a run credential is not taken by the control API",
            "Use an API key of a service account, or sign in with `bodycam login`.",
        )
    proof: Proof
    emergency = ""
    if token.startswith(TOKEN):
        proof = await _by_token(context, token, request)
    elif token.startswith(SIGN_IN):
        proof = await _by_sign_in(context, token, request)
    else:
        proof = await _by_key(context, token)
        route_in_scope(proof.scopes, request)
        emergency = await break_glass.admitted(context, request, proof, again=again)
    return _caller(context, proof, emergency)


def _caller(context: Control, proof: Proof, emergency: str = "") -> Caller:
    return Caller(proof.principal, context.settings.access.roles(proof.principal), proof, emergency)


async def _by_key(context: Control, text: str) -> ProvedKey:
    now = time.time()
    proved = await api_keys.verify(text, context.keys, now)
    if proved is None:
        raise bad_credential()
    context.key_use.used(proved.key, now)
    return proved


async def _by_token(context: Control, text: str, request: Request) -> ProvedToken:
    try:
        return await context.providers.verify(text)
    except TokenRefused as error:
        address = "" if request.client is None else request.client.host
        context.admission.stranger(error.reason, address, name=error.provider)
        raise bad_token(error) from error


async def _by_sign_in(context: Control, text: str, request: Request) -> ProvedSignIn:
    proved = await context.sign_ins.proved(text)
    if proved is None:
        address = "" if request.client is None else request.client.host
        context.admission.stranger("sign-in-over", address)
        raise signed_out()
    return proved


def signed_out() -> ApiError:
    """What is said of a sign-in that proves nobody."""
    return ApiError(
        401,
        "signed-out",
        "the sign-in is over",
        "Sign in again: `bodycam login`, or the page /sign-in in the browser.",
    )


def bad_credential() -> ApiError:
    """What is said of an API key that proves nobody."""
    return ApiError(
        401,
        "bad-credential",
        "the API key is not valid",
        "It may be wrong, revoked, expired or disabled.",
    )


def bad_token(error: TokenRefused) -> ApiError:
    """What is said of a token that proves nobody; that its provider is away is no fault of its owner."""
    away = error.reason is Reason.PROVIDER_AWAY
    return ApiError(503 if away else 401, error.reason.value, str(error), error.hint)


In = Annotated[Control, Depends(control)]
Who = Annotated[Caller, Depends(caller)]


def reader(who: Who) -> Caller:
    """A caller who may read everything.

    Raises:
        ApiError: 403.
    """
    if not who.reads_all:
        raise ApiError(
            403, "forbidden", "this is for admins and auditors", "The settings say who, under roles."
        )
    return who


def admin(who: Who) -> Caller:
    """A caller who may do everything.

    Raises:
        ApiError: 403.
    """
    if Role.ADMIN not in who.roles:
        raise ApiError(403, "forbidden", "this is for admins", "The settings say who, under roles.admin.")
    return who


Reader = Annotated[Caller, Depends(reader)]
Admin = Annotated[Caller, Depends(admin)]
