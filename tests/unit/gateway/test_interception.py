"""The certificates that a worker has for hosts: asked for once, kept, renewed, and no more of them than so many."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from bodycam.gateway.control import NoLeaf
from bodycam.gateway.interception import ALPN_MOST, Interception
from bodycam.net.authority import Authority

HOUR = 3600.0


class Control:
    """Signs, and remembers for whom; `now` is the clock of both, `away` makes it fail."""

    def __init__(self, most: int = 10) -> None:
        self.authority = Authority.create("interception")
        self.asked: list[str] = []
        self.keys: set[str] = set()
        self.now = time.time()
        self.away = False
        self.slow = asyncio.Event()
        self.slow.set()
        self.interception = Interception(self.leaf, most=most, clock=lambda: self.now)

    async def leaf(self, host: str, csr: str) -> str:
        self.asked.append(host)
        self.keys.add(csr)
        await self.slow.wait()
        if self.away:
            raise NoLeaf("away")
        now = datetime.fromtimestamp(self.now, UTC)
        return self.authority.sign(csr.encode(), names=[host], now=now).decode()


async def test_a_host_is_asked_for_once_however_it_is_written() -> None:
    control = Control()
    first = await control.interception.context("Api.Example.")
    assert await control.interception.context("api.example") is first
    assert await control.interception.context("api.example", ("h2",)) is not first
    assert control.asked == ["api.example"]


async def test_all_hosts_have_the_one_key() -> None:
    control = Control()
    for host in ("a.example", "b.example", "10.0.0.1", "::1"):
        await control.interception.context(host)
    assert len(control.keys) == 1


async def test_those_who_ask_at_once_share_one_certificate_and_none_takes_it_away() -> None:
    control = Control()
    control.slow.clear()
    asking = [asyncio.create_task(control.interception.context("a.example")) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    control.slow.set()
    made = await asyncio.gather(*asking[1:])
    assert (len(set(map(id, made))), control.asked) == (1, ["a.example"])


async def test_the_host_that_was_not_met_for_longest_goes_first() -> None:
    control = Control(most=2)
    for host in ("a.example", "b.example", "a.example", "c.example", "a.example", "b.example"):
        await control.interception.context(host)
    assert control.asked == ["a.example", "b.example", "c.example", "b.example"]


async def test_a_certificate_is_renewed_at_half_of_its_time() -> None:
    control = Control()
    first = await control.interception.context("a.example")
    control.now += 11 * HOUR
    assert await control.interception.context("a.example") is first
    control.now += 2 * HOUR
    assert await control.interception.context("a.example") is not first
    assert control.asked == ["a.example"] * 2


async def test_while_it_can_not_be_renewed_the_old_one_is_used_to_its_end_and_no_longer() -> None:
    control = Control()
    first = await control.interception.context("a.example")
    control.away = True
    control.now += 23 * HOUR
    assert await control.interception.context("a.example") is first
    control.now += 2 * HOUR
    with pytest.raises(NoLeaf, match="away"):
        await control.interception.context("a.example")
    control.away = False
    assert await control.interception.context("a.example") is not first


@pytest.mark.parametrize(
    "host", ["*.example", "", "a b", "a..b", "1.2.3", "ä.example", "a" * 300, "fe80::1%eth0"]
)
async def test_what_is_no_host_is_asked_of_nobody(host: str) -> None:
    control = Control()
    with pytest.raises(NoLeaf, match=r"host|address|characters"):
        await control.interception.context(host)
    assert control.asked == []


@pytest.mark.parametrize("chain", ["", "no certificate", "of another key", "over"])
async def test_a_chain_that_can_not_be_used_is_kept_by_nobody(chain: str) -> None:
    control = Control()
    asked: list[str] = []

    async def answer(host: str, csr: str) -> str:
        asked.append(host)
        match chain:
            case "of another key":
                return Authority.create("other").certificate_pem.decode()
            case "over":
                past = datetime.now(UTC) - timedelta(days=3)
                authority = Authority.create("old", now=past)
                return authority.sign(csr.encode(), names=[host], now=past).decode()
            case _:
                return chain

    interception = Interception(answer, clock=lambda: control.now)
    for _ in range(2):
        with pytest.raises(NoLeaf):
            await interception.context("a.example")
    assert asked == ["a.example"] * 2


async def test_lists_of_protocols_are_kept_up_to_a_bound() -> None:
    control = Control()
    for number in range(3 * ALPN_MOST):
        await control.interception.context("a.example", (f"p{number}",))
    assert len(control.interception._hosts["a.example"].contexts) == ALPN_MOST
    assert control.asked == ["a.example"]
