"""The provider as a public client without a secret meets it: discovery and forms, bounded and over https."""

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from bodycam.net.openid import MAX_METADATA, Metadata, NotOpenId, metadata_url, plain_object, read_metadata
from bodycam.net.sign_in.failure import SignInFailed

SECONDS = 10.0
"""How long one question to the provider may take, until its answer's last byte."""

_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Provider:
    """By whom to sign in, as the gateway tells it; `ca_pem` vouches for it, the system's CAs if None.

    `asked_by_gateway` says that only the gateway can ask it (SAML): people begin at `page`.
    """

    name: str
    issuer: str
    client_id: str
    scopes: tuple[str, ...] = ("openid",)
    ca_pem: str | None = None
    asked_by_gateway: bool = False
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A form's answer: the HTTP status, and the JSON object."""

    status: int
    body: Mapping[str, Any]

    @property
    def error(self) -> str:
        """OAuth's word for what is wrong; empty if nothing is (RFC 6749, section 5.2)."""
        return "" if self.status == 200 else shown(self.body.get("error") or f"status {self.status}")


def discover(provider: Provider) -> Metadata:
    """What the provider says of itself.

    Raises:
        SignInFailed: it does not answer, or not as this issuer.
    """
    answer = _asked(provider, "GET", metadata_url(provider.issuer), None)
    try:
        if answer.status_code != 200:
            raise NotOpenId(f"its discovery document can't be had (status {answer.status_code})")
        return read_metadata(answer.content, provider.issuer)
    except NotOpenId as error:
        raise SignInFailed(
            f"the identity provider {provider.name} can't be used: {error}",
            "identity.providers in the gateway's settings names its issuer",
        ) from error


def post(provider: Provider, url: str, form: Mapping[str, str]) -> Answered:
    """Send a form of this client to one of the provider's endpoints; a refusal is an answer too.

    Raises:
        SignInFailed: it does not answer, or not with JSON.
    """
    answer = _asked(provider, "POST", url, {**form, "client_id": provider.client_id})
    if answer.status_code >= 500:
        raise _away(provider, f"it answered with status {answer.status_code}")
    try:
        return Answered(answer.status_code, plain_object(answer.content or b"{}"))
    except NotOpenId as error:
        raise _away(provider, str(error)) from error


def shown(value: object) -> str:
    """What a provider said, as a person may see it: one short printable line."""
    return "".join(one if one.isprintable() else "?" for one in str(value)[:_SHOWN])


def _trust(provider: Provider) -> ssl.SSLContext:
    if provider.ca_pem is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=provider.ca_pem)
    except (ssl.SSLError, ValueError) as error:
        raise _away(provider, "the CA that the gateway names for it can't be used") from error


def _asked(provider: Provider, method: str, url: str, form: Mapping[str, str] | None) -> httpx.Response:
    trust = _trust(provider)
    # a loop of its own, in a thread that has none: only there does a deadline end what trickles in, too
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, _answer(provider, trust, method, url, form)).result()


async def _answer(
    provider: Provider, trust: ssl.SSLContext, method: str, url: str, form: Mapping[str, str] | None
) -> httpx.Response:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "bodycam-cli"}
    try:
        async with (
            asyncio.timeout(SECONDS),
            httpx.AsyncClient(verify=trust, timeout=SECONDS, headers=headers, follow_redirects=False) as http,
            http.stream(method, url, data=form) as answer,
        ):
            body = bytearray()
            async for part in answer.aiter_raw():
                body += part
                if len(body) > MAX_METADATA:
                    raise _away(provider, f"it answered with more than {MAX_METADATA} bytes")
            return httpx.Response(answer.status_code, content=bytes(body))
    except (TimeoutError, httpx.TimeoutException) as error:
        raise _away(provider, f"it did not answer within {SECONDS:g} seconds") from error
    except (httpx.HTTPError, OSError) as error:
        raise _away(provider, str(error) or type(error).__name__) from error


def _away(provider: Provider, why: str) -> SignInFailed:
    return SignInFailed(
        f"the identity provider {provider.name} can't be asked: {why}",
        "try again in a moment; what runs goes on",
        for_now=True,
    )
