"""Every reading command against a control API on loopback: what is asked, what is shown, how it exits."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bodycam.cli.main import build, invoke
from bodycam.cli.printing import when
from tests.unit.cli.fake_control import FakeControl, fake_control

RUN, SESSION = "run_aaaabbbb", "ses_ccccdddd"
EVIL = "\x1b]0;owned\x07"
A_RUN = {
    "id": RUN,
    "agent": "bot",
    "principal": "admin@bodycam",
    "labels": {"k": EVIL},
    "state": "active",
    "grade": "advisory",
    "created": 1_700_000_000.5,
    "expires": 1_700_003_600.0,
}
A_SESSION = {
    "id": SESSION,
    "run": RUN,
    "agent": "bot",
    "target": "orders",
    "opened": 1_700_000_001.0,
    "rows": 3,
}
AN_EXCHANGE = {
    "id": "1",
    "session": SESSION,
    "run": RUN,
    "number": 4,
    "verb": "execute",
    "text": f"=select {EVIL}",
    "parameters": "7",
    "started": 1_700_000_001.0,
    "duration_us": 1500,
    "status": "error",
    "rows": 0,
    "bytes": 10,
    "code": "42P01",
    "error": "no such table",
}
TRANSCRIPT = [
    {
        "at": 0,
        "exchange": 1,
        "type": "asked",
        "verb": "query",
        "text": f"select {EVIL}",
        "parameters": [],
        "aside": False,
    },
    {"at": 5, "exchange": 1, "type": "done", "outcome": "ok", "tag": "SELECT 0", "rows": 0, "bytes": 1},
]


A_PLACE = {
    "session": SESSION,
    "run": RUN,
    "agent": "bot",
    "principal": "admin@bodycam",
    "target": "orders",
    "way": "received",
    "first": 1_700_000_001.0,
    "exchange": 4,
    "last": 1_700_000_002.0,
    "exchanges": 2,
    "values": None,
}
A_LEAK = {
    "id": "ab" * 16,
    "fingerprint": "ab" * 16,
    "detector": "secrets.x",
    "first": {
        "at": 1_700_000_001.0,
        **{name: A_PLACE[name] for name in ("session", "run", "agent", "principal", "target", "way")},
        "exchange": 4,
        "verb": "query",
        "text": f"select {EVIL}",
    },
    "last": 1_700_000_002.0,
    "exchanges": 2,
    "values": None,
    "sessions_total": 1,
    "sessions": [A_PLACE],
    "more": True,
}


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeControl]:
    routes = {
        "GET /v1/runs": {"runs": [A_RUN], "next": None},
        f"GET /v1/runs/{RUN}": {
            "run": A_RUN,
            "sessions": [A_SESSION],
            "deleted": [{"session": "ses_gone", "rule": "short", "sealed": 1.0, "deleted": 2.0}],
            "next": None,
        },
        "GET /v1/sessions": {"sessions": [A_SESSION], "next": None},
        f"GET /v1/sessions/{SESSION}": {"session": A_SESSION},
        f"GET /v1/sessions/{SESSION}/transcript": TRANSCRIPT,
        "GET /v1/exchanges": {"exchanges": [AN_EXCHANGE], "next": None},
        "GET /v1/search": {"hits": [AN_EXCHANGE], "next": None},
        "GET /v1/leaks": {"leaks": [A_LEAK], "next": None},
        "GET /v1/leaks/sessions": {"sessions": [A_PLACE, {**A_PLACE, "way": "sent"}], "next": None},
        "GET /v1/tail": [{"type": "exchange", **AN_EXCHANGE}, {"type": "alive", "at": 1}],
        "GET /v1/targets": {"targets": [{"name": "orders", "protocol": "p", "labels": {"env": "prod"}}]},
        "GET /v1/service-accounts": {
            "accounts": [
                {
                    "name": "ci",
                    "groups": ["a"],
                    "keys": [
                        {"id": "key_1", "last_used": 1.7e9, "revoked": None},
                        {"id": "key_2", "last_used": None, "revoked": None},
                        {"id": "key_3", "last_used": 1.7e9, "revoked": 1.7e9},
                        {"id": "key_4", "last_used": None, "revoked": None, "scopes": ["read", "runs:bot"]},
                    ],
                }
            ]
        },
        "GET /v1/audit": {
            "events": [{"at": 1.0, "actor": "a", "action": "viewed", "object": SESSION}],
            "next": None,
        },
    }
    with fake_control(routes) as control:
        monkeypatch.setenv("BODYCAM_URL", control.url)
        monkeypatch.setenv("BODYCAM_API_KEY", "bca_key")
        yield control


def bodycam(*arguments: str) -> int:
    return invoke(build(only=arguments[0]), list(arguments))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (["runs", "list"], RUN),
        (["runs", "show", RUN], SESSION),
        (["runs", "show", RUN], "ses_gone  short"),
        (["sessions"], SESSION),
        (["show", RUN], "no such table"),
        (["show", SESSION], "SELECT 0"),
        (["replay", "--no-wait", SESSION], "SELECT 0"),
        (["replay", "--no-wait", RUN], "SELECT 0"),
        (["search", "table"], "42P01"),
        (["leaks"], "received at orders by bot"),
        (["tail"], "42P01"),
        (["targets"], "env=prod"),
        (["accounts", "list"], "ci"),
        (["audit"], "viewed"),
    ],
)
def test_reading_commands(
    control: FakeControl, capsys: pytest.CaptureFixture[str], line: list[str], shown: str
) -> None:
    assert bodycam(*line) == 0
    text = capsys.readouterr().out
    assert shown in text
    assert text.replace("\n", "").isprintable()
    assert {one.key for one in control.calls} == {"Bearer bca_key"}
    assert bodycam(*line, "--json") == 0
    for document in _documents(capsys.readouterr().out):
        assert document


def _documents(text: str) -> list[Any]:
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(one) for one in text.splitlines()]


def test_filters_are_handed_on(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["search", "desk", "lamp", "--run", RUN, "--agent", "bot", "--principal", "p", "--target", "t"]
    line += ["--since", "2026-01-31T00:00:00Z", "--until", "1h", "--kind", "statement", "--status", "ok"]
    assert bodycam(*line, "--limit", "3") == 0
    [call] = control.made("GET", "/v1/search")
    assert float(call.query.pop("until")) > float(call.query.pop("since")) == 1769817600.0
    assert call.query == {
        "q": "desk lamp",
        "run": RUN,
        "agent": "bot",
        "principal": "p",
        "target": "t",
        "kind": "statement",
        "status": "ok",
        "limit": "3",
    }


def test_listings_follow_their_pages(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    def page(query: Any, _body: Any) -> tuple[int, Any]:
        at = int(query.get("cursor", "0"))
        return 200, {"runs": [{**A_RUN, "id": f"run_{at}"}], "next": str(at + 1) if at < 4 else None}

    control.routes["GET /v1/runs"] = page
    assert bodycam("runs", "list", "--json", "--limit", "3") == 0
    assert [one["id"] for one in json.loads(capsys.readouterr().out)["runs"]] == ["run_0", "run_1", "run_2"]


def test_leaks_name_every_session(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    assert bodycam("leaks", "--run", RUN, "--json") == 0
    [leak] = json.loads(capsys.readouterr().out)["leaks"]
    assert [one["way"] for one in leak["sessions"]] == ["received", "sent"]
    assert control.made("GET", "/v1/leaks")[0].query == {"run": RUN, "limit": "500"}
    assert control.made("GET", "/v1/leaks/sessions")[0].query["leak"] == A_LEAK["id"]


def test_cutting(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    control.routes[f"POST /v1/runs/{RUN}/revoke"] = {"run": A_RUN, "cut": []}
    control.routes[f"POST /v1/sessions/{SESSION}/kill"] = {"session": A_SESSION}
    control.routes[f"POST /v1/runs/{RUN}/end"] = {"run": A_RUN}
    assert bodycam("kill", RUN, "--reason", "why") == 0
    assert bodycam("kill", SESSION) == 0
    assert bodycam("runs", "revoke", RUN) == 0
    assert bodycam("runs", "end", RUN) == 0
    assert [one.body for one in control.made("POST", f"/v1/runs/{RUN}/revoke")] == [
        {"reason": "why"},
        {"reason": ""},
    ]


def test_kill_says_what_became_of_it(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    for state, said in (("revoked", "is cut"), ("ended", "was ended already: there is nothing to cut")):
        control.routes[f"POST /v1/runs/{RUN}/revoke"] = {"run": {**A_RUN, "state": state}, "cut": []}
        assert bodycam("kill", RUN) == 0
        assert capsys.readouterr().err == f"{RUN} {said}\n"
    for reached, said in ((True, "is cut"), (False, "is to be cut, as soon as its worker answers again")):
        control.routes[f"POST /v1/sessions/{SESSION}/kill"] = {"session": SESSION, "reached": reached}
        assert bodycam("kill", SESSION) == 0
        assert capsys.readouterr().err == f"{SESSION} {said}\n"


def test_accounts_and_keys(control: FakeControl, capsys: pytest.CaptureFixture[str]) -> None:
    control.routes["POST /v1/service-accounts"] = {"name": "ci"}
    control.routes["POST /v1/service-accounts/ci/keys"] = {"id": "key_1", "key": "bca_once"}
    control.routes["DELETE /v1/service-accounts/ci/keys/key_1"] = {"id": "key_1", "revoked": [RUN]}
    control.routes["DELETE /v1/service-accounts/ci/keys/key_2"] = {"id": "key_2", "revoked": []}
    control.routes["POST /v1/service-accounts/ci/disable"] = {"name": "ci", "revoked": []}
    assert bodycam("accounts", "create", "ci", "--group", "a", "--group", "b") == 0
    assert control.calls[-1].body == {"name": "ci", "groups": ["a", "b"]}
    assert bodycam("accounts", "create", "ann", "--human", "--group", "dba") == 0
    assert control.calls[-1].body == {"name": "ann", "groups": ["dba"], "kind": "human"}
    capsys.readouterr()
    assert bodycam("accounts", "key", "ci") == 0
    assert capsys.readouterr().out == "bca_once\n"
    assert control.calls[-1].body == {}
    wanted = ("--scope", "read", "--scope", "runs:bot", "--replace", "key_1", "--overlap", "2h")
    assert bodycam("accounts", "key", "ci", *wanted) == 0
    assert control.calls[-1].body == {"scopes": ["read", "runs:bot"], "replaces": "key_1", "overlap": 7200}
    assert bodycam("accounts", "key", "ci", "--revoke", "key_1", "--scope", "read") == 2
    capsys.readouterr()
    assert bodycam("accounts", "key", "ci", "--revoke", "key_1") == 0
    assert bodycam("accounts", "key", "ci", "--revoke", "key_2") == 0
    assert capsys.readouterr().err == f"key_1 is revoked, and with it {RUN}\nkey_2 is revoked\n"
    assert bodycam("accounts", "disable", "ci") == 0


def test_the_listing_of_accounts_says_when_each_key_was_used(
    control: FakeControl, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bodycam("accounts", "list") == 0
    [_, row] = capsys.readouterr().out.splitlines()
    assert f"key_1 (used {when(1.7e9)}), key_2 (never used), key_3 (revoked), " in row
    assert "key_4 (only read runs:bot; never used)" in row


def test_export_as_json_lines_and_csv(
    control: FakeControl, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bodycam("export", RUN) == 0
    assert [json.loads(one) for one in capsys.readouterr().out.splitlines()] == [AN_EXCHANGE]
    assert bodycam("export", SESSION, "--format", "csv") == 0
    [head, row] = csv.reader(io.StringIO(capsys.readouterr().out))
    assert row[head.index("text")] == f"'=select {EVIL}"  # no spreadsheet takes it for a formula
    file = tmp_path / "out.csv"
    assert bodycam("export", RUN, "--transcripts", "--format", "csv", "-o", str(file)) == 0
    assert [one[3] for one in csv.reader(file.read_text().splitlines())] == ["type", "asked", "done"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert bodycam("export", RUN, "-o", str(file)) == 2
    assert "is there already" in capsys.readouterr().err


def test_an_export_that_breaks_off_leaves_no_file(control: FakeControl, tmp_path: Path) -> None:
    assert bodycam("export", "ses_unknown", "--transcripts", "-o", str(tmp_path / "x")) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["show", "ses_unknown"], 1, "no /v1/sessions/ses_unknown"),
        (["show", "../../etc"], 2, "neither a run nor a session"),
        (["export", "ses_unknown"], 1, "no /v1/sessions/ses_unknown"),
        (["export", "run_unknown", "--format", "csv"], 1, "no /v1/runs/run_unknown"),
        (["runs", "end", SESSION], 2, "is a session"),
        (["runs", "list", "--since", "yesterday"], 2, "expected 30m, 2h or 7d"),
        (["runs", "list", "--no-such-option"], 2, "No such option"),
        (["runs", "list", "--url", "http://127.0.0.1:1"], 3, "can't be reached"),
        (["runs", "list", "--url", "ftp://x"], 3, "not a URL"),
        (["runs", "list", "--url", "http://gateway.example:7888"], 2, "in clear"),
    ],
)
def test_errors_say_what_and_exit(
    control: FakeControl, capsys: pytest.CaptureFixture[str], line: list[str], code: int, said: str
) -> None:
    assert bodycam(*line) == code
    printed = capsys.readouterr()
    assert said in " ".join(printed.err.replace("│", " ").split())
    assert printed.out == ""
    assert "Traceback" not in printed.err


def test_without_a_gateway_or_a_key_it_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("BODYCAM_URL", "BODYCAM_API_KEY", "BODYCAM_KEY_FILE", "BODYCAM_SETTINGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    assert bodycam("runs", "list") == 3
    assert "BODYCAM_URL" in capsys.readouterr().err
    key = tmp_path / "key"
    key.write_text("bca_x")
    key.chmod(0o644)
    monkeypatch.setenv("BODYCAM_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("BODYCAM_KEY_FILE", str(key))
    assert bodycam("runs", "list") == 3
    assert f"chmod 600 {key}" in capsys.readouterr().err
