"""Legal holds at the control API: by admins, in the ledger before they are in force."""

from typing import Any

import pytest

from tests.unit.api.world import World

PATH = "/v1/legal-holds"


async def add(world: World, who: str = "ada", **about: Any) -> dict[str, Any]:
    answer = await world.call(who, "POST", PATH, json={"reason": "a suit", **about})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def test_a_hold_is_in_the_ledger_and_heeded_before_it_is_answered(world: World) -> None:
    said = await add(world, query="zebra", agent="billing-bot", since=100.5)

    assert (said["query"], said["agent"], said["since"], said["until"]) == (
        "zebra",
        "billing-bot",
        100.5,
        None,
    )
    assert (said["actor"], said["reason"], said["released"]) == ("ada@bodycam", "a suit", None)
    about = {"query": "zebra", "agent": "billing-bot", "since": 100.5, "reason": "a suit"}
    assert world.archivist.entered == [("legal-hold-added", "ada@bodycam", said["id"], about)]
    assert world.archivist.settled == 1
    assert (await world.call("aud", "GET", PATH)).json() == {"holds": [said], "next": None}


async def test_without_the_ledger_there_is_no_hold_and_no_release(world: World) -> None:
    held = await add(world, run="run_x")
    world.archivist.away = True
    assert (await world.call("ada", "POST", PATH, json={"reason": "r", "agent": "a"})).status_code == 503
    release = await world.call("ada", "POST", f"{PATH}/{held['id']}/release", json={"reason": "over"})
    assert release.status_code == 503
    assert (await world.call("aud", "GET", PATH)).json()["holds"] == [held]


async def test_a_hold_is_released_once_and_stays_on_record(world: World) -> None:
    held = await add(world, target="orders")
    path = f"{PATH}/{held['id']}/release"

    released = (await world.call("ada", "POST", path, json={"reason": "settled"})).json()

    assert (released["released_by"], released["release_reason"]) == ("ada@bodycam", "settled")
    assert world.archivist.entered[-1] == (
        "legal-hold-released", "ada@bodycam", held["id"], {"reason": "settled"},
    )  # fmt: skip
    again = await world.call("ada", "POST", path, json={"reason": "settled"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "released")
    assert (await world.call("aud", "GET", PATH)).json()["holds"] == []
    assert (await world.call("aud", "GET", PATH, params={"released": True})).json()["holds"] == [released]
    assert (
        await world.call("ada", "POST", f"{PATH}/hld_none/release", json={"reason": "x"})
    ).status_code == 404


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"reason": "r"}, "about nothing"),
        ({"reason": "r", "query": "-- ;"}, "no word"),
        ({"reason": "r", "since": 5, "until": 5}, "since is not before until"),
        ({"reason": "", "agent": "a"}, "reason"),
        ({"agent": "a"}, "reason"),
        ({"reason": "r", "agent": "a\0"}, "agent"),
        ({"reason": "r", "labels": {}}, "labels"),
        ({"reason": "r", "since": -1}, "since"),
    ],
    ids=str,
)
async def test_a_hold_that_makes_no_sense_is_refused(world: World, body: dict[str, Any], says: str) -> None:
    answer = await world.call("ada", "POST", PATH, json=body)
    assert answer.status_code == 422
    assert says in answer.json()["error"]["message"]
    assert world.archivist.entered == []
