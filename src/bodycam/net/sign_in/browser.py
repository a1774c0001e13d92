"""Signing in by this machine's browser: authorization code with PKCE on loopback (RFC 8252, RFC 7636)."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from bodycam.net.openid import Metadata
from bodycam.net.sign_in.failure import SignInFailed
from bodycam.net.sign_in.provider import Provider, post, shown
from bodycam.net.sign_in.tokens import Tokens, read_tokens

SECONDS = 300.0
_PATH = "/callback"
_READ_SECONDS = 5.0
_DONE = b"Bodycam has what it needs. You can close this window and go back to the terminal.\n"
_NOT_DONE = b"This is not the sign-in that Bodycam waits for. Go back to the terminal.\n"


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
    with _Callback(state) as callback:
        show(_page(provider, metadata.authorization, callback.url, verifier, state, nonce, max_age))
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


def _page(
    provider: Provider, endpoint: str, back: str, verifier: str, state: str, nonce: str, max_age: int
) -> str:
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": back,
        "scope": " ".join(provider.scopes),
        "state": state,
        "nonce": nonce,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "max_age": str(max_age),
    }
    if "offline_access" in provider.scopes:
        query["prompt"] = "consent"  # OpenID Connect Core, section 11: else it is ignored
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


class _Callback:
    """A listener on loopback for the one answer with the right state; what else comes changes nothing."""

    def __init__(self, state: str) -> None:
        self._given: dict[str, str] | None = None
        callback = self

        class Handler(BaseHTTPRequestHandler):
            timeout = _READ_SECONDS

            def do_GET(self) -> None:
                right = callback.take(self.path, state)
                self.send_response(200 if right else 404)
                body = _DONE if right else _NOT_DONE
                for name, value in _headers(body).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing: the address has the code in it."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}{_PATH}"

    def __enter__(self) -> "_Callback":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()

    def take(self, path: str, state: str) -> bool:
        """Keep an answer if it is the one that is waited for."""
        parts = urlsplit(path)
        try:
            query = parse_qs(parts.query, max_num_fields=20)
        except ValueError:
            return False
        plain = {name: values[0] for name, values in query.items() if len(values) == 1}
        if parts.path != _PATH or not hmac.compare_digest(plain.get("state", "").encode(), state.encode()):
            return False
        self._given = plain
        return True

    def wait(self, seconds: float) -> Mapping[str, str] | None:
        deadline = time.monotonic() + seconds
        while self._given is None and (left := deadline - time.monotonic()) > 0:
            self._server.timeout = min(left, 1.0)
            self._server.handle_request()
        return self._given


def _headers(body: bytes) -> Mapping[str, str]:
    return {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
    }
