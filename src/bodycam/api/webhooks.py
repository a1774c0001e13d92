"""Tells people, by webhooks, that an approval waits: signed, tried for a bounded time, never in the way.

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
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)

from bodycam.api.settings_in_use import SettingsInUse
from bodycam.api.webhook_bodies import body_of
from bodycam.catalog.approvals import Approval
from bodycam.config.approvals import Webhook, webhook_url
from bodycam.targets.secrets import SecretUnavailable, read_secret

log = structlog.get_logger(__name__)

MOST_WAITING = 500
"""Deliveries under way at once, those that wait for another try included."""

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what a base64 key begins with in Standard Webhooks
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a webhook is tried, in seconds: each try, the first pause, the longest pause, all of it."""

    attempt: float = 10.0
    first: float = 1.0
    longest: float = 60.0
    overall: float = 900.0
    attempts: int = 10


class _Failed(Exception):
    """A try that failed for good; the text says why and names no URL."""


class _FailedForNow(_Failed):
    """A try that failed and may be made again; `after` is how many seconds the other side asks for."""

    def __init__(self, why: str, after: float = 0.0) -> None:
        super().__init__(why)
        self.after = after


class Notifier:
    """Sends to the webhooks of the settings in use; nobody waits for it."""

    def __init__(
        self,
        settings: SettingsInUse,
        *,
        patience: Patience = Patience(),
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._patience, self._wall = settings, patience, wall
        self._tasks: set[asyncio.Task[None]] = set()
        self.sent = 0
        self.failed = 0
        """Deliveries given up, and those that there was no room for."""

    @property
    def waiting(self) -> int:
        """Deliveries under way."""
        return len(self._tasks)

    def tell(self, approval: Approval, link: str) -> None:
        """Begin to tell every webhook of an approval that waits."""
        for webhook in self._settings.settings.approvals.webhooks:
            if len(self._tasks) >= MOST_WAITING:
                self.failed += 1
                log.error(
                    "a webhook is not told: too many are waiting", webhook=webhook.name, approval=approval.id
                )
                continue
            task = asyncio.get_running_loop().create_task(self._deliver(webhook, approval, link))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _deliver(self, webhook: Webhook, approval: Approval, link: str) -> None:
        patience, tries = self._patience, 0
        # after its end nobody can decide on it any more
        left = min(patience.overall, max(1.0, approval.expires / 1e6 - self._wall()))
        try:
            body = body_of(webhook.format, approval, link)
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(_FailedForNow),
                stop=stop_after_attempt(patience.attempts) | stop_before_delay(left),
                wait=self._pause,
                reraise=True,
            ):
                with attempt:
                    tries += 1
                    await self._once(webhook, f"msg_{approval.id}", body)
        except Exception as error:
            self.failed += 1
            why = str(error) if isinstance(error, _Failed) else type(error).__name__
            log.error(
                "a webhook was not told", webhook=webhook.name, approval=approval.id, tries=tries, error=why
            )
        else:
            self.sent += 1

    def _pause(self, state: RetryCallState) -> float:
        patience = self._patience
        backoff = wait_exponential(patience.first, patience.longest) + wait_random(0, patience.first)
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.after if isinstance(error, _FailedForNow) else 0.0
        return max(backoff(state), min(asked, patience.longest))

    async def _once(self, webhook: Webhook, name: str, body: bytes) -> None:
        try:
            async with asyncio.timeout(self._patience.attempt):
                url = await _url(webhook)
                headers = {"content-type": "application/json", "user-agent": "bodycam"}
                if webhook.secret is not None:
                    key = signing_key(await read_secret(webhook.secret))
                    headers |= signature(key, name, int(self._wall()), body)
                trust = await asyncio.to_thread(_trust, webhook.ca_file)
                async with (
                    # no proxy of the environment, and no redirect: what is signed goes where it was meant to
                    httpx.AsyncClient(verify=trust, trust_env=False, follow_redirects=False) as client,
                    client.stream("POST", url, content=body, headers=headers, timeout=None) as answer,
                ):
                    _judge(answer)
        except TimeoutError:
            raise _FailedForNow(f"no answer within {self._patience.attempt:g} seconds") from None
        except httpx.HTTPError as error:
            # its text can hold the URL, which can be a secret
            raise _FailedForNow(f"it can't be reached: {type(error).__name__}") from None
        except SecretUnavailable as error:
            raise _FailedForNow(str(error)) from None
        except OSError as error:
            raise _FailedForNow(f"its CA file can't be used: {error.strerror or 'not PEM'}") from None
        except (ValueError, httpx.InvalidURL):
            raise _Failed("its URL or its secret has not the expected form") from None


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
        raise _Failed(why)
    after = 0.0
    with contextlib.suppress(ValueError):
        after = float(answer.headers.get("retry-after", "0"))
    raise _FailedForNow(why, after if after > 0 else 0.0)


async def _url(webhook: Webhook) -> str:
    if webhook.url is not None:
        return webhook.url
    assert webhook.url_from is not None
    return webhook_url(await read_secret(webhook.url_from))


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
