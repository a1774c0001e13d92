"""Tells people, by webhooks, that an approval waits: signed, tried for a bounded time, never in the way."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

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
from bodycam.api.signed_post import PostFailed, PostFailedForNow, post
from bodycam.api.webhook_bodies import body_of
from bodycam.catalog.approvals import Approval
from bodycam.config.approvals import Webhook

log = structlog.get_logger(__name__)

MOST_WAITING = 500
"""Deliveries under way at once, those that wait for another try included."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a webhook is tried, in seconds: each try, the first pause, the longest pause, all of it."""

    attempt: float = 10.0
    first: float = 1.0
    longest: float = 60.0
    overall: float = 900.0
    attempts: int = 10


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
                retry=retry_if_exception_type(PostFailedForNow),
                stop=stop_after_attempt(patience.attempts) | stop_before_delay(left),
                wait=self._pause,
                reraise=True,
            ):
                with attempt:
                    tries += 1
                    await post(
                        webhook,
                        f"msg_{approval.id}",
                        body,
                        at=self._wall(),
                        seconds=patience.attempt,
                    )
        except Exception as error:
            self.failed += 1
            why = str(error) if isinstance(error, PostFailed) else type(error).__name__
            log.error(
                "a webhook was not told", webhook=webhook.name, approval=approval.id, tries=tries, error=why
            )
        else:
            self.sent += 1

    def _pause(self, state: RetryCallState) -> float:
        patience = self._patience
        backoff = wait_exponential(patience.first, patience.longest) + wait_random(0, patience.first)
        error = state.outcome.exception() if state.outcome is not None else None
        asked = error.after if isinstance(error, PostFailedForNow) else 0.0
        return max(backoff(state), min(asked, patience.longest))
