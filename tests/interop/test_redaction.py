"""A value that leaked, taken out of recordings and index of a real gateway; and what is left to prove it by."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bodycam.archive import redactions
from bodycam.archive.format.container import SessionReader, read_footer
from bodycam.archive.keyring import Keyring
from bodycam.archive.keystore import KeyStore
from bodycam.archive.store.local import LocalStore
from tests import stage

VALUE = "sesame-O'Neill/4711 éclair"


@pytest.fixture(scope="module")
def house(server: stage.Postgres) -> Iterator[stage.Gateway]:
    with stage.folder() as folder:
        # several sessions in one container, so that one of them is replaced alone
        gateway = stage.Gateway(folder / "g", {"shop": stage.shop(server)}, archive={"seal_interval": "2s"})
        gateway.init()
        gateway.start()
        try:
            yield gateway
        finally:
            gateway.stop()


def run_of(gateway: stage.Gateway, *values: str) -> str:
    credential = gateway.run()
    with psycopg.connect(credential.dsn(), autocommit=True) as connection:
        for value in values:
            connection.execute("select %s::text, %s::bytea", (value, value.encode())).fetchall()
            connection.execute("select " + "'" + value.replace("'", "''") + "' as said").fetchall()
            connection.execute("select %s || repeat('x', 400000) || %s", (value, value)).fetchall()
    (session,) = gateway.end(credential)["sessions"]
    return str(session)


def redact(gateway: stage.Gateway, value: str, *more: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "bodycam", "redact", "--value-from", "-", "--json", *more],
        cwd=gateway.folder,
        env=stage.clean_environment(),
        input=f"{value}\n",
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def plaintexts(gateway: stage.Gateway) -> Iterator[tuple[str, bytes]]:
    """What every recording says that can be read, and every file."""
    keystore = KeyStore(gateway.data / "keystore" / "keys.db", Keyring(gateway.folder / "keys" / "archivist"))
    store = LocalStore(gateway.data / "recordings")
    for name in store.list():

        def read(at: int, size: int, name: str = name) -> bytes:
            return store.get_range(name, at, size)

        for place in read_footer(read, store.size(name))[0]:
            if not keystore.superseded(place.root):
                for event in SessionReader(read, place.offset, place.length).events(
                    keystore.get(place.session)
                ):
                    yield name, repr(event).encode()
    keystore.close()
    for file in gateway.folder.rglob("*"):
        if file.is_file() and "journal/" not in str(file):
            yield str(file), file.read_bytes()


def has(gateway: stage.Gateway, word: str) -> list[str]:
    hits = gateway.api("GET", f"/v1/search?q={word}&asides=true").json()["hits"]
    return sorted({str(hit["session"]) for hit in hits})


def shown(gateway: stage.Gateway, session: str) -> str:
    answer = gateway.api("GET", f"/v1/sessions/{session}/transcript")
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_value_is_gone_and_the_proof_stays(house: stage.Gateway, tmp_path: Path) -> None:
    leaked, other = run_of(house, VALUE, "harmless"), run_of(house, "unrelated")
    key, head = house.folder / "keys" / "public" / "signing.pem", tmp_path / "head.json"
    head.write_text(house.api("GET", "/v1/ledger/head").text)
    assert has(house, "sesame") == [leaked]
    untouched = shown(house, other)

    held = house.bodycam("legal-hold", "add", "--query", "harmless", "--reason", "a suit", "--json")
    code, refused = redact(house, VALUE, "--reason", "a leak")
    assert (code, refused["held"], refused["sessions"]) == (1, [leaked], {})
    hold = json.loads(held.stdout)["id"]
    assert house.bodycam("legal-hold", "release", hold, "--reason", "settled").returncode == 0

    code, plan = redact(house, VALUE, "--reason", "a leak", "--plan")
    assert code == 0
    assert plan["sessions"].keys() == {leaked}
    assert has(house, "sesame") == [leaked], "a plan changes nothing"

    code, done = redact(house, VALUE, "--reason", "a leak")
    assert (code, done["sessions"]) == (0, plan["sessions"])
    stage_wait(lambda: bool(has(house, "harmless")))
    assert has(house, "sesame") == []
    assert has(house, "harmless") == [leaked]
    after = shown(house, leaked)
    assert "[redacted]" in after
    assert "sesame" not in after
    assert shown(house, other) == untouched

    code, report = house.verify("--key", str(key), "--head", str(head))
    assert (code, report["state"], report["findings"]) == (0, "authentic", [])
    (told,) = report["redactions"]["told"]
    assert (report["redactions"]["count"], told["session"], told["reason"]) == (1, leaked, "a leak")
    acts = json.loads(house.bodycam("audit", "--json").stdout)["events"]
    (event,) = [one for one in acts if one["action"] == "redacted"]
    assert (event["object"], event["detail"]["values"]) == (leaked, told["values"])
    # what somebody looked for is on the record; what was taken out is not
    assert "sesame" not in json.dumps([one for one in acts if one["action"] != "searched"])
    assert redact(house, VALUE, "--reason", "again")[1]["sessions"] == {}

    house.stop()
    done_again = house.bodycam("reindex", "--json")
    assert (done_again.returncode, json.loads(done_again.stdout)["faults"]) == (0, [])
    for where, said in plaintexts(house):
        assert b"sesame-O" not in said, where
        assert VALUE.encode().hex().encode() not in said, where

    forged(house, tmp_path, key, head)
    house.start()
    assert has(house, "harmless") == [leaked]


def forged(house: stage.Gateway, tmp_path: Path, key: Path, head: Path) -> None:
    """Altered copies of the data folder: each is named."""
    for number, (alter, says) in enumerate(
        [
            (no_record, None),
            (another_reason, "not what its redaction's leaf is the hash of"),
            (old_back, "missing"),
        ]
    ):
        copy = tmp_path / str(number)
        shutil.copytree(house.data, copy, ignore=shutil.ignore_patterns("*.sock"))
        alter(copy)
        code, report = house.verify("--data", str(copy), "--key", str(key), "--head", str(head))
        if says is None:
            assert (code, report["redactions"]["unknown"]) == (0, 1)
        else:
            assert code == 1
            assert any(says in one["what"] for one in report["findings"]), report["findings"]


def no_record(data: Path) -> None:
    (data / "ledger" / "redactions").unlink()


def another_reason(data: Path) -> None:

    (one,) = [told for _, told in redactions.read(data / "ledger") if not isinstance(told, str)]
    (data / "ledger" / "redactions").unlink()
    redactions.add(data / "ledger", replace(one, reason="a whim"))


def old_back(data: Path) -> None:
    """The new recording is taken away; nothing but what is superseded is left of it."""
    (one,) = [told for _, told in redactions.read(data / "ledger") if not isinstance(told, str)]
    (data / "recordings" / one.new_object).unlink()


def stage_wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_sessions_that_are_open_are_named_and_waited_for(house: stage.Gateway) -> None:
    secret = "marigold-0815-open"
    credential = house.run()
    with psycopg.connect(credential.dsn(), autocommit=True) as connection:
        connection.execute("select %s::text", (secret,)).fetchall()
        listed = f"/v1/sessions?run={credential.run}"
        stage_wait(lambda: bool(house.api("GET", listed).json()["sessions"]))
        session = house.api("GET", listed).json()["sessions"][0]["id"]
        for more, code in (((), 0), (("--wait", "1s"), 1)):
            asked, said = redact(house, secret, "--reason", "a leak", *more)
            assert (asked, said["unsealed"], said["sessions"]) == (code, [session], {})
    # it is sealed two seconds later at the earliest
    asked, said = redact(house, secret, "--reason", "a leak", "--wait", "30s")
    assert (asked, said["unsealed"], said["waiting"]) == (0, [], [])
    assert said["sessions"].keys() == {session}
    assert secret not in shown(house, session)
    house.end(credential)


def test_the_store_of_keys_names_what_was_superseded(house: stage.Gateway) -> None:
    with sqlite3.connect(house.data / "keystore" / "keys.db") as database:
        rows = database.execute("SELECT count(*) FROM superseded").fetchone()
        left = database.execute("SELECT count(*) FROM successors").fetchone()
    database.close()
    assert (rows, left) == ((2,), (0,))
