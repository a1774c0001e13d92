import time

import pytest

from bodycam.api.upkeep import sweep
from bodycam.catalog.engine import writing
from bodycam.catalog.runs import renew_run
from tests.unit.api.world import TRACE, World


async def test_a_run_lives_from_start_to_end(world: World) -> None:
    started = await world.start_run(labels={"ticket": "A-1"}, trace=TRACE, grade="separated", ttl=60)
    run, credential = started["run"], started["credential"]
    assert run["state"] == "active"
    assert (run["principal"], run["grade"], run["trace"]) == ("dev@bodycam", "separated", TRACE)
    assert run["expires"] == pytest.approx(time.time() + 60, abs=5)
    assert credential["user"] == run["id"]
    assert credential["secret"].startswith(f"bcr_{run['id']}_")

    renewed = await world.call("dev", "POST", f"/v1/runs/{run['id']}/renew", json={})
    assert renewed.json()["expires"] == pytest.approx(time.time() + 3600, abs=5)

    worker = await world.worker()
    opened = await worker.log_in(credential["secret"])
    session = opened["grant"]["session"]
    assert opened["grant"]["dial"]["host"] == "db.internal"
    world.add_session(run["id"], session=session)

    world.archivist.unsealed.add(session)
    answer = await world.call("dev", "POST", f"/v1/runs/{run['id']}/end", json={"exit_code": 3, "wait": 0})
    ended = answer.json()
    assert (ended["run"]["state"], ended["run"]["exit_code"]) == ("ended", 3)
    assert ended["sessions"] == ended["unsealed"] == [session]
    assert ended["head"]["signature"] == "cc"
    assert (await worker.told("cut"))["run"] == run["id"]

    refused = await worker.log_in(credential["secret"])
    assert refused["refusal"]["code"] == "run-ended"
    shown = (await world.call("dev", "GET", f"/v1/runs/{run['id']}")).json()
    assert [one["id"] for one in shown["sessions"]] == [session]
    assert (await world.call("dev", "POST", f"/v1/runs/{run['id']}/renew")).status_code == 409


async def test_ending_waits_for_sessions_that_the_index_does_not_know_yet(world: World) -> None:
    started = await world.start_run()
    worker = await world.worker()
    session = (await worker.log_in(started["credential"]["secret"]))["grant"]["session"]
    worker.channel.tell("closed", {"session": session})
    path = f"/v1/runs/{started['run']['id']}/end"
    ended = (await world.call("dev", "POST", path, json={"wait": 1})).json()
    assert (ended["sessions"], ended["unsealed"]) == ([session], [])


async def test_only_who_ends_somebody_elses_run_is_entered(world: World) -> None:
    own, others = await world.start_run(), await world.start_run()
    await world.call("dev", "POST", f"/v1/runs/{own['run']['id']}/end", json={"wait": 0})
    assert [entry for entry in world.archivist.entered if entry[0] == "run-ended"] == []
    for _ in range(2):
        await world.call("ada", "POST", f"/v1/runs/{others['run']['id']}/end", json={"wait": 0})
    [entry] = [entry for entry in world.archivist.entered if entry[0] == "run-ended"]
    assert entry[1:] == ("ada@bodycam", others["run"]["id"], {"sessions": []})


async def test_only_who_renews_somebody_elses_run_is_entered_and_before_it_lasts_longer(world: World) -> None:
    run = (await world.start_run())["run"]

    async def renewed(who: str, run: str) -> int:
        answer = await world.call(who, "POST", f"/v1/runs/{run}/renew", json={"ttl": 7200})
        return answer.status_code

    assert await renewed("dev", run["id"]) == 200
    assert [entry for entry in world.archivist.entered if entry[0] == "run-renewed"] == []
    assert await renewed("ada", run["id"]) == 200
    [entry] = [entry for entry in world.archivist.entered if entry[0] == "run-renewed"]
    assert entry[1:3] == ("ada@bodycam", run["id"])
    assert entry[3]["expires"] == pytest.approx(time.time() + 7200, abs=60)
    world.archivist.away = True
    assert (await renewed("ada", run["id"]), await renewed("dev", run["id"])) == (503, 200)
    world.archivist.away = False
    # nothing was done to what is over
    over = (await world.start_run())["run"]["id"]
    await world.call("dev", "POST", f"/v1/runs/{over}/end", json={"wait": 0})
    assert await renewed("ada", over) == 409
    assert len([entry for entry in world.archivist.entered if entry[0] == "run-renewed"]) == 1


async def test_a_run_can_be_ended_while_the_archivist_is_away(world: World) -> None:
    started = await world.start_run()
    session = world.add_session(started["run"]["id"])
    world.archivist.away = True
    answer = await world.call("dev", "POST", f"/v1/runs/{started['run']['id']}/end", json={"wait": 0})
    assert answer.status_code == 200
    assert (answer.json()["head"], answer.json()["unsealed"]) == (None, [session])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"agent": "nobody"}, 403, "may-not-start"),
        ({"agent": "root-bot"}, 403, "may-not-start"),
        ({}, 422, "invalid"),
        ({"agent": "billing-bot", "ttl": 1}, 422, "invalid"),
        ({"agent": "billing-bot", "ttl": 10**9}, 422, "ttl-too-long"),
        ({"agent": "billing-bot", "labels": {f"k{n}": "v" for n in range(33)}}, 422, "invalid"),
        ({"agent": "billing-bot", "labels": {"k": "v" * 256}}, 422, "invalid"),
        ({"agent": "billing-bot", "labels": {"k k": "v"}}, 422, "invalid"),
        ({"agent": "billing-bot", "grade": "perfect"}, 422, "invalid"),
        ({"agent": "billing-bot", "owner": "me"}, 422, "invalid"),
    ],
)
async def test_what_can_not_be_started_is_said(world: World, body: object, status: int, code: str) -> None:
    answer = await world.call("dev", "POST", "/v1/runs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_a_malformed_trace_is_left_out(world: World) -> None:
    assert (await world.start_run(trace="../../etc"))["run"]["trace"] is None


async def test_an_expired_run_is_swept(world: World) -> None:
    started = await world.start_run(ttl=60)
    worker = await world.worker()
    await worker.log_in(started["credential"]["secret"])
    assert await sweep(world.context) == []
    now = time.time_ns() // 1000
    with writing(world.context.catalog) as connection:
        assert renew_run(connection, started["run"]["id"], now, now - 1)
    assert await sweep(world.context) == [started["run"]["id"]]
    order = await worker.told("cut")
    assert (order["run"], order["reason"]) == (started["run"]["id"], "the run's lease has expired")


async def test_pages_go_on_where_the_last_one_ended(world: World) -> None:
    names = [(await world.start_run())["run"]["id"] for _ in range(3)]
    first = (await world.call("dev", "GET", "/v1/runs", params={"limit": 2})).json()
    rest = (await world.call("dev", "GET", "/v1/runs", params={"limit": 2, "cursor": first["next"]})).json()
    assert [one["id"] for one in first["runs"] + rest["runs"]] == names[::-1]
    assert rest["next"] is None
    for wrong in ({"cursor": "x"}, {"limit": 0}, {"limit": 1001}):
        assert (await world.call("dev", "GET", "/v1/runs", params=wrong)).status_code == 422
