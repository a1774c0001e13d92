"""What `bodycam verify` says on the terminal of journals, torn ends and markers."""

from pathlib import Path
from typing import Any

import pytest

from bodycam.archive.head import Head
from bodycam.cli.main import build, invoke
from tests.unit.cli.fake_control import fake_control

SESSIONS = [f"ses_{number:026d}" for number in range(25)]


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, **told: Any
) -> list[str]:
    head = Head(bytes(16), 1, bytes(32), 1, bytes(64)).to_plain()
    report = {"ok": True, "state": "self-consistent", "counts": {"sessions": 2}, "findings": [], **told}
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with fake_control({"POST /v1/verify": report, "GET /v1/ledger/head": head}) as control:
        monkeypatch.setenv("BODYCAM_URL", control.url)
        monkeypatch.setenv("BODYCAM_API_KEY", "key_x.y")
        assert invoke(build(only="verify"), ["verify"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(
    ("checked", "said"),
    [
        ("contents", "contents checked"),
        ("structure", "structure checked; contents take the archivist's journal.pem"),
    ],
)
def test_how_journals_were_looked_at(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    checked: str,
    said: str,
) -> None:
    journals = {"folders": 1, "segments": 3, "records": 70, "checked": checked}
    lines = printed(monkeypatch, capsys, tmp_path, journals=journals)
    assert lines == ["self-consistent: 2 sessions", f"journals: 3 segments with 70 records, {said}"]


def test_what_was_deleted_is_said_by_rule(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    deletions = {"by_rule": {"prod": 3, "rule-2": 40}, "unknown": 1}
    assert printed(monkeypatch, capsys, tmp_path, deletions=deletions)[1:] == [
        "deleted by the retention rule prod: 3",
        "deleted by the retention rule rule-2: 40",
        "deleted, by a rule that nothing tells any more: 1",
    ]


def test_what_is_torn_and_marked_is_said_and_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    marked = {
        "lost-tail": {"count": 1, "sessions": SESSIONS[:1]},
        "truncated": {"count": 25, "sessions": SESSIONS},
        "interrupted": {"count": 0, "sessions": []},
    }
    torn = [{"where": "journal/x/00000001.seg: at offset 128", "what": "record 1 does not verify"}]
    lines = printed(monkeypatch, capsys, tmp_path, torn=torn, marked=marked)
    assert lines[1:] == [
        "torn, by a crash: journal/x/00000001.seg: at offset 128: record 1 does not verify",
        f"recordings marked lost-tail: 1 ({SESSIONS[0]})",
        f"recordings marked truncated: 25 ({', '.join(SESSIONS[:20])}, ...)",
    ]
