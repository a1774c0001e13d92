"""`bodycam retention` against a control API on loopback."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bodycam.cli.main import build, invoke
from tests.unit.cli.fake_control import FakeControl, fake_control

ONE: dict[str, Any] = {
    "session": "ses_aaaa",
    "run": "run_1",
    "agent": "billing-bot",
    "principal": "ci@bodycam",
    "target": "orders \x1b]0;owned\x07",
    "sealed": 1_700_000_000.0,
    "rule": "rest",
    "due": 1_707_000_000.0,
    "fate": "due",
    "kept_by": None,
}
PLAN: dict[str, Any] = {
    "at": 1_708_000_000.0,
    "waits": "",
    "counts": {"due": 1, "later": 1, "held": 1, "minimum": 1},
    "by_rule": {"rest": 1},
    "recordings": [
        ONE,
        ONE | {"session": "ses_bbbb", "fate": "held", "kept_by": "hld_1"},
        ONE | {"session": "ses_cccc", "fate": "minimum", "kept_by": "floor"},
        ONE | {"session": "ses_dddd", "fate": "later"},
    ],
    "more": True,
}
APPLIED: dict[str, Any] = {
    "deleted": {"rest": 3},
    "held": 1,
    "unreadable": ["ses_xxxx"],
    "objects": 1,
    "objects_left": 2,
    "more": True,
    "refused": "",
}


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeControl]:
    with fake_control({"GET /v1/retention/plan": PLAN, "POST /v1/retention/apply": APPLIED}) as control:
        monkeypatch.setenv("BODYCAM_URL", control.url)
        monkeypatch.setenv("BODYCAM_API_KEY", "bca_key")
        yield control


def retention(*arguments: str) -> int:
    return invoke(build(only="retention"), ["retention", *arguments])


def test_the_plan_says_what_goes_and_what_keeps_the_rest(
    control: FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert retention("plan", "--within", "30d", "--limit", "4") == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert all(line.isprintable() for line in lines)
    ends = [line.split()[0] + " " + line.rstrip().rsplit("  ", 1)[-1] for line in lines[1:5]]
    assert ends == [
        "ses_aaaa due",
        "ses_bbbb held by hld_1",
        "ses_cccc kept by floor",
        "ses_dddd goes later",
    ]
    assert lines[5] == "1 due, 1 later, 1 held, 1 minimum, of which the first are shown"
    (call,) = control.made("GET", "/v1/retention/plan")
    assert (float(call.query["within"]), call.query["limit"]) == (30 * 86_400, "4")

    assert retention("plan", "--json") == 0
    assert json.loads(capsys.readouterr().out) == PLAN
    assert retention("plan", "--within", "soon") == 2


def test_an_empty_plan_and_one_that_waits(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    control.routes["GET /v1/retention/plan"] = PLAN | {"recordings": [], "waits": "the clock jumped"}
    assert retention("plan") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "nothing is due\nnothing is deleted at present: the clock jumped\n"


def test_what_was_deleted_is_said(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert retention("apply", "--trust-clock") == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "deleted by rest: 3",
        "kept by legal holds: 1",
        "can't be read, and is kept: ses_xxxx",
        "objects that the store keeps for now, unreadable: 2",
    ]
    assert captured.err == "there is more: run it again\n"
    assert control.made("POST", "/v1/retention/apply")[0].body == {"trust_clock": True}


def test_a_refusal_exits_with_one(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    control.routes["POST /v1/retention/apply"] = APPLIED | {"refused": "the clock jumped", "deleted": {}}
    assert retention("apply") == 1
    assert capsys.readouterr().err == "nothing is deleted: the clock jumped\n"
