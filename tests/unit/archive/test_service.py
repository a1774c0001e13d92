"""What the control process can ask of the archivist, over its socket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.archive.head import Head
from bodycam.archive.ledger import salted
from bodycam.archive.merkle import verify_consistency
from bodycam.archive.service import ArchivistService
from bodycam.archive.verify import Verifier
from bodycam.model import ids
from bodycam.model.event import Kind
from bodycam.net.channel import Channel, RemoteError, connect
from tests.unit.archive.house import House, Worker, without_times


class Asked:
    """A running service, a channel to it, and a worker that writes."""

    def __init__(self, house: House, worker: Worker, channel: Channel) -> None:
        self.house, self.worker, self.channel = house, worker, channel

    async def events(self, session: str) -> list[tuple[int, int, Any]]:
        stream = self.channel.stream("transcript", {"session": session})
        return without_times([event async for event in stream])

    async def settle(self, *sessions: str, timeout: float = 10) -> dict[str, Any]:
        answer = await self.channel.call(
            "settle", {"sessions": list(sessions), "timeout": timeout}, timeout=20
        )
        assert isinstance(answer, dict)
        return answer


async def nothing(_channel: Channel, _verb: str, _body: Any) -> None:
    return None


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    house = House(tmp_path)
    worker = Worker(house.writer())
    archivist = house.make()
    assert house.keystore is not None

    def verify() -> dict[str, Any]:
        key = house.keys.signing.public_key()
        return Verifier(tmp_path / "ledger", house.store, key, pinned=False).run().to_plain()

    service = ArchivistService(
        archivist, store=house.store, keystore=house.keystore, find=lambda _: None, verify=verify
    )
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(tmp_path / "archivist.sock", stop))
    async with asyncio.timeout(30):
        while not (tmp_path / "archivist.sock").exists():
            await asyncio.sleep(0.01)
    channel = await connect(tmp_path / "archivist.sock", nothing)
    reading = asyncio.create_task(channel.run())
    yield Asked(house, worker, channel)
    channel.close()
    await reading
    stop.set()
    await running
    house.keystore.close()
    worker.die()


async def test_a_session_is_read_while_it_is_open_and_as_soon_as_it_is_sealed(asked: Asked) -> None:
    session = asked.worker.open()
    asked.worker.query(session, 1)
    async with asyncio.timeout(30):
        while True:
            with contextlib.suppress(RemoteError):
                if await asked.events(session) == asked.worker.committed[session]:
                    break
            await asyncio.sleep(0.01)

    asked.worker.close(session)
    settled = await asked.settle(session)

    assert (settled["sealed"], settled["missing"]) == ([session], [])
    assert await asked.events(session) == asked.worker.committed[session]


async def test_a_long_recording_comes_whole(asked: Asked) -> None:
    session = asked.worker.open()
    for exchange in range(1, 700):
        asked.worker.query(session, exchange)
    asked.worker.close(session)
    await asked.settle(session)

    assert await asked.events(session) == asked.worker.committed[session]


async def test_settling_names_what_is_missing_when_the_time_is_up(asked: Asked) -> None:
    session = asked.worker.open()

    settled = await asked.settle(session, timeout=0.1)

    assert (settled["sealed"], settled["missing"]) == ([], [session])


async def test_the_head_after_settling_extends_the_one_before(asked: Asked) -> None:
    session = asked.worker.open()
    while not (first := Head.from_plain(await asked.channel.call("head"))).size:
        await asyncio.sleep(0.01)
    asked.worker.close(session)
    second = Head.from_plain((await asked.settle(session))["head"])

    proof = await asked.channel.call("consistency", {"first": first.size, "second": second.size})

    assert first.size < second.size
    assert second.holds(asked.house.keys.signing.public_key())
    assert verify_consistency(first.size, second.size, first.root, second.root, proof)


async def test_an_act_enters_the_ledger_as_a_salted_hash(asked: Asked) -> None:
    act = {"action": "revoke", "actor": "ci@local", "object": "run_a", "detail": {"reason": "test"}}

    entered = await asked.channel.call("admin", act)

    expected = salted("revoke", "ci@local", "run_a", '{"reason":"test"}', salt=entered["salt"])
    assert entered["leaf"] == expected
    head = await asked.channel.call("head")
    assert head["size"] == entered["index"] + 1


async def test_verify_and_status_answer(asked: Asked) -> None:
    session = asked.worker.open()
    asked.worker.put(session, Kind.NOTE, 0, {"note": "truncated"})
    asked.worker.close(session)
    await asked.settle(session)

    report = await asked.channel.call("verify", timeout=20)
    status = await asked.channel.call("status")

    assert report["state"] == "self-consistent"
    assert report["counts"]["sessions"] == 1
    assert (status["sealed_total"], status["open_sessions"]) == (1, 0)
    assert status["lag_seconds"] < 5


@pytest.mark.parametrize("session", [ids.new_id(ids.SESSION), "nonsense"], ids=["unknown", "nonsense"])
async def test_an_unknown_session_is_said_to_be_unknown(asked: Asked, session: str) -> None:
    with pytest.raises(RemoteError) as refused:
        await asked.events(session)
    assert refused.value.code == "not-found"


async def test_an_unknown_verb_is_refused(asked: Asked) -> None:
    with pytest.raises(RemoteError, match="no answer"):
        await asked.channel.call("dance")
