"""`bodycam legal-hold` against a control API on loopback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bodycam.cli.main import build, invoke
from tests.unit.cli.fake_control import FakeControl, fake_control

HOLD: dict[str, Any] = {
    "id": "hld_aaaa",
    "query": "zebra \x1b]0;owned\x07",
    "run": None,
    "agent": "billing-bot",
    "principal": None,
    "target": "orders",
    "since": 1_700_000_000.0,
    "until": None,
    "reason": "a suit",
    "actor": "ada@bodycam",
    "created": 1_700_000_000.0,
    "released": None,
    "released_by": None,
    "release_reason": None,
}


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeControl]:
    routes = {
        "POST /v1/legal-holds": HOLD,
        "GET /v1/legal-holds": {"holds": [HOLD], "next": None},
        "POST /v1/legal-holds/hld_aaaa/release": HOLD | {"released": 1.0},
    }
    with fake_control(routes) as control:
        monkeypatch.setenv("BODYCAM_URL", control.url)
        monkeypatch.setenv("BODYCAM_API_KEY", "bca_key")
        yield control


def legal_hold(*arguments: str) -> int:
    return invoke(build(only="legal-hold"), ["legal-hold", *arguments])


def test_what_is_given_is_asked_for(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--query", "zebra", "--agent", "billing-bot", "--target", "orders", "--reason", "a suit"]
    assert legal_hold("add", *given, "--since", "2023-11-14T22:13:20Z") == 0

    (call,) = control.made("POST", "/v1/legal-holds")
    assert call.body == {
        "query": "zebra",
        "agent": "billing-bot",
        "target": "orders",
        "since": 1_700_000_000.0,
        "reason": "a suit",
    }
    told = capsys.readouterr().err.strip()
    assert told.startswith("hld_aaaa holds what says zebra")
    assert told.isprintable()
    assert "agent billing-bot, target orders, since 2023-11-1" in told


def test_a_hold_needs_a_reason(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert legal_hold("add", "--agent", "billing-bot") == 2
    assert "--reason" in capsys.readouterr().err
    assert control.calls == []


def test_the_listing_shows_what_is_in_force(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert legal_hold("list") == 0
    [_, row] = capsys.readouterr().out.splitlines()
    assert row.isprintable()
    assert all(part in row for part in ("hld_aaaa", "agent billing-bot", "a suit", "ada@bodycam"))
    assert legal_hold("list", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"holds": [HOLD]}
    asked = [call.query.get("released") for call in control.made("GET", "/v1/legal-holds")]
    assert [one is not None and one.lower() for one in asked] == [False, "true"]


def test_a_hold_is_released(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert legal_hold("release", "hld_aaaa", "--reason", "settled") == 0
    (call,) = control.made("POST", "/v1/legal-holds/hld_aaaa/release")
    assert call.body == {"reason": "settled"}
    assert capsys.readouterr().err == "hld_aaaa is released\n"
