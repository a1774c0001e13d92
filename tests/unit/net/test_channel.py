"""Two processes' ends of a channel: calls, notices, streams, and a peer that goes away or talks nonsense."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cbor2
import pytest

from bodycam.net.channel import (
    MAX_FRAME,
    STREAM_WINDOW,
    Channel,
    ChannelClosed,
    ChannelServer,
    RemoteError,
    connect,
)

Answer = Callable[[Channel, str, Any], Awaitable[Any]]


async def silent(channel: Channel, verb: str, body: Any) -> None:
    return None


@asynccontextmanager
async def pair(folder: Path, answer: Answer, own: Answer = silent) -> AsyncIterator[Channel]:
    server = ChannelServer(answer)
    await server.start(folder / "s")
    client = await connect(folder / "s", own)
    running = asyncio.create_task(client.run())
    try:
        async with asyncio.timeout(30):
            yield client
    finally:
        client.close()
        await running
        await server.stop()
        async with asyncio.timeout(30):
            while server.channels:
                await asyncio.sleep(0.01)


async def test_a_call_gets_its_own_answer(tmp_path: Path) -> None:
    async def slow_first(channel: Channel, verb: str, body: Any) -> Any:
        await asyncio.sleep(0.05 if body == 1 else 0)
        return [verb, body]

    async with pair(tmp_path, slow_first) as client:
        answers = await asyncio.gather(client.call("a", 1), client.call("b", 2))
        assert answers == [["a", 1], ["b", 2]]
        assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


async def test_errors_come_back_with_their_code(tmp_path: Path) -> None:
    async def failing(channel: Channel, verb: str, body: Any) -> Any:
        if verb == "known":
            raise RemoteError("not-found", "no such run")
        raise KeyError("oops")

    async with pair(tmp_path, failing) as client:
        with pytest.raises(RemoteError, match="no such run") as caught:
            await client.call("known")
        assert caught.value.code == "not-found"
        with pytest.raises(RemoteError, match="KeyError") as caught:
            await client.call("other")
        assert caught.value.code == "internal"


async def test_a_call_ends_at_its_deadline(tmp_path: Path) -> None:
    async def never(channel: Channel, verb: str, body: Any) -> Any:
        await asyncio.sleep(60)

    async with pair(tmp_path, never) as client:
        with pytest.raises(TimeoutError):
            await client.call("x", timeout=0.05)


async def test_both_ends_may_call_and_tell(tmp_path: Path) -> None:
    told = asyncio.Event()

    async def back(channel: Channel, verb: str, body: Any) -> Any:
        return await channel.call("name") if verb == "who" else None

    async def own(channel: Channel, verb: str, body: Any) -> Any:
        told.set()
        return "client"

    async with pair(tmp_path, back, own) as client:
        client.tell("notice", {"a": b"b"})
        assert await client.call("who") == "client"
        assert told.is_set()


async def test_a_stream_comes_item_by_item_and_is_bounded_by_its_reader(tmp_path: Path) -> None:
    made = 0

    async def numbers(channel: Channel, verb: str, body: Any) -> Any:
        async def items() -> AsyncIterator[int]:
            nonlocal made
            for number in range(body):
                made += 1
                yield number

        return items()

    async with pair(tmp_path, numbers) as client:
        got = []
        async for item in client.stream("count", 500):
            if item == 0:
                await asyncio.sleep(0.1)
                assert made <= STREAM_WINDOW + 2
            got.append(item)
        assert got == list(range(500))
        assert [item async for item in client.stream("count", 0)] == []


async def test_a_stream_that_its_reader_leaves_ends_at_the_other_side(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def endless(channel: Channel, verb: str, body: Any) -> Any:
        async def items() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"x"
            finally:
                ended.set()

        return items()

    async with pair(tmp_path, endless) as client:
        async with contextlib.aclosing(client.stream("all")) as stream:  # type: ignore[type-var]
            assert await anext(stream) == b"x"
        await ended.wait()
        assert client.closed.is_set() is False


async def test_a_stream_can_fail_in_the_middle(tmp_path: Path) -> None:
    async def broken(channel: Channel, verb: str, body: Any) -> Any:
        async def items() -> AsyncIterator[int]:
            yield 1
            raise RemoteError("damaged", "block 2")

        return items()

    async with pair(tmp_path, broken) as client:
        stream = client.stream("x")
        assert await anext(stream) == 1
        with pytest.raises(RemoteError, match="block 2"):
            await anext(stream)


async def test_what_waits_fails_when_the_peer_goes_away(tmp_path: Path) -> None:
    async def leave(channel: Channel, verb: str, body: Any) -> Any:
        channel.close()

    async with pair(tmp_path, leave) as client:
        with pytest.raises(ChannelClosed):
            await client.call("x")
        with pytest.raises(ChannelClosed):
            await client.call("x")
        with pytest.raises(ChannelClosed):
            client.tell("x")


async def test_nobody_listening_is_a_closed_channel(tmp_path: Path) -> None:
    with pytest.raises(ChannelClosed, match="no process answers"):
        await connect(tmp_path / "absent", silent)


async def test_a_frame_over_the_limit_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    async with pair(tmp_path, silent) as client:
        with pytest.raises(ValueError, match="over the channel's"):
            client.tell("x", bytes(MAX_FRAME))
        assert await client.call("still there") is None


@pytest.mark.parametrize(
    "sent",
    [
        b"\xff\xff\xff\xff",
        b"\0\0\0\x01\xff",
        b"\0\0\0\x01\x05",
        b"\0\0\0\x02\x81\x01",
        b"\0\0\0\x05" + cbor2.dumps([[], 1, 2])[:5],
        (lambda f: len(f).to_bytes(4, "big") + f)(cbor2.dumps([0, "taken", []])),
        (lambda f: len(f).to_bytes(4, "big") + f)(cbor2.dumps([0, "left", {}])),
        b"\0\0",
    ],
)
async def test_a_peer_that_talks_nonsense_is_cut_off(tmp_path: Path, sent: bytes) -> None:
    server = ChannelServer(silent)
    await server.start(tmp_path / "s")
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
    writer.write(sent)
    writer.write_eof()
    async with asyncio.timeout(30):
        assert await reader.read() == b""
        while server.channels:
            await asyncio.sleep(0.01)
    writer.close()
    await server.stop()
