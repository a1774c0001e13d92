"""The break-glass account at the control API: off, without a reason, and in use."""

import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bodycam.api.audit_events import ocsf
from bodycam.catalog import audit
from bodycam.catalog.engine import reading
from bodycam.config import SettingsError, parse
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


async def test_nobody_else_marks_a_run_so(world: World) -> None:
    body = {"agent": "billing-bot", "labels": {"break-glass": "x"}}
    answer = await world.call("dev", "POST", "/v1/runs", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "label-reserved")


def test_it_is_not_enabled_for_nobody() -> None:
    for text in ("{enabled: true}", "{account: ada, max_ttl: 2d}"):
        with pytest.raises(SettingsError):
            parse(SETTINGS + f"identity: {{break_glass: {text}}}\n", file="b", folder=Path("/srv"))
