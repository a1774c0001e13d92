"""Operations that wait for a person: asked for at the control process, and waited for, each for so long.

The control process only wakes those who wait; the approval itself is consumed by asking once more, right
before the operation goes on. Whoever waits no longer never asks, so nothing is executed late.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from bodycam.gateway.decisions import Decisions
from bodycam.session.approval import ApprovalSaid, ApprovalState, ApprovalWanted
from bodycam.session.link import AskApproval

LOOK_AGAIN = 2.0
"""Seconds after which whoever waits asks again by itself, should the wake-up have been lost."""

Ask = Callable[[ApprovalWanted], Awaitable[ApprovalSaid | None]]

AWAY = ApprovalSaid(
    "", ApprovalState.DENIED, reason="the gateway can't ask anybody just now; try again in a moment"
)


class WaitingLink(Protocol):
    """The part of a link that is told of the waiting."""

    def waits(self, said: ApprovalSaid) -> None: ...


class Approvals:
    """What waits at this worker; `ask` gives None while the control process is away."""

    def __init__(self, ask: Ask, decisions: Decisions) -> None:
        self._ask, self._decisions = ask, decisions

    async def request(self, link: WaitingLink, need: AskApproval) -> ApprovalSaid:
        """Where an approval stands, waited for as long as the need says."""
        return replace(await self._waited_for(link, need), exchange=need.wanted.exchange)

    async def _waited_for(self, link: WaitingLink, need: AskApproval) -> ApprovalSaid:
        said = await self._ask(need.wanted)
        if said is None:
            return AWAY
        if said.state is not ApprovalState.PENDING or need.wait <= 0 or need.given_up():
            return said
        link.waits(replace(said, exchange=need.wanted.exchange))
        clock = asyncio.get_running_loop().time
        until = clock() + need.wait
        while said.state is ApprovalState.PENDING:
            await self._until_woken(said.approval, min(LOOK_AGAIN, until - clock()))
            if need.given_up():
                break
            # the control process may be back before the patience is over
            said = await self._ask(need.wanted) or said
            if clock() >= until:
                break
        return said

    async def _until_woken(self, approval: str, seconds: float) -> None:
        woken = asyncio.Event()
        self._decisions.await_decision(approval, woken.set)
        try:
            await asyncio.wait_for(woken.wait(), max(0.0, seconds))
        except TimeoutError:
            pass
        finally:
            self._decisions.forget(approval, woken.set)
