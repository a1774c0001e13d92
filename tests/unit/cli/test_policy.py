"""`bodycam policy test`: rules against a file of expectations, and against what a run did."""

import json
from pathlib import Path
from typing import Any

import pytest

from bodycam.cli.main import build, invoke
from tests.unit.cli.fake_control import FakeControl, fake_control  # noqa: F401

SETTINGS = """\
agents: {bot: {}}
targets: {orders: {protocol: postgres, address: "db:5432", user: app, labels: {env: prod}}}
rules:
  - preset: no-destructive-sql
  - {name: writes, when: "op.sql.writes.size() > 0", then: require_approval}
  - {name: nights, when: "now.hour < 6", then: alert}
  - {name: friday, when: "'interns' in principal.groups", then: deny}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    file = tmp_path / "bodycam.yaml"
    file.write_text(SETTINGS)
    return file


def run(*arguments: str) -> int:
    return invoke(build(only="policy"), ["policy", "test", *arguments])


def expectations(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "expected.yaml"
    file.write_text(
        "operations:\n" + "".join(f"  - {{agent: bot, target: orders, {line}}}\n" for line in lines)
    )
    return str(file)


def test_all_as_expected(tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = expectations(
        tmp_path,
        'text: "drop table t", expect: deny, rule: no-destructive-sql',
        'text: "select 1", expect: allow',
        'text: "delete from t", expect: require_approval, rule: writes',
        'text: "select 1", expect: alert, rule: nights, at: "2026-01-31T03:00:00Z"',
        'text: "select 1", expect: deny, starter: {subject: eve, groups: [interns]}',
        'text: "prepare p as select 1", expect: allow, session: one',
        'text: "execute p", expect: allow, session: one',
        'text: "execute p", expect: deny, rule: unknown-effect',
    )

    assert run(file, "--settings", str(settings)) == 0
    assert capsys.readouterr().err == "8 operations, 0 not as expected\n"


def test_what_differs_is_named_by_its_line(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = expectations(
        tmp_path, 'text: "select 1", expect: deny', 'text: "drop table t", expect: deny, rule: writes'
    )

    assert run(file, "--settings", str(settings)) == 1
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        f"{file}:2: expected deny, got allow: select 1",
        f"{file}:3: expected deny by writes, got deny by no-destructive-sql "
        "(dropping and truncating are not allowed here): drop table t",
    ]
    assert run(file, "--settings", str(settings), "--json") == 1
    said = json.loads(capsys.readouterr().out)
    assert [one["ok"] for one in said["operations"]] == [False, False]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("text: 'select 1', expect: maybe", ":2: operations[0].expect: expected"),
        ("text: 'select 1'", ":2: operations[0].expect: this key is missing"),
        ("text: 'select 1', expect: alert", ":2: operations[0]: expected rule, the one that is to alert"),
    ],
)
def test_a_wrong_file_is_named_by_line_and_key(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    assert run(expectations(tmp_path, line), "--settings", str(settings)) == 2
    assert said in capsys.readouterr().err


def test_a_target_that_is_not_declared(
    tmp_path: Path, settings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "expected.yaml"
    file.write_text("operations: [{agent: bot, target: nope, text: 'select 1', expect: allow}]")

    assert run(str(file), "--settings", str(settings)) == 2
    assert "declares no target nope" in capsys.readouterr().err


def test_rules_that_can_not_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bodycam.yaml"
    file.write_text(SETTINGS.replace("op.sql.writes", "op.sql.writs"))

    assert run("--recorded", "run_a", "--settings", str(file)) == 2
    assert (
        f"{file}:5: rules[1].when: no such fact: op.sql.writs (did you mean op.sql.writes?)"
        in capsys.readouterr().err
    )


def test_one_of_both_is_wanted(settings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--settings", str(settings)) == 2
    assert "expected either FILE or --recorded RUN" in capsys.readouterr().err


def asked(exchange: int, text: str, verdict: str | None = None, redactions: int = 0) -> dict[str, Any]:
    return {
        "at": 1000, "exchange": exchange, "type": "asked", "verb": "query", "text": text, "parameters": [],
        "aside": False, "verdict": verdict, "redactions": redactions,
    }  # fmt: skip


def test_a_run_on_record(
    settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    session = {"id": "ses_1", "target": "orders", "database": "shop", "opened": 1_700_000_000.0}
    routes = {
        "GET /v1/runs/run_1": {"run": {
            "id": "run_1", "agent": "bot", "principal": "ada@corp", "grade": "advisory", "labels": {}},
        },
        "GET /v1/sessions": {"sessions": [session], "next": None},
        "GET /v1/sessions/ses_1/transcript": [
            {**asked(1, "user=x"), "verb": "connect"},
            asked(2, "select 1"),
            asked(3, "drop table t"),
            asked(4, "delete from t", "pending by rule writes: x"),
            asked(5, "select '[redacted from here on]", redactions=1),
            {"at": 5, "exchange": 5, "type": "done", "outcome": "ok", "tag": None, "rows": 9, "bytes": 1},
        ],
    }  # fmt: skip
    settings.write_text(SETTINGS.replace("  - {name: friday", "  #"))
    with fake_control(routes) as control:
        monkeypatch.setenv("BODYCAM_URL", control.url)
        monkeypatch.setenv("BODYCAM_API_KEY", "bca_key")
        assert run("--recorded", "run_1", "--settings", str(settings)) == 1
        told = capsys.readouterr()
        assert run("--recorded", "run_1", "--settings", str(settings), "--json") == 1
        changes = json.loads(capsys.readouterr().out)["changes"]
        settings.write_text(SETTINGS)
        assert run("--recorded", "run_1", "--settings", str(settings), "--json") == 1
        all_of_it = json.loads(capsys.readouterr().out)["changes"]

    assert told.err == "4 operations, 1 would change, 1 undecidable\n"
    assert [(one["exchange"], one["then"], one["now"]) for one in changes] == [
        (3, "allow", "deny"),
        (5, "allow", "undecidable"),
    ]
    # the groups of whoever started it are not at hand
    assert {one["now"] for one in all_of_it} == {"undecidable"}
