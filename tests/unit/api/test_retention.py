"""What the control API says of recordings that retention deleted, and to whom."""

from bodycam.catalog.engine import writing
from bodycam.catalog.retention import DeletionRecord, note
from bodycam.model.ids import SESSION, new_id
from tests.unit.api.world import World


async def deleted(world: World, rule: str = "short") -> tuple[str, str]:
    """A run, and a session of it that was deleted."""
    run, session = (await world.start_run())["run"]["id"], new_id(SESSION)
    at = 1_767_225_600_000_000  # 2026-01-01
    with writing(world.context.catalog) as connection:
        note(connection, [DeletionRecord(session, run, rule, at - 1, at, "2025/12/31/x.bcr")])
    return run, session


async def test_reading_what_was_deleted_says_when_and_by_which_rule(world: World) -> None:
    _, session = await deleted(world)
    said = f"the recording of session {session} was deleted on 2026-01-01 00:00:00 UTC"
    for who in ("ada", "aud", "dev"):
        for path in ("", "/transcript"):
            answer = await world.call(who, "GET", f"/v1/sessions/{session}{path}")
            assert answer.status_code == 410
            assert answer.json()["error"]["code"] == "deleted"
            assert answer.json()["error"]["message"] == f"{said} by the retention rule short"
    assert world.archivist.entered == [], "nothing was viewed"

    _, other = await deleted(world, rule="")
    answer = await world.call("ada", "GET", f"/v1/sessions/{other}")
    assert answer.json()["error"]["message"].endswith("UTC by a rule that is not known any more")


async def test_to_others_it_was_never_there(world: World) -> None:
    _, session = await deleted(world)
    gone = await world.call("eve", "GET", f"/v1/sessions/{session}")
    never = await world.call("eve", "GET", f"/v1/sessions/{new_id(SESSION)}")
    assert (gone.status_code, never.status_code) == (404, 404)
    assert gone.json()["error"]["code"] == never.json()["error"]["code"]


async def test_a_deleted_session_is_in_no_list(world: World) -> None:
    run, _ = await deleted(world)
    kept = world.add_session(run)
    listed = (await world.call("ada", "GET", "/v1/sessions")).json()["sessions"]
    assert [one["id"] for one in listed] == [kept]
    shown = (await world.call("ada", "GET", f"/v1/runs/{run}")).json()
    assert [one["id"] for one in shown["sessions"]] == [kept]


async def test_a_run_says_what_of_it_was_deleted_and_by_which_rule(world: World) -> None:
    run, session = await deleted(world)
    told = {"session": session, "rule": "short", "sealed": 1_767_225_599.999999, "deleted": 1_767_225_600.0}
    for who in ("ada", "aud", "dev"):
        assert (await world.call(who, "GET", f"/v1/runs/{run}")).json()["deleted"] == [told]
    other = (await world.start_run())["run"]["id"]
    assert (await world.call("ada", "GET", f"/v1/runs/{other}")).json()["deleted"] == []


async def test_the_plan_is_the_archivists(world: World) -> None:
    planned = {
        "session": "ses_a", "run": "run_a", "agent": "bot", "principal": "ci@bodycam", "target": "orders",
        "sealed": 1.0, "rule": "short", "due": 2.0, "fate": "held", "kept_by": "hld_1",
    }  # fmt: skip
    world.archivist.plan |= {"recordings": [planned], "counts": {"held": 1}, "waits": "the clock jumped"}
    answer = (await world.call("aud", "GET", "/v1/retention/plan", params={"within": 5})).json()
    assert answer["recordings"] == [planned]
    assert (answer["counts"], answer["waits"]) == ({"held": 1}, "the clock jumped")
    for wrong in ({"within": -1}, {"within": "nan"}, {"limit": 0}):
        assert (await world.call("aud", "GET", "/v1/retention/plan", params=wrong)).status_code == 422


async def test_what_is_applied_by_hand_is_in_the_ledger_first_and_in_somebodys_name(world: World) -> None:
    answer = await world.call("ada", "POST", "/v1/retention/apply", json={"trust_clock": True})
    assert answer.json()["deleted"] == {"rule-1": 2}
    assert world.archivist.entered == [
        ("retention-applied", "ada@bodycam", "retention", {"trust_clock": True})
    ]
    assert world.archivist.applied == [("ada@bodycam", True)]
    world.archivist.away = True
    assert (await world.call("ada", "POST", "/v1/retention/apply", json={})).status_code == 503
