"""Signing in by this machine's browser: authorization code with PKCE on loopback (RFC 8252, RFC 7636)."""

import secrets
from collections.abc import Callable

from bodycam.net.openid import Metadata, authorization_page
from bodycam.net.sign_in.callback import Callback
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.provider import Provider, post, shown
from bodycam.net.sign_in.tokens import Tokens, read_tokens

SECONDS = 300.0


def by_browser(
    provider: Provider,
    metadata: Metadata,
    show: Callable[[str], None],
    *,
    max_age: int,
    seconds: float = SECONDS,
) -> Tokens:
    """Send a person's browser to the provider (`show` gets the page), and take what it brings back.

    Raises:
        SignInFailed: the provider has no such way, refuses, or nobody came back in time.
    """
    if metadata.authorization is None or metadata.token is None:
        raise SignInFailed(f"{provider.name} has no sign-in by browser", "run `bodycam login --device`")
    verifier, state, nonce = (secrets.token_urlsafe(48) for _ in range(3))
    with Callback(state) as callback:
        page = authorization_page(
            metadata.authorization,
            client_id=provider.client_id,
            back=callback.url,
            scopes=provider.scopes,
            state=state,
            nonce=nonce,
            verifier=verifier,
            max_age=max_age,
            anew=True,
        )
        show(page)
        given = callback.wait(seconds)
    if given is None:
        raise SignInFailed(
            "nobody came back from the browser in time",
            "run `bodycam login` again; `--device` needs no browser on this machine",
        )
    if "error" in given or "code" not in given:
        why = given.get("error_description") or given.get("error") or "it gave no code"
        raise SignInFailed(f"{provider.name} refused the sign-in: {shown(why)}", "run `bodycam login` again")
    if given.get("iss", provider.issuer) != provider.issuer:
        # RFC 9207: the answer of another provider, to be exchanged at this one
        raise SignInFailed(f"the answer is not one of {provider.name}", "run `bodycam login` again")
    form = {
        "grant_type": "authorization_code",
        "code": given["code"],
        "redirect_uri": callback.url,
        "code_verifier": verifier,
    }
    answer = post(provider, metadata.token, form)
    if answer.error:
        raise SignInFailed(f"{provider.name} gave no tokens: {answer.error}", "run `bodycam login` again")
    return read_tokens(answer, provider, nonce=nonce)
