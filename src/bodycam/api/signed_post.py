"""One signed POST to a webhook: what it needs from the settings, the signature, and what an answer means.

The signature is that of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, in the headers
`webhook-id`, `webhook-timestamp` and `webhook-signature`
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md).
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import ssl
from pathlib import Path
from typing import Protocol

import httpx

from bodycam.config.approvals import webhook_url
from bodycam.config.secret import SecretSource
from bodycam.targets.secrets import SecretUnavailable, read_secret

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what a base64 key begins with in Standard Webhooks
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class Webhook(Protocol):
    """Where to post, and with which key to sign."""

    @property
    def url(self) -> str | None: ...

    @property
    def url_from(self) -> SecretSource | None: ...

    @property
    def secret(self) -> SecretSource | None: ...

    @property
    def ca_file(self) -> Path | None: ...


class PostFailed(Exception):
    """A try that failed for good; the text says why and names no URL."""


class PostFailedForNow(PostFailed):
    """A try that failed and may be made again; `after` is how many seconds the other side asks for."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


async def post(webhook: Webhook, name: str, body: bytes, *, at: float, seconds: float) -> None:
    """Post `body`, JSON, as the message `name`, signed as of `at` (Unix seconds), within so many seconds.

    Raises:
        PostFailed: nobody took it.
    """
    try:
        async with asyncio.timeout(seconds):
            url = await _url(webhook)
            headers = {"content-type": "application/json", "user-agent": "bodycam"}
            if webhook.secret is not None:
                key = signing_key(await read_secret(webhook.secret))
                headers |= signature(key, name, int(at), body)
            trust = await asyncio.to_thread(_trust, webhook.ca_file)
            async with (
                # no proxy of the environment, and no redirect: what is signed goes where it was meant to
                httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False) as client,
                client.stream("POST", url, content=body, headers=headers, timeout=None) as answer,
            ):
                _judge(answer)
    except TimeoutError:
        raise PostFailedForNow(f"no answer within {seconds:g} seconds") from None
    except httpx.HTTPError as error:
        # its text can hold the URL, which can be a secret
        raise PostFailedForNow(f"it can't be reached: {type(error).__name__}") from None
    except SecretUnavailable as error:
        raise PostFailedForNow(str(error)) from None
    except OSError as error:
        raise PostFailedForNow(f"its CA file can't be used: {error.strerror or 'not PEM'}") from None
    except (ValueError, httpx.InvalidURL):
        raise PostFailed("its URL or its secret has not the expected form") from None


def signing_key(secret: str) -> bytes:
    """The key that a webhook's secret stands for: base64 behind `whsec_`, else the text itself.

    Raises:
        ValueError: it begins with whsec_ and is not base64.
    """
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("expected base64 behind whsec_") from error


def signature(key: bytes, name: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers that sign a webhook `name` sent at `at`, in Unix seconds."""
    digest = hmac.digest(key, f"{name}.{at}.".encode() + body, hashlib.sha256)
    return {
        "webhook-id": name,
        "webhook-timestamp": str(at),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _judge(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    why = f"it answered with status {answer.status_code}"
    if answer.status_code not in _AGAIN:
        raise PostFailed(why)
    after = 0.0
    with contextlib.suppress(ValueError):
        after = float(answer.headers.get("retry-after", "0"))
    raise PostFailedForNow(why, after if after > 0 else 0.0)


async def _url(webhook: Webhook) -> str:
    if webhook.url is not None:
        return webhook.url
    assert webhook.url_from is not None
    return webhook_url(await read_secret(webhook.url_from))


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
