"""A secret read in one run and sent on in another: told by fingerprint; and old recordings hunted through.

With a real server, real clients, and the command line as people use it.
"""

import json
import os
import re
import secrets
import signal
import string
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml

from bodycam.archive.format.container import Place, read_footer
from bodycam.model import ids
from tests import stage


def random_text(size: int) -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(size))


TOKEN, INBOUND = "sk_live_" + random_text(24), "sk_live_" + random_text(24)
BADGE, CORP, ASKED = "E123456", "corp_" + random_text(32), "corp_" + random_text(32)
RULES = {
    "detect": ["pii.email"],
    "detectors": {
        "badge": {"pattern": r"\bE[0-9]{6}\b"},
        "corp-token": {"pattern": r"\bcorp_[A-Za-z0-9]{32}\b", "secret": True},
    },
}
WIDE = 150_000


@pytest.fixture(scope="module")
def gateway(server: stage.Postgres) -> Iterator[stage.Gateway]:
    server.sql(
        "create table leak_source (id int primary key, note text)",
        "create table leak_sink (note text)",
        f"insert into leak_source values (1, 'nothing'), (2, 'key: {TOKEN}'), (3, 'badge {BADGE}, token {CORP}')",
        # so wide that a value lies over the end of a piece of the recording, whatever stands before it
        f"insert into leak_source select g, repeat('x', {WIDE}) || ' {CORP} ' || repeat('y', g) from generate_series(100, 109) g",
    )
    targets = {"shop": stage.shop(server), "outside": stage.shop(server)}
    with stage.folder() as folder:
        made = stage.Gateway(folder / "g", targets, masking=[{"detect": ["secrets"]}])
        made.init()
        made.start()
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def runs(gateway: stage.Gateway) -> tuple[str, str]:
    """The first run reads, the second sends on; both are sealed and indexed."""
    first = gateway.run()
    with psycopg.connect(first.dsn(), autocommit=True) as connection:
        connection.execute("select 1")
        assert TOKEN not in str(
            connection.execute("select id, note from leak_source where id < 100").fetchall()
        )
        # what the client takes from elsewhere
        with connection.cursor().copy("copy leak_sink from stdin") as copy:
            copy.write(f"{INBOUND}\n")
        with connection.cursor().copy(
            "copy (select note from leak_source where id >= 100) to stdout"
        ) as copy:
            assert sum(len(bytes(one)) for one in copy) > 10 * WIDE
    gateway.end(first)
    second = gateway.run()
    with psycopg.connect(second.dsn("outside"), autocommit=True) as connection:
        connection.execute("insert into leak_sink values (%s)", (TOKEN,))
        connection.execute(f"insert into leak_sink values ('again {TOKEN}'), ('{ASKED} ann@example.org')")
        done = subprocess.run(
            ["psql", "-X", "-c", f"select length('{INBOUND}')"],
            env=second.environment | {"PGDATABASE": "outside"},
            capture_output=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    gateway.end(second)
    return first.run, second.run


def place_of(gateway: stage.Gateway, session: str) -> tuple[Path, Place]:
    """The container that holds a session, and where in it."""
    for file in (gateway.data / "recordings").rglob("*.bcr"):
        data = file.read_bytes()
        for place in read_footer(lambda at, size, data=data: data[at : at + size], len(data))[0]:
            if ids.session_id(place.session) == session:
                return file, place
    raise LookupError(session)


def told(gateway: stage.Gateway, *arguments: str, code: int = 0) -> Any:
    done = gateway.bodycam("leaks", "--json", *arguments)
    assert done.returncode == code, done.stderr
    for secret in (TOKEN, INBOUND, CORP, ASKED, BADGE, "ann@example.org"):
        assert secret not in done.stdout + done.stderr
    return json.loads(done.stdout)


def ways(leak: dict[str, Any]) -> list[tuple[str, str, str, int]]:
    return [(one["run"], one["way"], one["target"], one["exchanges"]) for one in leak["sessions"]]


def test_the_whole_way_of_each_secret(gateway: stage.Gateway, runs: tuple[str, str]) -> None:
    first, second = runs
    leaks = {one["first"]["text"]: one for one in told(gateway)["leaks"]}
    read = leaks["select id, note from leak_source where id < 100"]
    sent = leaks["copy leak_sink from stdin"]

    assert read["detector"].startswith("secrets.stripe")
    assert len(read["fingerprint"]) == 32
    assert ways(read) == [(first, "received", "shop", 1), (second, "sent", "outside", 2)]
    assert (read["first"]["run"], read["first"]["agent"], read["first"]["way"]) == (
        first,
        "billing-bot",
        "received",
    )
    exchanges = {one["number"]: one for one in gateway.exchanges(first)}
    began = exchanges[read["first"]["exchange"]]
    assert began["text"] == "select id, note from leak_source where id < 100"
    assert began["started"] <= read["first"]["at"] <= began["started"] + began["duration_us"] / 1e6 + 0.001
    assert ways(sent) == [(first, "sent", "shop", 1), (second, "sent", "outside", 1)]
    assert sent["fingerprint"] != read["fingerprint"]
    assert len(leaks) == 2

    assert {one["fingerprint"] for one in told(gateway, "--run", second)["leaks"]} == {
        read["fingerprint"],
        sent["fingerprint"],
    }


def test_for_people(gateway: stage.Gateway, runs: tuple[str, str]) -> None:
    said = gateway.bodycam("leaks").stdout
    for part in (
        *runs,
        "received at shop by billing-bot",
        "sent ",
        "outside",
        "select id, note from leak_source",
    ):
        assert part in said
    assert TOKEN not in said


def test_a_rebuilt_index_says_the_same(gateway: stage.Gateway, runs: tuple[str, str]) -> None:
    before = told(gateway)
    assert gateway.stop() == 0
    done = gateway.bodycam("reindex", "--json")
    assert done.returncode == 0, done.stderr
    gateway.start()
    assert told(gateway) == before


def rules_of(gateway: stage.Gateway, rules: object = RULES) -> str:
    (gateway.folder / "rules.yaml").write_text(rules if isinstance(rules, str) else yaml.safe_dump(rules))
    return "rules.yaml"


def test_a_hunt_finds_what_no_mask_knew(gateway: stage.Gateway, runs: tuple[str, str]) -> None:
    first, second = runs
    said = told(gateway, "--hunt", rules_of(gateway))
    tokens = [one for one in said["leaks"] if one["detector"] == "corp-token"]
    others = {one["detector"]: one for one in said["leaks"] if one["detector"] != "corp-token"}
    asked, read = tokens

    # once in a row and ten times in copied data, where pieces of the recording cut it
    assert ways(read) == [(first, "received", "shop", 2)]
    assert read["first"]["text"] == "select id, note from leak_source where id < 100"
    assert (len(read["fingerprint"]), read["values"]) == (32, None)
    assert ways(asked) == [(second, "sent", "outside", 1)]
    # the text of its first moment holds it, and is shown without
    assert "'[bodycam:corp-token] [bodycam:pii.email]'" in asked["first"]["text"]
    assert (others["badge"]["fingerprint"], others["badge"]["values"]) == (None, 1)
    assert (others["pii.email"]["sessions_total"], others["pii.email"]["values"]) == (1, 1)
    assert said["searched"]["damaged"] == []
    assert said["searched"]["sessions"] == 3

    later = told(gateway, "--hunt", rules_of(gateway), "--run", second, "--jobs", "1")
    assert {one["detector"] for one in later["leaks"]} == {"corp-token", "pii.email"}
    assert later["searched"]["sessions"] == 2


def test_a_hunt_has_the_gateways_fingerprints_and_leaves_masks_alone(
    gateway: stage.Gateway, runs: tuple[str, str]
) -> None:
    said = told(gateway, "--hunt", rules_of(gateway, {"detect": ["secrets"]}))
    # what was masked when it was recorded is in no recording
    assert [one for one in said["leaks"] if one["detector"].startswith("secrets.stripe")] == []


def test_a_hunt_is_in_the_ledger(gateway: stage.Gateway, runs: tuple[str, str]) -> None:
    told(gateway, "--hunt", rules_of(gateway), "--run", runs[0])
    (act, *_) = gateway.api("GET", "/v1/audit?limit=10").json()["events"]
    assert (act["action"], act["object"]) == ("hunted", runs[0])
    assert act["detail"]["detectors"] == ["pii.email", "badge", "corp-token"]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ("detect: [secrets\n", "rules.yaml:2"),
        ("- a\n", "rules.yaml:1: expected a map"),
        ("{}", "expected detect, detectors or both"),
        ("detect: [pii.email]\nother: 1\n", "rules.yaml:2: other: no such key"),
        ("detect: [pii.emial]\n", "rules.yaml:1: detect[0]: there is no detector of this name"),
        (
            "detectors:\n  a: {pattern: 'x'}\n  b:\n    pattern: '(x'\n",
            "rules.yaml:4: detectors.b.pattern: expected a regular",
        ),
        ("detectors:\n  a: {pattern: '(?=x)y'}\n", "rules.yaml:2: detectors.a.pattern: expected a regular"),
        ("detectors:\n  a: {patern: 'x'}\n", "rules.yaml:2: detectors.a"),
        (
            "detectors:\n  pii.mine: {pattern: 'x'}\n",
            "rules.yaml:2: detectors.pii.mine: expected a name",
        ),
    ],
)
def test_wrong_rules_are_named_by_line_and_key(gateway: stage.Gateway, rules: str, says: str) -> None:
    done = gateway.bodycam("leaks", "--hunt", rules_of(gateway, rules))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_lines_of_the_page_work(gateway: stage.Gateway, runs: tuple[str, str]) -> None:
    """Each block of docs/leaks.md, with the rules that stand there."""
    page = (Path(__file__).parents[2] / "docs" / "leaks.md").read_text()
    (rules,) = re.findall(r"^```yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = "".join(re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)).splitlines()
    rules_of(gateway, rules)
    said = [gateway.bodycam(*line.split()[1:]) for line in lines]
    assert [done.returncode for done in said] == [0] * len(lines)
    assert len(lines) == 4
    assert "corp-token" in said[2].stdout
    assert {one["detector"] for one in json.loads(said[3].stdout)["leaks"]} >= {"corp-token", "employee"}


def test_what_is_not_there_is_refused(gateway: stage.Gateway) -> None:
    for more in ((), ("--hunt", rules_of(gateway))):
        done = gateway.bodycam("leaks", "--run", "run_aaaaaaaaaaaaaaaa", *more)
        assert done.returncode == 1
        assert "there is no run" in done.stderr
    done = gateway.bodycam("leaks", "--hunt", "nothere.yaml")
    assert done.returncode == 2
    assert "nothere.yaml: expected a file of detectors" in done.stderr


def test_ctrl_c_ends_it_and_leaves_nobody_behind(gateway: stage.Gateway, runs: tuple[str, str]) -> None:
    command = [sys.executable, "-m", "bodycam", "leaks", "--hunt", rules_of(gateway), "--jobs", "2"]
    process = subprocess.Popen(
        command,
        cwd=gateway.folder,
        env=stage.clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children: list[str] = []
    deadline = time.monotonic() + 60
    while not children and process.poll() is None and time.monotonic() < deadline:
        listed = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        children = listed.read_text().split() if listed.exists() else []
        time.sleep(0.01)
    # as a terminal does it: every process of the group hears it
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert "Traceback" not in said
    # it may have been done already
    assert process.returncode in (130, 0), said
    while any(Path(f"/proc/{child}").exists() for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_damaged_recording_is_named_and_the_others_are_read(
    gateway: stage.Gateway, runs: tuple[str, str]
) -> None:
    first, _ = runs
    (session,) = gateway.api("GET", f"/v1/sessions?run={first}").json()["sessions"]
    file, place = place_of(gateway, session["id"])
    whole = file.read_bytes()
    # within its last block, behind which its index, manifest and signature stand
    at = place.offset + place.length * 3 // 4
    file.write_bytes(whole[:at] + b"\0" * 16 + whole[at + 16 :])
    try:
        said = told(gateway, "--hunt", rules_of(gateway), code=1)
    finally:
        file.write_bytes(whole)
    (fault,) = said["searched"]["damaged"]
    assert fault["session"] == session["id"]
    assert fault["object"].endswith(file.name)
    assert "block" in fault["why"]
    # what comes before the damage was read, and so were the others
    assert {one["detector"] for one in said["leaks"]} == {"badge", "corp-token", "pii.email"}


def test_what_only_its_fingerprint_is_known_of_is_taken_out(
    gateway: stage.Gateway, runs: tuple[str, str]
) -> None:
    first, _ = runs
    rules = rules_of(gateway)
    tokens = [one for one in told(gateway, "--hunt", rules)["leaks"] if one["detector"] == "corp-token"]
    read = next(one for one in tokens if one["first"]["run"] == first)
    ways_to_ask = ["redact", "--json", "--reason", "a leak", "--fingerprint"]

    def redact(fingerprint: str, *more: str, code: int = 0) -> str:
        done = gateway.bodycam(*ways_to_ask, fingerprint, *more)
        assert done.returncode == code, done.stderr
        for secret in (CORP, ASKED, TOKEN):
            assert secret not in done.stdout + done.stderr
        return str(done.stdout + done.stderr)

    assert "none has a value with the fingerprint" in redact(read["fingerprint"], code=1)
    assert "32 hexadecimal digits" in redact("corp_", code=2)
    assert "expected one of" in gateway.bodycam("redact", "--reason", "a leak").stderr
    done = json.loads(redact(read["fingerprint"], "--hunt", rules))
    (session,) = done["sessions"]
    assert done["fingerprint"] == read["fingerprint"]
    assert gateway.api("GET", f"/v1/sessions/{session}").json()["run"] == first
    left = [one["fingerprint"] for one in told(gateway, "--hunt", rules)["leaks"]]
    assert read["fingerprint"] not in left
    assert sum(one is not None for one in left) == 1
    assert "none has a value" in redact(read["fingerprint"], "--hunt", rules, code=1)
    code, report = gateway.verify()
    assert (code, report["redactions"]["count"]) == (0, 1)
