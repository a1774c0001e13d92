"""The gateway's host key as this worker knows it: asked for once, kept in memory as long as it lives."""

from collections.abc import Awaitable, Callable
from typing import final

from bodycam.session.link import HostKey, NoHostKey


@final
class KnownHostKey:
    """What `AskHostKey` is answered by; `ask` gets the key of the control process."""

    def __init__(self, ask: Callable[[], Awaitable[HostKey | NoHostKey]]) -> None:
        self._ask = ask
        self._known: HostKey | None = None

    async def get(self) -> HostKey | NoHostKey:
        """The key; where there is none just now, the next one who asks has it asked for again."""
        if self._known is not None:
            return self._known
        answer = await self._ask()
        if isinstance(answer, HostKey):
            self._known = answer
        return answer
