"""A cancel request lasts until the target has been told, here or elsewhere, and not for ever."""

import asyncio
from dataclasses import dataclass, field

import pytest

from bodycam.gateway import cancels
from bodycam.gateway.cancels import Cancels


@dataclass(eq=False)
class Link:
    """A link whose cancel knocks at its target, which takes it when it is told to."""

    house: "House"
    taken: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: int = 0

    def cancel(self) -> None:
        self.cancelled += 1
        self.house.cancels.knock(self, self._knock())

    async def _knock(self) -> None:
        await self.taken.wait()


class House:
    def __init__(self) -> None:
        self.elsewhere: list[bytes] = []
        self.cancels = Cancels(self._elsewhere)

    async def _elsewhere(self, key: bytes) -> None:
        self.elsewhere.append(key)

    def link(self, key: bytes) -> Link:
        made = Link(self)
        self.cancels.register(made, key)
        return made


async def test_a_request_waits_until_the_target_of_its_link_has_it() -> None:
    house = House()
    link, other = house.link(b"ours"), house.link(b"another")
    request = asyncio.create_task(house.cancels.request(b"ours"))
    await asyncio.sleep(0.05)
    assert (link.cancelled, other.cancelled, request.done()) == (1, 0, False)

    link.taken.set()
    await asyncio.wait_for(request, 30)
    assert house.elsewhere == []


async def test_a_key_that_is_not_ours_is_asked_for_elsewhere() -> None:
    house = House()
    link = house.link(b"ours")
    house.cancels.forget(link)

    assert not await house.cancels.here(b"ours")
    await house.cancels.request(b"ours")

    assert house.elsewhere == [b"ours"]
    assert link.cancelled == 0


async def test_a_target_that_does_not_take_it_holds_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cancels, "CANCEL_SECONDS", 0.05)
    house = House()
    link = house.link(b"ours")

    await asyncio.wait_for(house.cancels.request(b"ours"), 30)

    # the knock itself goes on, and two at once are both waited for
    second = asyncio.create_task(house.cancels.here(b"ours"))
    await asyncio.sleep(0.05)
    assert not second.done()
    link.taken.set()
    assert await asyncio.wait_for(second, 30)
    assert link.cancelled == 2
