import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.api.archivist import ArchivistAway, ArchivistRefused
from bodycam.api.archivist_client import ArchivistClient
from bodycam.net.channel import Channel, ChannelServer, RemoteError
from tests.unit.api.world import World


class Answering:
    """The archivist's end of the line."""

    def __init__(self) -> None:
        self.sent, self.ended = 0, asyncio.Event()

    async def hear(self, _channel: Channel, verb: str, body: Any) -> Any:
        match verb:
            case "transcript":
                return self._events()
            case "settle":
                return {"sealed": body["sessions"], "missing": [], "head": {"size": 3}}
            case "admin":
                return {"index": 5, "salt": b"s", "leaf": b"l"}
            case "consistency":
                return [b"\x01", b"\x02"]
            case "head":
                raise RemoteError("no-such-head", "there is none")
            case _:
                return {"verb": verb}

    async def _events(self) -> AsyncIterator[Any]:
        try:
            while True:
                self.sent += 1
                yield [1, self.sent, 0, {}]
        finally:
            self.ended.set()


@contextlib.asynccontextmanager
async def answering(path: Path) -> AsyncIterator[Answering]:
    one = Answering()
    server = ChannelServer(one.hear)
    await server.start(path)
    try:
        yield one
    finally:
        await server.stop()
        await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def calling(path: Path) -> AsyncIterator[ArchivistClient]:
    client = ArchivistClient(path)
    task = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def up(client: ArchivistClient, wanted: bool = True) -> None:
    async with asyncio.timeout(30):
        while client.connected is not wanted:
            await asyncio.sleep(0.01)


async def test_each_verb_carries_its_answer(world: World) -> None:
    path = world.folder / "a.sock"
    async with answering(path), calling(path) as client:
        await up(client)
        settled = await client.settle(["ses_a"], 1)
        assert (settled.sealed, settled.missing, settled.head) == (("ses_a",), (), {"size": 3})
        entered = await client.enter("act", "who", "what", {})
        assert (entered.index, entered.salt) == (5, b"s")
        assert await client.consistency(1, 2) == [b"\x01", b"\x02"]
        assert (await client.status(), await client.verify()) == ({"verb": "status"}, {"verb": "verify"})
        with pytest.raises(ArchivistRefused) as refused:
            await client.head()
        assert refused.value.code == "no-such-head"


async def test_it_says_that_the_archivist_is_away_and_comes_back(world: World) -> None:
    path = world.folder / "a.sock"
    async with calling(path) as client:
        with pytest.raises(ArchivistAway, match=r"a\.sock"):
            await client.status()
        with pytest.raises(ArchivistAway):
            await anext(client.transcript("ses_a"))
        for _ in range(2):
            async with answering(path):
                await up(client)
                assert await client.status()
            await up(client, wanted=False)


async def test_a_transcript_that_is_left_ends_at_the_archivist(world: World) -> None:
    path = world.folder / "a.sock"
    async with answering(path) as archivist, calling(path) as client:
        events = client.transcript("ses_a")
        assert [(await anext(events))[1] for _ in range(3)] == [1, 2, 3]
        await events.aclose()
        await asyncio.wait_for(archivist.ended.wait(), 30)
        assert archivist.sent < 200
