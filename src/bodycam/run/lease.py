"""Keeps a run's lease alive in the background, as long as the child lives."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bodycam.net.control_client import ControlError

_RENEW_AT = 0.5  # of what is left; the promise is before one third is left
_RETRY_SECONDS = 2.0
_REFUSED = (401, 403, 404, 409, 410)


class Lease:
    """A thread that renews while the `with` block lasts.

    `renew` asks the gateway and returns the new end, in seconds of the Unix epoch; `warn` is told once when
    the gateway refuses, which means that the run was revoked or ended.
    """

    def __init__(self, expires: float, renew: Callable[[], float], warn: Callable[[str], None]) -> None:
        self._expires, self._renew, self._warn = expires, renew, warn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self.refused = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)

    def _keep(self) -> None:
        pause = self._pause()
        while not self._stop.wait(pause):
            try:
                self._expires = self._renew()
            except ControlError as error:
                if error.status in _REFUSED:
                    self.refused = error.message
                    self._warn(f"the run can't be renewed: {error.message}; its sessions are cut")
                    return
                pause = min(_RETRY_SECONDS, self._pause())
                continue
            pause = self._pause()

    def _pause(self) -> float:
        return max(0.2, (self._expires - time.time()) * _RENEW_AT)
