"""Servers beside a run's child: each in a thread and an event loop of its own, as long as the run lasts."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, final

STOP_SECONDS = 5.0
"""How long a server may take to end its connections."""


@final
class Beside:
    """One such server, and what its connections do."""

    def __init__(self, name: str) -> None:
        """`name` is the thread's."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)

    def start(self, starting: Coroutine[Any, Any, asyncio.Server]) -> asyncio.Server:
        """Start what listens, and return once it does.

        Raises:
            OSError: it can't listen; nothing is left of it.
        """
        try:
            self._server = self._loop.run_until_complete(starting)
        except OSError:
            self._loop.close()
            raise
        self._thread.start()
        return self._server

    def stop(self) -> None:
        """Cancel what its connections do, and return once they have ended, or have had their time."""
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(STOP_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(STOP_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close their sockets in the loop's next turn
