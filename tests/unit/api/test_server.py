"""The whole process on real sockets."""

import asyncio
import json
import ssl
from pathlib import Path

import httpx
import pytest

from bodycam.api.server import serve
from bodycam.config.types import HostPort
from bodycam.net.authority import Authority, request
from bodycam.net.tls import server_context
from tests.unit.api.world import World


async def started(world: World, stop: asyncio.Event, **more: object) -> tuple[HostPort, "asyncio.Task[None]"]:
    told: asyncio.Future[HostPort] = asyncio.get_running_loop().create_future()
    await world.context.workers.stop()
    serving = serve(
        world.context, HostPort("127.0.0.1", 0), stop, sockets=world.folder, started=told.set_result, **more
    )  # type: ignore[arg-type]
    task = asyncio.create_task(serving)
    await asyncio.wait({told, task}, timeout=30, return_when=asyncio.FIRST_COMPLETED)
    return told.result(), task


async def test_it_serves_until_told_to_stop(world: World) -> None:
    stop = asyncio.Event()
    address, task = await started(world, stop)
    async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as client:
        assert (await client.get("/healthz")).json() == {"status": "alive", "version": "1.2.3"}
    stop.set()
    await asyncio.wait_for(task, 30)


async def test_a_watcher_that_leaves_is_forgotten_and_one_that_stays_is_ended(world: World) -> None:
    stop = asyncio.Event()
    address, task = await started(world, stop)
    headers = {"Authorization": f"Bearer {world.keys['dev']}"}
    async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers, trust_env=False) as client:
        async with client.stream("GET", "/v1/tail") as answer:
            assert json.loads(await anext(answer.aiter_lines()))["type"] == "alive"
            assert len(world.context.watchers) == 1
        async with asyncio.timeout(30):
            while world.context.watchers:
                await asyncio.sleep(0.02)
        async with client.stream("GET", "/v1/tail") as answer:
            lines = answer.aiter_lines()
            await anext(lines)
            stop.set()
            assert [one async for one in lines] == []
    await asyncio.wait_for(task, 30)
    assert not world.context.watchers


async def test_it_speaks_tls_with_the_context_it_is_given(world: World, tmp_path: Path) -> None:
    authority, asked = Authority.create("test"), request("control")
    chain = authority.sign(asked.csr_pem, names=["127.0.0.1"])
    (tmp_path / "ca.pem").write_bytes(authority.certificate_pem)
    stop = asyncio.Event()
    asked_for = []

    def tls() -> ssl.SSLContext:
        asked_for.append(True)
        return server_context(asked.key_pem, chain)

    address, task = await started(world, stop, tls=tls)
    trust = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    async with httpx.AsyncClient(base_url=f"https://{address}", verify=trust, trust_env=False) as client:
        assert (await client.get("/healthz")).status_code == 200
    assert len(asked_for) == 2
    stop.set()
    await asyncio.wait_for(task, 30)


async def test_an_address_in_use_is_named(world: World) -> None:
    stop = asyncio.Event()
    address, task = await started(world, stop)
    with pytest.raises(OSError, match=str(address.port)):
        await serve(world.context, address, stop, sockets=world.folder)
    stop.set()
    await asyncio.wait_for(task, 30)


async def test_a_part_that_fails_ends_the_process(world: World) -> None:
    async def failing() -> None:
        await asyncio.sleep(0.2)
        raise RuntimeError("the line is broken")

    _, task = await started(world, asyncio.Event(), beside=(failing(),))
    with pytest.raises(RuntimeError, match="the line is broken"):
        await asyncio.wait_for(task, 30)
