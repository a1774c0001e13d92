import asyncio
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from bodycam.api.metrics import METRICS
from bodycam.api.workers import ALL_SECONDS
from tests.unit.api.world import World


@pytest.mark.parametrize("header", ["", "Basic x", "Bearer", "Bearer nonsense", "Bearer bca_key_x_y"])
async def test_a_bad_credential_is_said_alike(world: World, header: str) -> None:
    answer = await world.http.get("/v1/runs", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_revoked_key_is_refused_at_once(world: World) -> None:
    made = (await world.call("ada", "POST", "/v1/service-accounts/eve/keys")).json()
    world.keys["new"] = made["key"]
    assert (await world.call("new", "GET", "/v1/runs")).status_code == 200
    gone = await world.call("ada", "DELETE", f"/v1/service-accounts/eve/keys/{made['id']}")
    assert (gone.status_code, gone.json()) == (200, {"id": made["id"], "revoked": []})
    assert (await world.call("new", "GET", "/v1/runs")).status_code == 401
    assert [one[0] for one in world.archivist.entered] == ["key-issued", "key-revoked"]


async def test_an_account_is_not_made_without_its_place_in_the_ledger(world: World) -> None:
    world.archivist.away = True
    answer = await world.call("ada", "POST", "/v1/service-accounts", json={"name": "new"})
    assert answer.status_code == 503
    accounts = (await world.call("ada", "GET", "/v1/service-accounts")).json()["accounts"]
    assert "new" not in [one["name"] for one in accounts]
    world.archivist.away = False
    twice = [await world.call("ada", "POST", "/v1/service-accounts", json={"name": "new"}) for _ in range(2)]
    assert [one.status_code for one in twice] == [201, 409]


async def test_unknown_paths_and_methods_have_the_one_shape(world: World) -> None:
    for method, path, status in (("GET", "/v2", 404), ("PUT", "/v1/runs", 405)):
        answer = await world.call("ada", method, path)
        assert (answer.status_code, set(answer.json()["error"])) == (status, {"code", "message", "hint"})


async def test_a_large_body_is_refused_declared_or_streamed(world: World) -> None:
    async def pieces() -> object:
        for _ in range(20):
            yield b" " * 100_000

    declared = await world.call("dev", "POST", "/v1/runs", content=b" " * 1_100_000)
    streamed = await world.call("dev", "POST", "/v1/runs", content=pieces())
    assert (declared.status_code, streamed.status_code) == (413, 413)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/runs/run_%00", None),
        ("GET", "/v1/runs?agent=a%00", None),
        ("POST", "/v1/runs", {"agent": "billing-bot", "labels": {"ticket": "a\0"}}),
        ("POST", "/v1/runs/run_x/revoke", {"reason": "a\0"}),
        ("POST", "/v1/sessions/ses_x/kill", {"reason": "a\0"}),
        ("POST", "/v1/service-accounts", {"name": "new", "groups": ["a\0"]}),
    ],
)
async def test_what_a_catalog_in_postgresql_could_not_hold_is_refused(
    world: World, method: str, path: str, body: dict[str, object] | None
) -> None:
    answer = await world.call("ada", method, path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid")


async def test_a_secret_in_the_wrong_place_is_not_repeated(world: World) -> None:
    answer = await world.call("dev", "POST", "/v1/runs", json={"agent": {"password": "hunter2"}})
    assert answer.status_code == 422
    assert "hunter2" not in answer.text


async def test_ready_only_when_sessions_can_be_recorded(world: World) -> None:
    async def checks() -> tuple[int, dict[str, bool]]:
        answer: httpx.Response = await world.http.get("/readyz")
        return answer.status_code, {one["name"]: one["ok"] for one in answer.json()["checks"]}

    good = {
        "archivist": True,
        "workers": True,
        "catalog": True,
        "journal": True,
        "anchors": True,
        "quota": True,
    }
    assert await checks() == (503, good | {"workers": False})
    worker = await world.worker()
    assert await checks() == (200, good)
    worker.channel.tell("stats", {"journal": {"pressure": 2}})
    await worker.channel.call("challenge", {"name": "token", "secure": True, "address": ""})
    assert await checks() == (503, good | {"journal": False})
    world.archivist.away = True
    assert (await checks())[1]["archivist"] is False


async def test_ready_with_all_workers_or_after_a_while_with_some(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def workers() -> tuple[bool, str]:
        (one,) = [
            one for one in (await world.http.get("/readyz")).json()["checks"] if one["name"] == "workers"
        ]
        return one["ok"], one["detail"]

    ours, now = world.context.workers, time.monotonic()
    monkeypatch.setattr(ours, "expected", 2)
    monkeypatch.setattr(ours, "_clock", lambda: now)
    monkeypatch.setattr(ours, "_began", now)
    assert await workers() == (False, "no worker is connected")
    first = await world.worker(1, "aa")
    assert await workers() == (False, "1 of 2 workers are connected")
    # one that doesn't come keeps no gateway away
    now += ALL_SECONDS
    assert await workers() == (True, "1 of 2 workers are connected")
    now -= ALL_SECONDS
    second = await world.worker(2, "bb")
    assert await workers() == (True, "")
    # from then on one that is started again is not waited for
    second.channel.close()
    while len(ours.connected) > 1:
        await asyncio.sleep(0.01)
    assert await workers() == (True, "1 of 2 workers are connected")
    first.channel.close()
    while ours.connected:
        await asyncio.sleep(0.01)
    assert await workers() == (False, "no worker is connected")


async def test_metrics_are_what_the_table_says(world: World) -> None:
    worker = await world.worker(4)
    worker.channel.tell(
        "stats",
        {"sessions_open": 2, "refused_limit": 3, "journal": {"fsyncs": 5, "pressure": 1, "failed": False}},
    )
    await worker.channel.call("challenge", {"name": "token", "secure": True, "address": ""})
    text = (await world.http.get("/metrics")).text
    families = {one.name: one for one in text_string_to_metric_families(text)}
    assert set(families) == {one.name.removesuffix("_total") for one in METRICS}
    values = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    assert values["bodycam_sessions_open", ("worker", "4")] == 2
    assert values["bodycam_refusals_total", ("reason", "limit"), ("worker", "4")] == 3
    assert values["bodycam_fsync_total", ("worker", "4")] == 5
    assert values["bodycam_archivist_lag_seconds",] == 0.25
    assert values["bodycam_archivist_up",] == 1
    assert ("bodycam_journal_room_bytes", ("worker", "4")) not in values
    world.archivist.away = True
    assert "bodycam_archivist_up 0.0" in (await world.http.get("/metrics")).text


def test_each_metric_is_named_once_and_explained() -> None:
    names = [one.name for one in METRICS]
    assert len(names) == len(set(names))
    assert all(one.help.endswith(".") and one.counter == one.name.endswith("_total") for one in METRICS)
