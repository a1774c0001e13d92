"""API keys: when they were used, and what becomes of the runs that a revoked one started."""

import time
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from bodycam.api import runs as runs_resource
from bodycam.api import upkeep
from bodycam.api.upkeep import note_key_use
from bodycam.catalog import accounts
from bodycam.catalog.engine import writing
from tests.unit.api.world import World


async def keys_of(world: World, name: str) -> list[dict[str, Any]]:
    listed = (await world.call("aud", "GET", "/v1/service-accounts")).json()["accounts"]
    return [key for one in listed if one["name"] == name for key in one["keys"]]


async def new_key(world: World, name: str, called: str) -> str:
    made = (await world.call("ada", "POST", f"/v1/service-accounts/{name}/keys")).json()
    world.keys[called] = made["key"]
    return str(made["id"])


async def test_the_listing_says_when_a_key_was_used_last(world: World) -> None:
    before = time.time()
    assert (await world.call("dev", "GET", "/v1/runs")).status_code == 200
    await note_key_use(world.context, time.time())
    (used,), (never,) = await keys_of(world, "dev"), await keys_of(world, "eve")
    assert before <= used["last_used"] <= time.time()
    assert never["last_used"] is None


async def test_a_replaced_key_is_good_beside_the_new_one_until_the_overlap_is_over(world: World) -> None:
    old = await new_key(world, "dev", "old")
    run = (await world.start_run("old"))["run"]["id"]
    path = "/v1/service-accounts/dev/keys"
    made = (await world.call("ada", "POST", path, json={"replaces": old, "overlap": 600})).json()
    world.keys["new"] = made["key"]
    for one in ("old", "new"):
        assert (await world.call(one, "GET", "/v1/runs")).status_code == 200
    entered = [detail for action, _, _, detail in world.archivist.entered if action == "key-issued"]
    assert entered[-1] == {"key": made["id"], "replaces": old, "overlap": 600.0}
    again = await world.call("ada", "POST", path, json={"replaces": old, "overlap": 0})
    assert again.status_code == 201
    assert (await world.call("old", "GET", "/v1/runs")).status_code == 401
    assert (await world.call("new", "GET", "/v1/runs")).status_code == 200
    # it ended, nobody took it back: what was started with it goes on
    shown = (await world.call("new", "GET", f"/v1/runs/{run}")).json()["run"]
    assert (shown["api_key"], shown["state"]) == (old, "active")
    for body, status in (
        ({"replaces": old}, 409), ({"replaces": "key_no"}, 404), ({"overlap": -1}, 422),
        ({"overlap": 8 * 86_400}, 422), ({"replaces": made["id"], "x": 1}, 422),
    ):  # fmt: skip
        answer = await world.call("ada", "POST", path, json=body)
        assert answer.status_code == status, (body, answer.text)
    assert (await world.call("dev", "POST", path, json={"replaces": made["id"]})).status_code == 403
    # another account's key is nobody's here
    other = await new_key(world, "eve", "other")
    assert (await world.call("ada", "POST", path, json={"replaces": other})).status_code == 404


