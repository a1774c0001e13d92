"""Operations that wait for a person: asked for at the control process, and waited for, each for so long.

The control process only wakes those who wait; the approval itself is consumed by asking once more, right
before the operation goes on. Whoever waits no longer never asks, so nothing is executed late.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from bodycam.session.approval import ApprovalSaid, ApprovalState, ApprovalWanted
from bodycam.session.link import AskApproval

log = structlog.get_logger(__name__)

LOOK_AGAIN = 2.0
"""Seconds after which whoever waits asks again by itself, should the wake-up have been lost."""

Ask = Callable[[ApprovalWanted], Awaitable[ApprovalSaid]]


class WaitingLink(Protocol):
    """The part of a link that is told of the waiting."""

    def waits(self, said: ApprovalSaid) -> None: ...


class Approvals:
    """What waits at this worker."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._woken: dict[str, asyncio.Event] = {}

    @property
    def waiting(self) -> int:
        """Approvals that something waits for."""
        return len(self._woken)

    def decided(self, approval: str) -> None:
        """Somebody decided; those who wait for it ask again."""
        woken = self._woken.get(approval)
        if woken is not None:
            woken.set()

    async def request(self, link: WaitingLink, need: AskApproval) -> ApprovalSaid:
        """Where an approval stands, waited for as long as the need says."""
        said = await self._ask(need.wanted)
        if said.state is not ApprovalState.PENDING or need.wait <= 0 or need.given_up():
            return said
        loop = asyncio.get_running_loop()
        until = loop.time() + need.wait
        woken = self._woken.setdefault(said.approval, asyncio.Event())
        try:
            link.waits(said)
            while not need.given_up() and (left := until - loop.time()) > 0:
                try:
                    await asyncio.wait_for(woken.wait(), min(left, LOOK_AGAIN))
                except TimeoutError:
                    if need.given_up() or loop.time() >= until:
                        break
                woken.clear()
                if need.given_up():
                    break
                said = await self._ask(need.wanted)
                if said.state is not ApprovalState.PENDING:
                    break
        finally:
            if self._woken.get(said.approval) is woken:
                del self._woken[said.approval]
        return said
