"""Errands at targets: small servers that answer, refuse, hang up or say nothing."""

import asyncio

import pytest

from bodycam.gateway import errand
from bodycam.model.target import Dial, TlsMode
from bodycam.protocols.postgres.opening import TargetOpening
from bodycam.session.errands import ErrandFailed
from bodycam.session.link import ErrandDone
from tests.unit.gateway.test_dialer import Talk, serving


class Ask:
    """Says `what?`, and is over once it has heard `that`."""

    def __init__(self, purpose: str = "that") -> None:
        self.purpose, self.over = purpose, False
        self.heard = b""

    def begun(self, secure: bool, certificate: bytes) -> bytes:
        assert not secure
        return b"what?"

    def receive(self, data: bytes) -> bytes:
        self.heard += data
        if self.heard == b"no":
            raise ErrandFailed("it said no")
        self.over = self.heard == b"that"
        return b"bye" if self.over else b""


def answering(*said: bytes, last: bytes = b"bye") -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(5) == b"what?"
        for one in said:
            writer.write(one)
            await writer.drain()
            await asyncio.sleep(0.01)
        assert await reader.readexactly(len(last)) == last

    return talk


async def run(port: int) -> tuple[ErrandDone, Ask]:
    ask = Ask()
    dial = Dial("127.0.0.1", port, "app", "db", None, TlsMode.DISABLE, connect_timeout=1.0)
    return await errand.run(dial, TargetOpening(TlsMode.DISABLE), ask), ask


async def test_it_is_done_when_it_says_so_and_its_last_word_arrives() -> None:
    async with serving(answering(b"th", b"at")) as server:
        done, ask = await run(server.port)
        assert done == ErrandDone("", ask)
        assert ask.heard == b"that"
        await asyncio.sleep(0.05)
        assert server.failures == []


async def test_what_fails_is_said() -> None:
    async with serving(answering(b"no")) as server:
        assert (await run(server.port))[0].failure == "it said no"


async def test_a_target_that_hangs_up_is_said() -> None:
    async with serving(answering(b"th", last=b"")) as server:
        assert (await run(server.port))[0].failure == "the target closed the connection"


async def test_a_target_that_is_not_there_is_said() -> None:
    done, _ = await run(1)
    assert "can't be reached" in done.failure


async def test_a_target_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errand, "SECONDS", 0.1)
    async with serving(answering()) as server:
        assert (await run(server.port))[0].failure == "the target did not answer in time"


async def test_those_who_ask_for_the_same_at_once_share_one_connection_and_its_answer() -> None:
    async with serving(answering(b"th", b"at")) as server:
        errands, opening = errand.Errands(), TargetOpening(TlsMode.DISABLE)
        dial = Dial("127.0.0.1", server.port, "app", "db", None, TlsMode.DISABLE, connect_timeout=1.0)
        first, second, other = Ask(), Ask(), Ask("something else")
        left = asyncio.create_task(errands.run(dial, opening, first))
        await asyncio.sleep(0)
        left.cancel()
        said = await asyncio.gather(*(errands.run(dial, opening, one) for one in (second, second, other)))
        assert [one.errand for one in said] == [first, first, other]
        assert second.heard == b""
        assert (await errands.run(dial, opening, second)).errand is second, "what is over is done anew"
