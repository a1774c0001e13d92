"""Who calls: an API key or a provider's token as bearer, proved anew at each request, and the role it gives.

A run credential is never taken here: it is good at the data listeners only.
"""

import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from bodycam.api import break_glass
from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.identity import api_keys
from bodycam.identity.api_keys import ProvedKey
from bodycam.identity.oidc.failure import Reason, TokenRefused
from bodycam.identity.oidc.providers import ProvedToken
from bodycam.identity.oidc.tokens import PREFIX as TOKEN
from bodycam.identity.run_credentials import PREFIX as RUN_CREDENTIAL
from bodycam.model.identity import Principal
from bodycam.policy.access import Role

Proof = ProvedKey | ProvedToken
"""What proved a caller, and who it was."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A proved principal with its role as the settings are now, and what proved it.

    `emergency` is the reason for which the break-glass account was let in; empty for everybody else.
    """

    principal: Principal
    role: Role
    proof: Proof
    emergency: str = ""

    @property
    def reads_all(self) -> bool:
        """Whether others' runs are open to them."""
        return self.role in (Role.ADMIN, Role.AUDITOR)

    @property
    def only(self) -> str | None:
        """The one principal whose runs they may see; None for all."""
        return None if self.reads_all else str(self.principal)

    def may_see(self, owner: str) -> bool:
        """Whether a run that `owner` started may be seen."""
        return self.reads_all or owner == str(self.principal)

    def may_stop(self, owner: str) -> bool:
        """Whether a run that `owner` started may be renewed, ended, revoked or cut."""
        return self.role is Role.ADMIN or owner == str(self.principal)

    def confined(self, principal: str | None) -> str | None:
        """The principal to filter by, when `principal` was asked for.

        Raises:
            ApiError: they asked for somebody else's.
        """
        if self.only is None or principal in (None, self.only):
            return self.only or principal
        raise ApiError(403, "forbidden", "you may see your own runs only", "An admin or auditor sees all.")


def control(request: Request) -> Control:
    """The collaborators that `create_app` was given."""
    found: Control = request.app.state.control
    return found


async def caller(request: Request) -> Caller:
    """Prove the request's bearer token.

    Raises:
        ApiError: 401, without telling which part was wrong.
    """
    context = control(request)
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
    else:
        proof = await _by_key(context, token)
        emergency = await break_glass.admitted(context, request, proof)
    return Caller(proof.principal, context.settings.access.role(proof.principal), proof, emergency)


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
    if who.role is not Role.ADMIN:
        raise ApiError(403, "forbidden", "this is for admins", "The settings say who, under roles.admin.")
    return who


Reader = Annotated[Caller, Depends(reader)]
Admin = Annotated[Caller, Depends(admin)]
