"""`bodycam approvals` against a control API on loopback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bodycam.cli.main import build, invoke
from tests.unit.cli.fake_control import FakeControl, fake_control

NAME = "apr_aaaabbbb"
EVIL = "\x1b]0;owned\x07"
APPROVAL: dict[str, Any] = {
    "id": NAME,
    "state": "pending",
    "run": "run_1",
    "session": "ses_1",
    "exchange": 3,
    "principal": "ci@bodycam",
    "agent": "billing-bot",
    "target": "orders",
    "database": "shop",
    "rule": "writes-need-a-human",
    "verb": "query",
    "text": f"DELETE FROM t\nWHERE id = $1 {EVIL}" + " AND true" * 20,
    "parameters": ["7", EVIL],
    "by": ["dba", "leads"],
    "minimum": 2,
    "reason": "",
    "created": 1_700_000_000.0,
    "expires": 1_700_003_600.0,
    "used": None,
    "votes": [{"principal": "ann@bodycam", "approve": True, "reason": "fine", "at": 1_700_000_001.0}],
    "may_decide": True,
    "why_not": None,
    "url": "https://console/approvals/apr_aaaabbbb",
}


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeControl]:
    routes = {
        "GET /v1/approvals": {"approvals": [APPROVAL], "next": None},
        f"GET /v1/approvals/{NAME}": APPROVAL,
    }
    with fake_control(routes) as control:
        monkeypatch.setenv("BODYCAM_URL", control.url)
        monkeypatch.setenv("BODYCAM_API_KEY", "bca_key")
        yield control


def bodycam(*arguments: str) -> int:
    return invoke(build(only=arguments[0]), list(arguments))


def test_the_listing_shows_what_waits(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("approvals", "list", "--run", "run_1", "--target", "orders") == 0
    [_, row] = capsys.readouterr().out.splitlines()
    assert row.isprintable()
    for shown in (NAME, "DELETE FROM t WHERE id = $1", "...", "2 of dba or leads", "yes"):
        assert shown in row
    [call] = control.made("GET", "/v1/approvals")
    assert {**call.query, "limit": ""} == {
        "state": "pending",
        "run": "run_1",
        "target": "orders",
        "limit": "",
    }
    assert bodycam("approvals", "list", "--state", "all", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"approvals": [APPROVAL]}
    assert "state" not in control.calls[-1].query


def test_an_empty_listing_says_so(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    control.routes["GET /v1/approvals"] = {"approvals": [], "next": None}
    assert bodycam("approvals", "list") == 0
    assert capsys.readouterr().err == "nothing waits\n"


def test_one_is_shown_whole(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("approvals", "show", NAME) == 0
    text = capsys.readouterr().out
    assert text.replace("\n", "").isprintable()
    for shown in (
        "  DELETE FROM t\n",
        " AND true" * 20,
        "  $1 = 7\n",
        "ann@bodycam",
        "fine",
        "https://console",
    ):
        assert shown in text
    assert bodycam("approvals", "show", NAME, "--json") == 0
    assert json.loads(capsys.readouterr().out) == APPROVAL


def test_deciding(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    approve, deny = (f"/v1/approvals/{NAME}/{verdict}" for verdict in ("approve", "deny"))
    control.routes[f"POST {approve}"] = APPROVAL
    assert bodycam("approvals", "approve", NAME) == 0
    assert capsys.readouterr().err == f"{NAME} has 1 of 2 approvals\n"
    control.routes[f"POST {approve}"] = {**APPROVAL, "state": "approved"}
    assert bodycam("approvals", "approve", NAME, "--reason", "fine") == 0
    assert capsys.readouterr().err == f"{NAME} is approved\n"
    assert [one.body for one in control.made("POST", approve)] == [{"reason": ""}, {"reason": "fine"}]
    control.routes[f"POST {deny}"] = {**APPROVAL, "state": "denied"}
    assert bodycam("approvals", "deny", NAME, "--reason", "no", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "denied"
    assert bodycam("approvals", "deny", NAME) == 2
    assert "--reason" in capsys.readouterr().err
    assert len(control.made("POST", deny)) == 1


def test_a_refusal_is_told_and_exits_1(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    error = {
        "code": "may-not-decide",
        "message": "you started the run",
        "hint": "Somebody else has to decide.",
    }
    control.routes[f"POST /v1/approvals/{NAME}/approve"] = lambda _query, _body: (403, {"error": error})
    assert bodycam("approvals", "approve", NAME) == 1
    assert "you started the run" in capsys.readouterr().err
    assert bodycam("approvals", "show", "../x?y") == 1
    assert control.calls[-1].path == "/v1/approvals/..%2Fx%3Fy"
