"""Exchanges as the API lists, finds and tails them, out of a real index."""

import asyncio
import json

from bodycam.catalog.bundles import Bundle
from bodycam.catalog.engine import writing
from bodycam.catalog.ingest import write
from bodycam.catalog.runs import get_run
from bodycam.catalog.sessions import get_session
from bodycam.catalog.statement import statement_of
from bodycam.catalog.tail import Arrival, announce
from tests.unit.api.world import World


def index(world: World, session: str, *texts: str) -> list[int]:
    with writing(world.context.catalog) as connection:
        found = get_session(connection, session)
        assert found is not None
        run = get_run(connection, found.run)
        assert run is not None
        bundles = []
        for number, text in enumerate(texts, 1):
            one = Bundle(
                statement_of(text, 1000),
                "query",
                text.startswith("--"),
                "ok",
                None,
                found.key,
                run.key,
                session,
            )
            one.add((number, 2_000_000 + number, 1500, 3, 99, "$1 = 42", "", "", ""), 7)
            bundles.append(one)
        return write(connection, bundles)


async def test_exchanges_come_in_order_and_hits_newest_first(world: World) -> None:
    session = world.add_session((await world.start_run())["run"]["id"])
    index(world, session, "SELECT apples", "-- aside", "SELECT pears")
    listed = (await world.call("dev", "GET", "/v1/exchanges", params={"session": session})).json()[
        "exchanges"
    ]
    assert [one["text"] for one in listed] == ["SELECT apples", "SELECT pears"]
    assert (listed[0]["started"], listed[0]["duration_us"], listed[0]["parameters"]) == (
        2.000001,
        1500,
        "$1 = 42",
    )
    asides = await world.call("dev", "GET", "/v1/exchanges", params={"session": session, "asides": True})
    assert len(asides.json()["exchanges"]) == 3

    async def hits(who: str, **query: str) -> list[str]:
        answer = await world.call(who, "GET", "/v1/search", params=query)
        return [one["text"] for one in answer.json()["hits"]]

    assert await hits("dev", q="select") == ["SELECT pears", "SELECT apples"]
    assert await hits("dev", q="42 pears") == ["SELECT pears"]
    assert await hits("dev", q="select", status="denied") == []
    assert await hits("dev") == ["SELECT pears", "SELECT apples"]
    assert await hits("eve", q="select") == []
    assert await hits("aud", q="apples", run="run_none") == []
    found = (await world.call("dev", "GET", "/v1/search", params={"q": "apples"})).json()["hits"][0][
        "snippet"
    ]
    assert found["text"][found["begin"] : found["end"]] == "apples"


async def test_tail_tells_finished_exchanges(world: World) -> None:
    session = world.add_session((await world.start_run())["run"]["id"])
    watching = asyncio.create_task(world.call("dev", "GET", "/v1/tail", params={"session": session}))
    async with asyncio.timeout(30):
        while not world.context.watchers:
            await asyncio.sleep(0.01)
    ids = index(world, session, "SELECT 1", "-- aside")
    with writing(world.context.catalog) as connection:
        announce(connection, [(Arrival.EXCHANGES, str(one)) for one in ids])
    await asyncio.sleep(0.6)
    world.context.closing.set()
    lines = [json.loads(one) for one in (await watching).text.splitlines()]
    assert [one["text"] for one in lines if one["type"] == "exchange"] == ["SELECT 1"]