async def test_a_key_in_use_is_written_once_a_minute(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[dict[str, int]] = []
    real = accounts.keys_used

    def note(connection: Any, uses: dict[str, int]) -> None:
        written.append(uses)
        real(connection, uses)

    monkeypatch.setattr(upkeep.accounts, "keys_used", note)
    await world.call("dev", "GET", "/v1/runs")
    now = time.time()
    for after in (0, 1, 30, 59):
        await world.call("dev", "GET", "/v1/runs")
        await note_key_use(world.context, now + after)
    assert len(written) == 1
    await note_key_use(world.context, now + 61)
    await note_key_use(world.context, now + 200)
    assert len(written) == 2


async def test_a_key_that_proves_nothing_was_not_used(world: World) -> None:
    key = await new_key(world, "eve", "new")
    world.keys["new"] = world.keys["new"][:-1] + "?"
    assert (await world.call("new", "GET", "/v1/runs")).status_code == 401
    assert key not in world.context.key_use.due(time.time())


async def test_a_use_waits_for_a_catalog_that_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.call("dev", "GET", "/v1/runs")

    def away(*_: object) -> None:
        raise OperationalError("update", {}, Exception("no catalog"))

    with monkeypatch.context() as patched:
        patched.setattr(upkeep.accounts, "keys_used", away)
        with pytest.raises(OperationalError):
            await note_key_use(world.context, time.time())
    await note_key_use(world.context, time.time())
    (used,) = await keys_of(world, "dev")
    assert used["last_used"] is not None


async def test_revoking_a_key_ends_the_runs_that_it_started_on_every_worker(world: World) -> None:
    key = await new_key(world, "dev", "stolen")
    taken, other = await world.start_run("stolen"), await world.start_run("dev")
    over = await world.start_run("stolen")
    await world.call("stolen", "POST", f"/v1/runs/{over['run']['id']}/end", json={"wait": 0})
    assert taken["run"]["api_key"] == key
    assert other["run"]["api_key"] == (await keys_of(world, "dev"))[0]["id"]
    workers = [await world.worker(number, f"{number:02x}") for number in range(2)]
    session = (await workers[0].log_in(taken["credential"]["secret"]))["grant"]["session"]
    kept = (await workers[0].log_in(other["credential"]["secret"]))["grant"]["session"]

    answer = await world.call("ada", "DELETE", f"/v1/service-accounts/dev/keys/{key}")

    assert answer.json() == {"id": key, "revoked": [taken["run"]["id"]]}
    reason = "the API key that it was started with was revoked"
    for worker in workers:
        order = await worker.told("cut")
        assert (order["run"], order["sessions"], order["reason"]) == (taken["run"]["id"], [session], reason)
    shown = (await world.call("dev", "GET", f"/v1/runs/{taken['run']['id']}")).json()["run"]
    assert (shown["state"], shown["reason"]) == ("revoked", reason)
    refused = await workers[1].log_in(taken["credential"]["secret"])
    assert refused["refusal"]["code"] == "run-ended"
    assert (await workers[1].log_in(other["credential"]["secret"]))["grant"]["session"]
    assert world.context.workers.is_open(kept)
    assert world.archivist.entered[-1][0::3] == (
        "key-revoked",
        {"key": key, "revoked": [taken["run"]["id"]]},
    )
    twice = await world.call("ada", "DELETE", f"/v1/service-accounts/dev/keys/{key}")
    assert twice.json() == {"id": key, "revoked": []}


async def test_a_run_does_not_start_with_a_key_that_is_revoked_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await new_key(world, "dev", "going")
    real = runs_resource.run_credentials.issue

    def revoke_then_issue(run: str) -> Any:
        with writing(world.context.catalog) as connection:
            account = accounts.account_by_name(connection, "dev")
            assert account is not None
            assert accounts.revoke_key(connection, account.id, key, 1)
        return real(run)

    monkeypatch.setattr(runs_resource.run_credentials, "issue", revoke_then_issue)
    answer = await world.call("going", "POST", "/v1/runs", json={"agent": "billing-bot"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad-credential")
    assert (await world.call("aud", "GET", "/v1/runs")).json()["runs"] == []


async def test_a_run_does_not_start_for_an_account_that_is_disabled_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runs_resource.run_credentials.issue

    def disable_then_issue(run: str) -> Any:
        with writing(world.context.catalog) as connection:
            assert accounts.disable_account(connection, "dev", 1)
        return real(run)

    monkeypatch.setattr(runs_resource.run_credentials, "issue", disable_then_issue)
    answer = await world.call("dev", "POST", "/v1/runs", json={"agent": "billing-bot"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad-credential")
    assert (await world.call("aud", "GET", "/v1/runs")).json()["runs"] == []
