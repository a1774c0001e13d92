"""How long a target may take over its login once it has taken the connection."""

import asyncio
import time
from typing import Protocol


class Cut(Protocol):
    """The part of a link that ends it."""

    def cut(self, reason: str) -> None: ...


class Patience:
    """The targets whose login is under way, each with its own deadline."""

    def __init__(self) -> None:
        self._timers: dict[Cut, asyncio.TimerHandle] = {}

    def await_login(self, link: Cut, timeout: float, began: float) -> None:
        """A target that says nothing has until its own timeout, counted from the monotonic time `began`."""
        self.answered(link)
        self._timers[link] = asyncio.get_running_loop().call_later(
            max(0.0, began + timeout - time.monotonic()),
            link.cut,
            f"the target did not finish the login within {timeout:g} s",
        )

    def answered(self, link: Cut) -> None:
        """The login is over, or the link is."""
        timer = self._timers.pop(link, None)
        if timer is not None:
            timer.cancel()
