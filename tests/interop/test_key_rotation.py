"""Keys on a real gateway: new ones in the place of old ones, one for a team, and one that a command wraps."""

import json
import os
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bodycam.model import ids
from tests import stage

KMS = Path(__file__).with_name("kms.py")


@pytest.fixture(scope="module")
def house(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        (folder / "kms").mkdir()
        (folder / "kms" / "master").write_bytes(os.urandom(32))
        command = [sys.executable, str(KMS), str(folder / "kms")]
        storage = {
            "key_encryption": {
                "vault": {
                    "wrap": [*command, "wrap"],
                    "unwrap": [*command, "unwrap"],
                    "timeout": "2s",
                    "cache": "2s",
                }
            },
            "keys_by": [
                {"targets": {"labels": {"team": "payments"}}, "kek": "payments"},
                {"targets": {"names": ["vaulted"]}, "kek": "vault"},
            ],
        }
        targets = {
            "shop": stage.shop(server),
            "paid": stage.shop(server, labels={"team": "payments"}),
            "vaulted": stage.shop(server),
        }
        gateway = stage.Gateway(folder / "g", targets, storage=storage)
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


def ask(gateway: stage.Gateway, word: str, target: str = "shop") -> stage.Credential:
    credential = gateway.run()
    with psycopg.connect(credential.dsn(target), autocommit=True) as connection:
        connection.execute("select %s::text", (word,)).fetchall()
    return credential


def run_of(gateway: stage.Gateway, word: str, target: str = "shop") -> str:
    (session,) = gateway.end(ask(gateway, word, target))["sessions"]
    return str(session)


def transcript(gateway: stage.Gateway, session: str) -> int:
    return int(gateway.api("GET", f"/v1/sessions/{session}/transcript").status_code)


def keks(gateway: stage.Gateway) -> dict[str, str]:
    """The key-encryption key of each session's data key."""
    with sqlite3.connect(gateway.data / "keystore" / "keys.db", timeout=10) as database:
        rows = database.execute("SELECT session, kek FROM keys").fetchall()
    database.close()
    return {ids.session_id(session): kek.hex() for session, kek in rows}


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def newest(gateway: stage.Gateway, kind: str, name: str = "") -> str:
    (one,) = [
        one["id"]
        for one in said(gateway, "keys", "list")["keys"]
        if (one["kind"], one["name"], one["state"]) == (kind, name, "newest")
    ]
    return str(one)


def verified(gateway: stage.Gateway, key: Path, head: Path) -> str:
    code, report = gateway.verify("--key", str(key), "--head", str(head))
    assert (code, report["findings"]) == (0, [])
    return str(report["state"])


def test_each_key_is_replaced_while_the_gateway_runs(house: stage.Gateway, tmp_path: Path) -> None:
    public = house.folder / "keys" / "public"
    first = run_of(house, "amaranth")
    pinned, head = tmp_path / "old.pem", tmp_path / "head.json"
    shutil.copy(public / "signing.pem", pinned)
    head.write_text(house.api("GET", "/v1/ledger/head").text)
    before = {
        kind: newest(house, kind, name)
        for kind, name in (("kek", "default"), ("signing", ""), ("journal", ""))
    }
    assert keks(house)[first] == before["kek"]

    refused = house.bodycam("keys", "retire", before["kek"])
    assert refused.returncode == 1
    assert "it is the newest key of default" in refused.stderr
    made = {kind: str(said(house, "keys", "rotate", kind)["id"]) for kind in ("kek", "signing", "journal")}
    assert made.keys() == before.keys()
    assert not set(made.values()) & set(before.values())
    os.kill(house.pid, signal.SIGHUP)
    until(lambda: any(one["new"] for one in house.verify()[1]["successions"]))

    second = run_of(house, "bryony")
    assert keks(house)[second] == made["kek"]
    until(lambda: keks(house)[first] == made["kek"])
    assert [transcript(house, one) for one in (first, second)] == [200, 200]
    assert verified(house, pinned, head) == "authentic"
    assert verified(house, public / "signing.pem", head) == "authentic"
    online = house.bodycam("verify", "--json", "--key", str(pinned), "--head", str(head))
    assert online.returncode == 0, online.stdout + online.stderr

    assert said(house, "keys", "retire", before["kek"]) == {"retired": before["kek"]}
    assert [transcript(house, one) for one in (first, second)] == [200, 200]
    kept = [one["id"] for one in said(house, "keys", "list")["keys"]]
    assert before["kek"] not in kept
    assert before["journal"] in kept
    house.stop()
    house.start()
    third = run_of(house, "celandine")
    assert said(house, "keys", "retire", before["journal"]) == {"retired": before["journal"]}
    assert [transcript(house, one) for one in (first, second, third)] == [200] * 3
    assert verified(house, pinned, head) == "authentic"
    until(lambda: {"key-gone"} <= {one["action"] for one in said(house, "audit")["events"]})
    added = {one["object"] for one in said(house, "audit")["events"] if one["action"] == "key-added"}
    assert added == {"kek default", "signing", "journal"}
    for folder in ("archivist", "archivist/older"):
        files = [one for one in (house.folder / "keys" / folder).iterdir() if one.is_file()]
        assert {one.stat().st_mode & 0o777 for one in files} <= {0o600}


def test_a_team_has_a_key_of_its_own_and_loses_only_that(house: stage.Gateway) -> None:
    ours, theirs = run_of(house, "delphinium"), run_of(house, "eyebright", "paid")
    assert keks(house)[ours] == newest(house, "kek", "default")
    assert keks(house)[theirs] == newest(house, "kek", "payments")
    own = house.folder / "keys" / "archivist" / "wrapping-payments.key"
    away = own.rename(own.with_suffix(".away"))
    assert transcript(house, ours) == 200
    answer = house.api("GET", f"/v1/sessions/{theirs}/transcript")
    assert answer.status_code == 410
    assert "the key-encryption key" in answer.text
    waiting = ask(house, "foxglove", "paid")
    another = run_of(house, "gentian")
    assert transcript(house, another) == 200, "others don't wait for that key"
    away.rename(own)
    (late,) = house.end(waiting)["sessions"]
    assert [transcript(house, one) for one in (theirs, late)] == [200, 200]


def test_a_command_that_fails_or_hangs_holds_up_sealing_and_loses_nothing(house: stage.Gateway) -> None:
    folder = house.folder.parent / "kms"
    first = run_of(house, "hellebore", "vaulted")
    wrapped = (house.folder / "keys" / "archivist" / "wrapping-vault.key").read_bytes()
    for mode in ("fail", "hang", "flood", "wrong"):
        (folder / "mode").write_text(mode)
        until(lambda: metric(house, "bodycam_key_encryption_keys_away") == 1)
        waiting = ask(house, f"ivy{mode}", "vaulted")
        until(lambda: not house.api("GET", "/readyz").json()["ready"])
        detail = {one["name"]: one["detail"] for one in house.api("GET", "/readyz").json()["checks"]}
        assert "key-encryption key" in detail["archivist"]
        assert transcript(house, first) == 503
        (folder / "mode").write_text("")
        (late,) = house.end(waiting)["sessions"]
        assert [transcript(house, one) for one in (first, late)] == [200, 200]
    log = house.log.read_text()
    assert "a key-encryption key can't be had" in log
    assert "a key-encryption key is there again" in log
    assert wrapped[-32:].hex() not in log, "what a command says on standard error is not kept"
    assert house.verify()[0] == 0


def metric(gateway: stage.Gateway, name: str) -> float:
    for line in gateway.api("GET", "/metrics").text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    return -1
