"""Signing in by a code that is typed in at another device (RFC 8628)."""

import time
from collections.abc import Callable
from typing import Any

from bodycam.net.openid import Metadata
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.provider import Provider, post, shown
from bodycam.net.sign_in.tokens import Tokens, read_tokens

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
LONGEST_SECONDS = 1800.0
_INTERVAL, _LONGEST_INTERVAL = 5.0, 60.0
_SLOWER = 5.0


def by_device(
    provider: Provider,
    metadata: Metadata,
    say: Callable[[str], None],
    *,
    max_age: int,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Tokens:
    """Show a person where to type which code in, and wait until they did.

    Raises:
        SignInFailed: the provider has no such way, refuses, or nobody came in time.
    """
    if metadata.device_authorization is None or metadata.token is None:
        raise SignInFailed(
            f"{provider.name} has no sign-in by device", "run `bodycam login` without --device"
        )
    asked = {"scope": " ".join(provider.scopes), "max_age": str(max_age)}
    begun = post(provider, metadata.device_authorization, asked)
    if begun.error:
        raise _refused(provider, begun.error)
    device, user = begun.body.get("device_code"), begun.body.get("user_code")
    page = begun.body.get("verification_uri")
    if not (isinstance(device, str) and isinstance(user, str) and isinstance(page, str)):
        raise _refused(provider, "its answer has no code")
    say(f"open {shown(page)} and type in the code {shown(user)}")
    if isinstance(whole := begun.body.get("verification_uri_complete"), str):
        say(f"or open {shown(whole)}")
    interval = _number(begun.body.get("interval"), _INTERVAL, _LONGEST_INTERVAL)
    deadline = monotonic() + _number(begun.body.get("expires_in"), LONGEST_SECONDS, LONGEST_SECONDS)
    while monotonic() < deadline:
        sleep(interval)
        try:
            answer = post(provider, metadata.token, {"grant_type": GRANT, "device_code": device})
        except SignInFailed as failure:
            if not failure.for_now:
                raise
            # section 3.5: after a timeout, ask less often
            interval = min(_LONGEST_INTERVAL, interval * 2)
            continue
        match answer.error:
            case "":
                return read_tokens(answer, provider)
            case "authorization_pending":
                pass
            case "slow_down":
                interval += _SLOWER
            case other:
                raise _refused(provider, other)
    raise SignInFailed("nobody signed in in time", "run `bodycam login --device` again")


def _number(value: Any, otherwise: float, most: float) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return min(float(value), most) if known else otherwise


def _refused(provider: Provider, why: str) -> SignInFailed:
    return SignInFailed(
        f"{provider.name} refused the sign-in: {why}",
        "run `bodycam login` again; the provider knows this client as the gateway's client_id",
    )
