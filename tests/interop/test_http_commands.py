"""What is done with a recording, of a session over HTTP: judged again, followed, exported, replayed, held."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import stage
from tests.interop.http_api import Api, api

TOKENS = {name: f"v-{number}-7d1f0e5b" for number, name in enumerate(
    ("access_token", "refresh_token", "id_token", "client_secret", "api_key", "password", "secret"))}  # fmt: skip
KEY = "AKIA" + "IOSFODNN7EXAMPLG"
RULES = [{"name": "no-deletes", "when": 'op.http.method == "DELETE" && op.http.path.startsWith("/records")',
          "then": "deny", "message": "records stay"}]  # fmt: skip


@dataclass
class House:
    gateway: stage.Gateway
    api: Api
    listener: int

    def client(self, run: stage.Credential) -> httpx.Client:
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.listener}/t/api", auth=(run.run, run.secret), trust_env=False,
            timeout=30,
        )  # fmt: skip

    def said(self, *arguments: str, code: int = 0) -> str:
        done = self.gateway.bodycam(*arguments)
        assert done.returncode == code, done.stderr + done.stdout
        return done.stdout


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with api() as target:
        listener = stage.free_port()
        targets = {
            "api": {"protocol": "http", "address": f"127.0.0.1:{target.port}", "tls": {"sslmode": "disable"}},
            "masked": {
                "protocol": "http",
                "address": f"localhost:{target.port}",
                "tls": {"sslmode": "disable"},
            },
        }
        masking = [{"detect": ["secrets"], "targets": {"names": ["masked"]}}]
        with stage.gateway(
            targets, listen={"http": f"127.0.0.1:{listener}"}, rules=RULES, masking=masking
        ) as gateway:
            yield House(gateway, target, listener)


def a_run(house: House) -> tuple[stage.Credential, str]:
    """One session, with a request that is answered, one that is denied, and one that is not found."""
    run = house.gateway.run()
    house.api.answers["/words"] = ("text/plain", b"belladonna and monkshood")
    with house.client(run) as client:
        assert client.get("/words").text == "belladonna and monkshood"
        assert client.delete("/records/1").status_code == 403
        assert client.post("/things?q=1", json={"name": "mandrake"}).json() == {"ok": 1}
    house.gateway.end(run)
    (session,) = {str(one["session"]) for one in house.gateway.exchanges(run.run)}
    return run, session


@pytest.mark.parametrize("path", ["/tokens", "/chunked/tokens"])
def test_credentials_that_an_answer_shows_under_their_names_reach_the_client_alone(
    house: House, path: str
) -> None:
    run = house.gateway.run()
    house.api.answers[path] = ("application/json", json.dumps({"user": "ann", **TOKENS}).encode())
    form = "&".join(f"{name}={value}" for name, value in TOKENS.items()) + "&scope=all"
    house.api.answers[f"{path}/form"] = ("application/x-www-form-urlencoded", form.encode())
    with house.client(run) as client:
        assert client.get(path).json() == {"user": "ann", **TOKENS}
        assert client.get(f"{path}/form").text == form
    house.gateway.end(run)
    (session,) = {str(one["session"]) for one in house.gateway.exchanges(run.run)}
    shown = house.said("replay", "--no-wait", "--wide", session)
    shown += house.said("export", "--transcripts", run.run)
    for value in TOKENS.values():
        assert value not in shown
    if path == "/tokens":
        assert all(f'"{name}": "[redacted]"' in shown for name in TOKENS)
        assert all(f"{name}=[redacted]" in shown for name in TOKENS)
        assert '"user": "ann"' in shown
        assert "scope=all" in shown
    hits = house.gateway.api("GET", f"/v1/search?q={TOKENS['password']}").json()["hits"]
    assert hits == []


def test_a_run_is_judged_again_and_operations_of_a_file_are_judged(house: House) -> None:
    run, _ = a_run(house)
    again = json.loads(house.said("policy", "test", "--recorded", run.run, "--json"))
    assert again["changes"] == []
    settings = (house.gateway.folder / "bodycam.yaml").read_text()
    (house.gateway.folder / "other.yaml").write_text(settings.replace('"DELETE"', '"POST"').replace(
        "/records", "/things"))  # fmt: skip
    changed = house.gateway.bodycam("policy", "test", "--recorded", run.run, "--settings", "other.yaml")
    assert changed.returncode == 1, changed.stdout + changed.stderr
    assert "2 would change, 0 undecidable" in changed.stderr
    (house.gateway.folder / "operations.yaml").write_text(
        "operations:\n"
        "  - {agent: billing-bot, target: api, verb: DELETE, text: 'http://127.0.0.1/records/1', expect: deny,\n"
        "     rule: no-deletes}\n"
        "  - {agent: billing-bot, target: api, verb: GET, text: 'http://127.0.0.1/records/1', expect: allow}\n"
    )
    house.said("policy", "test", "operations.yaml")


def test_what_is_asked_is_followed_while_it_happens(house: House) -> None:
    run = house.gateway.run()
    follow = subprocess.Popen(
        [sys.executable, "-m", "bodycam", "tail", "--run", run.run, "--json"],
        cwd=house.gateway.folder, env=stage.clean_environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert follow.stdout is not None
    told: list[dict[str, Any]] = []
    stdout = follow.stdout
    reader = threading.Thread(target=lambda: told.extend(map(json.loads, stdout)), daemon=True)
    reader.start()
    try:
        with house.client(run) as client:
            deadline = time.monotonic() + 60
            # it shows what happens from its own beginning on
            while not any("/first" in str(one) for one in told):
                assert time.monotonic() < deadline
                client.get("/first")
                time.sleep(0.2)
            assert client.delete("/records/7").status_code == 403
            while not any("/records/7" in str(one) for one in told):
                assert time.monotonic() < deadline, told
                time.sleep(0.05)
    finally:
        follow.terminate()
        follow.wait(20)
        reader.join(20)
        follow.stdout.close()
    asked = [(one["verb"], one["status"]) for one in told if "verb" in one]
    assert (asked[0], asked[-1]) == (("GET", "ok"), ("DELETE", "denied"))


def test_evidence_of_a_run_is_verified_elsewhere_and_replayed_here(house: House, tmp_path: Path) -> None:
    run, session = a_run(house)
    deadline = time.monotonic() + 30
    while house.gateway.api("GET", f"/v1/sessions?run={run.run}").json()["sessions"][0]["state"] != "sealed":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    file = tmp_path / "run.evidence"
    house.said("export", "--evidence", run.run, "-o", str(file))
    key = house.gateway.folder / "keys" / "public" / "signing.pem"
    done = subprocess.run(
        [sys.executable, "-m", "bodycam", "verify", str(file), "--key", str(key)],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        env=stage.clean_environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "self-consistent" in done.stdout
    shown = house.said("replay", "--no-wait", session)
    for piece in ("GET http://127.0.0.1", "belladonna and monkshood", "no-deletes", "mandrake", "200", "403"):
        assert piece in shown
    lines = [json.loads(line) for line in house.said("replay", "--json", run.run).splitlines()]
    assert any("mandrake" in str(line) for line in lines)


def test_a_piece_of_what_is_masked_is_answered_by_all_of_it(house: House) -> None:
    run = house.gateway.run()
    house.api.answers["/pieces"] = ("text/plain", f"0123456789 {KEY} and more".encode())
    with httpx.Client(
        base_url=f"http://127.0.0.1:{house.listener}/t", auth=(run.run, run.secret), trust_env=False
    ) as client:
        for target, kept in (("masked", False), ("api", True)):
            house.api.asked.clear()
            got = client.get(f"/{target}/pieces", headers={"Range": "bytes=0-9", "If-Range": '"1"'})
            ((_, _, fields, _),) = house.api.of("/pieces")
            assert (got.status_code, "range" in fields, "if-range" in fields) == (200, kept, kept)
            assert got.text.startswith("0123456789 ")
            assert got.text.endswith(" and more")
            assert (KEY in got.text) is kept
    house.gateway.end(run)


def test_a_key_that_is_met_is_a_leak_and_what_a_word_names_is_held(house: House) -> None:
    run = house.gateway.run()
    house.api.answers["/keys"] = ("application/json", json.dumps({"found": KEY}).encode())
    with httpx.Client(
        base_url=f"http://127.0.0.1:{house.listener}/t/masked", auth=(run.run, run.secret), trust_env=False
    ) as client:
        assert KEY not in client.get("/keys").text
        assert client.post("/keys", content=f"key {KEY} of mine").status_code == 200
    house.gateway.end(run)
    leaks = json.loads(house.said("leaks", "--run", run.run, "--json"))["leaks"]
    assert {one["detector"] for one in leaks} == {"secrets.aws-access-token"}
    assert KEY not in house.said("leaks", "--run", run.run)
    _, session = a_run(house)
    hold = json.loads(house.said("legal-hold", "add", "--query", "mandrake", "--reason", "a suit", "--json"))
    held = house.gateway.api("GET", f"/v1/sessions/{session}").json()
    assert hold["id"] in json.dumps(held) or hold["id"] in house.said("legal-hold", "list")
    by_target = json.loads(house.said("legal-hold", "add", "--target", "masked", "--reason", "x", "--json"))
    for one in (hold, by_target):
        house.said("legal-hold", "release", one["id"], "--reason", "settled")
