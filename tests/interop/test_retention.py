"""Retention on a real gateway: short ages, a hold, the plan, deleting, and what is left to prove it by."""

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bodycam.model import ids
from tests import stage

KEEP = 2.0


@pytest.fixture
def house(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        targets = {
            "shop": stage.shop(server, labels={"env": "dev"}),
            "books": stage.shop(server, labels={"env": "prod"}),
        }
        retention = [
            {"name": "books", "targets": {"labels": {"env": "prod"}}, "keep": "365d", "at_least": "30d"},
            {"name": "short", "keep": f"{KEEP:.0f}s"},
        ]
        gateway = stage.Gateway(folder / "g", targets, retention=retention)
        gateway.init()
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.stop()


def said(gateway: stage.Gateway, *arguments: str) -> dict[str, Any]:
    done = gateway.bodycam(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def run_of(gateway: stage.Gateway, word: str, target: str = "shop") -> tuple[stage.Credential, str]:
    """A run with one session that says a word; sealed and indexed."""
    credential = gateway.run()
    with psycopg.connect(credential.dsn(target), autocommit=True) as connection:
        connection.execute("select %s::text, repeat(%s, 2)", (word, word)).fetchall()
        connection.execute("select 1").fetchall()
    (session,) = gateway.end(credential)["sessions"]
    return credential, session


def found(gateway: stage.Gateway, word: str) -> list[str]:
    hits = gateway.api("GET", f"/v1/search?q={word}&asides=true").json()["hits"]
    return sorted({str(hit["session"]) for hit in hits})


def has_key(gateway: stage.Gateway, session: str) -> bool:
    with sqlite3.connect(gateway.data / "keystore" / "keys.db") as database:
        row = database.execute("SELECT 1 FROM keys WHERE session = ?", (ids.raw(session),)).fetchone()
    database.close()
    return row is not None


def test_from_a_plan_to_a_proof(house: stage.Gateway, tmp_path: Path) -> None:
    gone_run, gone = run_of(house, "mandrake")
    _, held = run_of(house, "belladonna")
    _, prod = run_of(house, "monkshood", "books")
    wrapped = key_of(house, gone)
    hold = said(house, "legal-hold", "add", "--query", "belladonna", "--reason", "a suit")
    kept_head = tmp_path / "head.json"
    kept_head.write_text(house.api("GET", "/v1/ledger/head").text)
    time.sleep(KEEP + 0.5)

    plan = said(house, "retention", "plan", "--within", "400d")
    fates = {one["session"]: (one["rule"], one["fate"]) for one in plan["recordings"]}
    assert fates == {gone: ("short", "due"), held: ("short", "held"), prod: ("books", "later")}
    assert has_key(house, gone), "a plan deletes nothing"

    applied = said(house, "retention", "apply")
    assert (applied["deleted"], applied["held"], applied["refused"]) == ({"short": 1}, 1, "")

    assert [has_key(house, one) for one in (gone, held, prod)] == [False, True, True]
    assert found(house, "mandrake") == []
    assert (found(house, "belladonna"), found(house, "monkshood")) == ([held], [prod])
    listed = [one["id"] for one in said(house, "sessions")["sessions"]]
    assert sorted(listed) == sorted([held, prod])
    for command in ("show", "replay"):
        done = house.bodycam(command, gone)
        assert done.returncode == 1
        assert f"the recording of session {gone} was deleted on 20" in done.stderr
        assert "by the retention rule short" in done.stderr
    assert house.bodycam("show", gone_run.run).returncode == 0
    (event,) = [one for one in said(house, "audit")["events"] if one["action"] == "deleted"]
    assert (event["object"], event["detail"]["rule"]) == (gone, "short")
    assert event["actor"].endswith("@bodycam")
    acts = [one["action"] for one in said(house, "audit")["events"]]
    assert {"legal-hold-added", "retention-applied"} <= set(acts)

    key = str(house.folder / "keys" / "public" / "signing.pem")
    code, report = house.verify("--key", key, "--head", str(kept_head))
    assert (code, report["state"], report["findings"]) == (0, "authentic", [])
    assert report["deletions"] == {"by_rule": {"short": 1}, "unknown": 0}
    assert wrapped_is_nowhere(house, wrapped)

    said(house, "legal-hold", "release", hold["id"], "--reason", "settled")
    assert said(house, "retention", "apply")["deleted"] == {"short": 1}
    assert found(house, "belladonna") == []
    house.stop()
    done = house.bodycam("reindex", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["sessions"] == 1
    house.start()
    assert [found(house, word) for word in ("mandrake", "belladonna")] == [[], []]
    assert found(house, "monkshood") == [prod]
    assert house.api("GET", f"/v1/sessions/{held}/transcript").status_code == 410
    assert house.verify("--key", key, "--head", str(kept_head))[1]["state"] == "authentic"


def key_of(gateway: stage.Gateway, session: str) -> bytes:
    """A session's data key as the key store has it."""
    with sqlite3.connect(gateway.data / "keystore" / "keys.db") as database:
        (wrapped,) = database.execute(
            "SELECT wrapped FROM keys WHERE session = ?", (ids.raw(session),)
        ).fetchone()
    database.close()
    return bytes(wrapped)


def wrapped_is_nowhere(gateway: stage.Gateway, wrapped: bytes) -> bool:
    """Whether no file of the gateway has these bytes any more."""
    return not [file for file in gateway.data.rglob("*") if file.is_file() and wrapped in file.read_bytes()]


def test_the_keeper_deletes_by_itself_and_takes_changed_rules_over(server: stage.Postgres) -> None:
    with stage.folder() as folder:
        gateway = stage.Gateway(
            folder / "g",
            {"shop": stage.shop(server)},
            archive={"seal_interval": "200ms", "retention_interval": "1s"},
        )
        gateway.init()
        gateway.start()
        try:
            _, session = run_of(gateway, "mandrake")
            time.sleep(2.5)
            assert has_key(gateway, session), "without rules nothing goes"
            file = gateway.folder / "bodycam.yaml"
            file.write_text(file.read_text() + "\nretention: [{keep: 1s}]\n")
            gateway.signal(1)
            until(lambda: not has_key(gateway, session) and found(gateway, "mandrake") == [])
            until(lambda: not list((gateway.data / "recordings").rglob("*.bcr")))
            metrics = gateway.api("GET", "/metrics", key=False).text
            assert "bodycam_deleted_total 1.0" in metrics
            assert gateway.verify()[1]["deletions"] == {"by_rule": {"rule-1": 1}, "unknown": 0}
            assert gateway.api("POST", "/v1/verify").json()["deletions"]["by_rule"] == {"rule-1": 1}
        finally:
            gateway.stop()


def until(done: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.1)
