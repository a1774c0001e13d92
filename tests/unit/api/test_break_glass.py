"""The break-glass account at the control API: off, without a reason, and in use."""

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bodycam.api import tail
from bodycam.api.audit_events import ocsf
from bodycam.catalog import audit
from bodycam.catalog.engine import reading
from bodycam.config import SettingsError, parse
from tests.unit.api.hook import SECRET, receiver, verified
from tests.unit.api.test_audit_export import exporting, sinks, until
from tests.unit.api.world import SETTINGS, World, living

KEPT = "identity: {break_glass: {enabled: %s, account: ada, max_ttl: 2m}}\n"
WHY = {"Bodycam-Reason": "INC-1%3A%20d%C3%BCster"}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    folder = Path(tempfile.mkdtemp(prefix="api"))
    try:
        async with living(folder, SETTINGS + KEPT % "false") as one:
            yield one
    finally:
        shutil.rmtree(folder)


async def enable(world: World) -> None:
    tree = parse(SETTINGS + KEPT % "true", file="bodycam.yaml", folder=world.folder)
    await world.context.adopt(tree)


async def test_it_is_refused_and_counted_until_it_is_enabled_and_gives_a_reason(world: World) -> None:
    for headers, code in ((WHY, "break-glass-off"), ({}, "break-glass-off")):
        answer = await world.call("ada", "GET", "/v1/runs", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, code)
    await enable(world)
    for headers in ({}, {"Bodycam-Reason": " %0a "}):
        answer = await world.call("ada", "GET", "/v1/runs", headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "reason-needed")
    assert {(one.reason, one.name, one.count) for one in world.context.admission.failures()} == {
        ("break-glass-off", "ada", 2), ("break-glass-no-reason", "ada", 2),
    }  # fmt: skip
    # nobody else has to say why
    assert (await world.call("dev", "GET", "/v1/runs")).status_code == 200
    assert world.context.emergencies["uses"] == 0


async def test_each_use_is_in_the_ledger_first_and_its_runs_are_short_and_marked(world: World) -> None:
    await enable(world)
    answer = await world.call("ada", "POST", "/v1/runs", json={"agent": "root-bot"}, headers=WHY)
    assert answer.status_code == 201, answer.text
    run = answer.json()["run"]
    assert run["labels"] == {"break-glass": "INC-1: düster"}
    assert run["expires"] - time.time() <= 120
    # a renewal makes it no longer, whoever asks for it
    renewed = await world.call("ada", "POST", f"/v1/runs/{run['id']}/renew", json={"ttl": 900}, headers=WHY)
    assert renewed.json()["expires"] <= run["created"] + 120
    uses = [one for one in world.archivist.entered if one[0] == "break-glass"]
    assert [one[1:3] for one in uses] == [
        ("ada@bodycam", "POST /v1/runs"), ("ada@bodycam", f"POST /v1/runs/{run['id']}/renew"),
    ]  # fmt: skip
    assert uses[0][3]["reason"] == "INC-1: düster"
    with reading(world.context.catalog) as connection:
        (event, *_) = [one for one in audit.list_events(connection).items if one.action == "break-glass"]
    assert ocsf(event, "1")["severity_id"] == 5
    assert "bodycam_break_glass_total 2.0" in (await world.call(None, "GET", "/metrics")).text
    world.archivist.away = True
    assert (await world.call("ada", "GET", "/v1/runs", headers=WHY)).status_code == 503


async def test_watching_live_is_one_use_however_long_and_ends_when_it_is_disabled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "ALIVE_SECONDS", 0.05)
    monkeypatch.setattr(tail, "POLL_SECONDS", 0.01)
    await enable(world)
    watching = asyncio.create_task(world.call("ada", "GET", "/v1/tail", headers=WHY))
    await until(lambda: world.context.watchers)
    await asyncio.sleep(0.5)
    uses = [one for one in world.archivist.entered if one[0] == "break-glass"]
    assert [one[2] for one in uses] == ["GET /v1/tail"]
    await world.context.adopt(parse(SETTINGS + KEPT % "false", file="bodycam.yaml", folder=world.folder))
    async with asyncio.timeout(30):
        answer = await watching
    assert json.loads(answer.text.splitlines()[-1])["type"] == "refused"


async def test_a_webhook_hears_of_each_use_as_critical(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    await enable(world)
    with receiver([500]) as hook:
        described = {"name": "hook", "type": "webhook", "url": hook.url, "secret": {"env": "HOOK_SECRET"}}
        async with exporting(world, sinks(described)):
            await until((world.folder / "sinks" / "hook.json").exists)
            assert (await world.call("ada", "GET", "/v1/runs", headers=WHY)).status_code == 200
            # at least once: also after an answer that took nothing
            await until(lambda: len(hook.received) >= 2, 20)
        assert all(verified(one) for one in hook.received)
        (said,) = json.loads(hook.received[-1].body)["events"]
    assert (said["class_uid"], said["activity_id"], said["severity_id"], said["status_id"]) == (3002, 1, 5, 1)
    assert said["metadata"]["event_code"] == "break-glass"
    assert said["user"]["name"] == "ada@bodycam"
    detail = said["unmapped"]["detail"]
    assert detail["reason"] == "INC-1: düster"
    (entered,) = [one for one in world.archivist.entered if one[0] == "break-glass"]
    assert (entered[2], entered[3]) == ("GET /v1/runs", detail)
    assert said["unmapped"]["ledger_leaf"] is not None


async def test_nobody_else_marks_a_run_so(world: World) -> None:
    body = {"agent": "billing-bot", "labels": {"break-glass": "x"}}
    answer = await world.call("dev", "POST", "/v1/runs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "label-reserved")


def test_it_is_not_enabled_for_nobody() -> None:
    for text in ("{enabled: true}", "{account: ada, max_ttl: 2d}"):
        with pytest.raises(SettingsError):
            parse(SETTINGS + f"identity: {{break_glass: {text}}}\n", file="b", folder=Path("/srv"))
