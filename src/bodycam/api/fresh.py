"""What people may do only shortly after they signed in: approve, view a recording, issue keys."""

import math
import time

from bodycam.api.caller import Caller
from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.identity.api_keys import ProvedKey
from bodycam.identity.oidc.tokens import LEEWAY_SECONDS
from bodycam.model.identity import PrincipalKind


def fresh_until(signed_in: float | None, bound: float, now: float) -> float | None:
    """Until when somebody may do all that, who signed in at that moment; None if not now. Unix seconds.

    A sign-in in the future is none, for all that clocks may differ by.
    """
    if signed_in is None or not -LEEWAY_SECONDS <= now - signed_in <= bound:
        return None
    return signed_in + bound


def callers_fresh_until(context: Control, who: Caller) -> float | None:
    """The same of a caller; infinity for those of whom it is not asked.

    Those are services, whoever vouches for them, and people by their key alone where the settings let them
    or in an emergency.
    """
    identity = context.settings.settings.identity
    if who.principal.kind is not PrincipalKind.HUMAN:
        return math.inf
    if isinstance(who.proof, ProvedKey):
        return math.inf if identity.api_keys.instead_of_sign_in or who.emergency else None
    return fresh_until(who.proof.signed_in, identity.fresh_sign_in, time.time())


def must_be_fresh(context: Control, who: Caller) -> None:
    """Let a person of an identity provider go on only if they signed in a short time ago.

    Raises:
        ApiError: 403, they did longer ago, or the provider doesn't say when.
    """
    if callers_fresh_until(context, who) is not None:
        return
    if isinstance(who.proof, ProvedKey):
        raise ApiError(
            403,
            "sign-in-needed",
            "this needs a fresh sign-in at an identity provider, and you called with an API key",
            "Sign in with `bodycam login`. That a key is not enough is identity.api_keys.instead_of_sign_in.",
        )
    if who.proof.signed_in is None:
        raise ApiError(
            403,
            "sign-in-too-old",
            f"this needs a fresh sign-in, and {who.proof.provider} does not say when you signed in",
            "The provider has to put auth_time into its tokens (docs/identity.md).",
        )
    raise ApiError(
        403,
        "sign-in-too-old",
        f"this needs a sign-in of the last {context.settings.settings.identity.fresh_sign_in:g} seconds, "
        "and yours is older",
        "Run `bodycam login` again; in the browser, sign in afresh at /sign-in.",
    )
