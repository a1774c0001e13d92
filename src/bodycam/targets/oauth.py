"""Tokens of OAuth 2.0 client credentials (RFC 6749, section 4.4), for targets that take no other proof."""

import asyncio
import contextlib
import json
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote_plus

import httpx

from bodycam.config.credentials import OAuth
from bodycam.targets.secrets import read_secret

MOST_BYTES = 64 * 1024
DEADLINE = 10.0
BRIEF = 60.0
"""For how many seconds a token is used of which the server didn't say how long it is good."""
MOST_SECONDS = 24 * 3600.0
MOST_KEPT = 1000
RENEWALS_APART = 30.0
"""Seconds between two tokens that are asked for because a target refused the one before."""


class TokenRefused(Exception):
    """There is no token to be had; the text says who said so, never what was sent."""


@dataclass(frozen=True, slots=True)
class _Token:
    settings: OAuth
    text: str
    until: float


class ClientTokens:
    """The tokens that the gateway has got for its targets; each is used until shortly before its end.

    `monotonic` gives seconds.
    """

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, *, deadline: float = DEADLINE
    ) -> None:
        self._monotonic, self._deadline = monotonic, deadline
        self._tokens: dict[str, _Token] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._refused: dict[str, float] = {}

    async def token(self, target: str, settings: OAuth) -> str:
        """The token for a target, asked for if there is none; one question at a time is asked for a target.

        Raises:
            SecretUnavailable: the gateway's own secret can't be had.
            TokenRefused: the server gave none, or nothing in time.
        """
        if len(self._locks) > MOST_KEPT:
            # a name that is no target any more; whoever waits has the lock itself
            self._locks.clear()
            self._tokens.clear()
            self._refused.clear()
        try:
            # the wait for those who ask before is within it, too: a slow server holds nobody longer
            async with asyncio.timeout(self._deadline), self._locks.setdefault(target, asyncio.Lock()):
                kept = self._tokens.get(target)
                if kept is not None and kept.settings == settings and kept.until > self._monotonic():
                    return kept.text
                secret = await read_secret(settings.client_secret)
                asked = self._monotonic()
                text, seconds = _read(settings, await _ask(settings, secret))
                self._tokens[target] = _Token(settings, text, asked + seconds - min(30.0, seconds / 4))
                return text
        except TimeoutError:
            raise TokenRefused(f"{_host(settings)} gave no token within {self._deadline:g} seconds") from None

    def refused(self, target: str, text: str) -> bool:
        """The target takes this token no more: whether another is given out from now on.

        It is not, where one was asked for a short time ago for that reason: then it is not the token.
        """
        kept, now = self._tokens.get(target), self._monotonic()
        if kept is None or kept.text != text:
            return True
        if now - self._refused.get(target, -RENEWALS_APART) < RENEWALS_APART:
            return False
        self._refused[target] = now
        del self._tokens[target]
        return True

    def left(self, target: str) -> float:
        """For how many seconds the token of a target is given out from now on."""
        kept = self._tokens.get(target)
        return 0.0 if kept is None else max(0.0, kept.until - self._monotonic())


async def _ask(settings: OAuth, secret: str) -> bytes:
    form = {"grant_type": "client_credentials"}
    if settings.scope is not None:
        form["scope"] = settings.scope
    # section 2.3.1: both are encoded as in forms before they become a user and a password
    proof = httpx.BasicAuth(quote_plus(settings.client_id), quote_plus(secret))
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "bodycam"}
    try:
        file = None if settings.ca_file is None else str(settings.ca_file)
        trust = await asyncio.to_thread(ssl.create_default_context, cafile=file)
        async with (
            httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False) as client,
            client.stream("POST", settings.token_url, headers=headers, data=form, auth=proof) as answer,
        ):
            body = bytearray()
            # raw, so that nothing is unpacked: what it unpacks to would have no bound
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MOST_BYTES:
                    raise TokenRefused(f"{_host(settings)} answered with more than {MOST_BYTES} bytes")
            if answer.status_code != 200:
                raise TokenRefused(
                    f"{_host(settings)} answered with status {answer.status_code}{_code(body)}"
                )
            return bytes(body)
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise TokenRefused(f"{_host(settings)} can't be asked: {type(error).__name__}") from error


_CODES = frozenset(
    {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope"}
    | {"unsupported_grant_type"}
)


def _code(body: bytearray) -> str:
    """The error's code (RFC 6749, section 5.2) if it is a known one; what else was said could be anything."""
    with contextlib.suppress(ValueError, RecursionError):
        said = json.loads(body)
        if isinstance(said, dict) and said.get("error") in _CODES:
            return f" ({said['error']})"
    return ""


def _read(settings: OAuth, body: bytes) -> tuple[str, float]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    token = said.get("access_token") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(token, str) or not sendable(token):
        raise TokenRefused(f"{_host(settings)} answered without a usable access_token")
    kind = said.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenRefused(f"{_host(settings)} gave a token of another type than Bearer")
    seconds = said.get("expires_in", BRIEF)
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdecimal() and len(seconds) < 12:
        seconds = int(seconds)  # some servers write it so
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        seconds = BRIEF
    return token, float(min(seconds, MOST_SECONDS))


def sendable(value: str) -> bool:
    """Whether a header may hold a value: visible characters of ASCII, and blanks within."""
    return bool(value) and value.isascii() and value.isprintable() and value == value.strip()


def _host(settings: OAuth) -> str:
    return f"the token server {httpx.URL(settings.token_url).host}"
