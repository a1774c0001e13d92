import asyncio
import json

from bodycam.catalog.engine import writing
from bodycam.catalog.tail import Arrival, announce
from bodycam.model.event import Kind
from tests.unit.api.world import World


async def test_a_transcript_is_a_line_an_entry_and_its_viewing_is_entered(world: World) -> None:
    started = await world.start_run()
    session = world.add_session(started["run"]["id"])
    world.archivist.events[session] = [
        [Kind.OPENED, 0, 0, {}],
        [Kind.REQUEST, 10, 1, ["query", "SELECT 'é'", [], {}, "statement", None, 0]],
        [99, 11, 1, None],
        [Kind.REQUEST, 12, 2, ["query", "x" * 100_000, [], {}, "statement", None, 0]],
    ]
    answer = await world.call("dev", "GET", f"/v1/sessions/{session}/transcript")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(one) for one in answer.text.splitlines()]
    assert lines[0] == {"at": 0, "exchange": 0, "type": "noted", "what": "opened", "detail": ""}
    assert (lines[1]["type"], lines[1]["text"], lines[1]["at"]) == ("asked", "SELECT 'é'", 10)
    assert lines[2]["what"] == "unknown-event"
    assert len(lines[3]["text"]) == 100_000
    assert world.archivist.entered == [
        ("viewed", "dev@bodycam", session, {"run": started["run"]["id"], "grant": "own", "view": "full"})
    ]
    audit = (await world.call("aud", "GET", "/v1/audit")).json()["events"]
    assert (audit[0]["action"], audit[0]["leaf"], audit[0]["salt"]) == ("viewed", 0, b"salt".hex() * 4)


async def test_a_transcript_that_can_not_be_entered_is_not_shown(world: World) -> None:
    started = await world.start_run()
    session = world.add_session(started["run"]["id"])
    missing = await world.call("dev", "GET", f"/v1/sessions/{session}/transcript")
    assert (missing.status_code, world.archivist.entered) == (404, [])
    world.archivist.away = True
    away = await world.call("dev", "GET", f"/v1/sessions/{session}/transcript")
    assert (away.status_code, away.json()["error"]["code"]) == (503, "archivist-away")


async def test_tail_tells_what_arrives_for_those_who_may_see_it(world: World) -> None:
    mine, theirs = await world.start_run("dev"), await world.start_run("eve")
    watching = asyncio.create_task(world.call("dev", "GET", "/v1/tail"))
    async with asyncio.timeout(30):
        while not world.context.watchers:
            await asyncio.sleep(0.01)
    own = world.add_session(mine["run"]["id"], "dev")
    other = world.add_session(theirs["run"]["id"], "eve")
    with writing(world.context.catalog) as connection:
        announce(connection, [(Arrival.OPENED, own), (Arrival.OPENED, other)])
    await asyncio.sleep(0.6)
    world.context.closing.set()
    answer = await watching
    lines = [json.loads(one) for one in answer.text.splitlines()]
    told = [one for one in lines if one["type"] != "alive"]
    assert [(one["type"], one["session"]) for one in told] == [("opened", own)]
    assert not world.context.watchers
