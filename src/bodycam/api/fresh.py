"""What people may do only shortly after they signed in: approve, view a recording, issue keys."""

import time

from bodycam.api.caller import Caller
from bodycam.api.context import Control
from bodycam.api.errors import ApiError
from bodycam.identity.api_keys import ProvedKey
from bodycam.identity.oidc.tokens import LEEWAY_SECONDS
from bodycam.model.identity import PrincipalKind


def must_be_fresh(context: Control, who: Caller) -> None:
    """Let a person of an identity provider go on only if they signed in a short time ago.

    Raises:
        ApiError: 403, they did longer ago, or the provider doesn't say when.
    """
    if isinstance(who.proof, ProvedKey) or who.principal.kind is not PrincipalKind.HUMAN:
        return
    bound = context.settings.settings.identity.fresh_sign_in
    since = who.proof.signed_in
    if since is None:
        raise ApiError(
            403,
            "sign-in-too-old",
            f"this needs a fresh sign-in, and {who.proof.provider} does not say when you signed in",
            "The provider has to put auth_time into its tokens (docs/identity.md).",
        )
    if not -LEEWAY_SECONDS <= time.time() - since <= bound:
        raise ApiError(
            403,
            "sign-in-too-old",
            f"this needs a sign-in of the last {bound:g} seconds, and yours is older",
            "Run `bodycam login` again; in the browser, sign in afresh at /sign-in.",
        )
