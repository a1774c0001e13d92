"""A run's evidence and the ledger's anchors on a real gateway, and what verification makes of them elsewhere."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bodycam.archive import frames
from bodycam.archive.evidence import bundle
from bodycam.archive.head import decode_head
from bodycam.archive.kept import read_kept
from bodycam.archive.keys import load_archivist
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.cli.main import build, invoke
from bodycam.net.control_access import ControlAccess
from bodycam.net.control_client import ControlClient, ControlError
from tests import stage
from tests.interop.raw import until
from tests.unit.api.authority import Authority, authority
from tests.unit.api.hook import SECRET, Receiver, receiver


@dataclass
class House:
    """A gateway with its anchors, and one run with what was kept of it outside."""

    gateway: stage.Gateway
    outside: Path
    hook: Receiver
    tsa: Authority
    run: str
    sessions: list[str]
    deleted: str
    open: str
    bundle: Path

    @property
    def key(self) -> Path:
        return self.outside / "signing.pem"

    def anchored(self) -> int:
        """Wait until every anchor has the newest head; returns its size."""
        size = int(self.gateway.api("GET", "/v1/ledger/head").json()["size"])

        def there() -> bool:
            files = [self.outside / "heads.jsonl", self.outside / "stamps.jsonl"]
            sizes = [read_kept(file)[-1].head.size for file in files if file.exists()]
            bodies = [json.loads(one.body)["head"]["size"] for one in self.hook.received]
            return len(sizes) == 2 and min(*sizes, max(bodies, default=0)) >= size

        until(there, f"the head over {size} leaves at every anchor")
        return size


@pytest.fixture(scope="module")
def house(server: stage.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    outside = tmp_path_factory.mktemp("outside")
    with stage.folder() as folder, receiver() as hook, authority(outside / "tsa") as tsa:
        targets = {"shop": stage.shop(server), "brief": stage.shop(server)}
        quick = {"interval": "1s"}
        stamped = {
            "path": str(outside / "stamps.jsonl"),
            "authority_url": tsa.url,
            "authority": str(tsa.root),
        }
        gateway = stage.Gateway(
            folder / "g",
            targets,
            retention=[{"name": "short", "targets": {"names": ["brief"]}, "keep": "1s"}],
            rules=[{"name": "no-drop", "when": "'drop' in op.sql.kinds", "then": "deny"}],
            ledger={
                "anchors": [
                    {"name": "worm", "type": "file", "path": str(outside / "heads.jsonl"), **quick},
                    {"name": "board", "type": "webhook", "url": hook.url, "secret": {"env": "HOOK"}, **quick},
                    {"name": "tsa", "type": "rfc3161", **stamped, **quick},
                ]
            },
        )
        gateway.init()
        gateway.start(HOOK=SECRET)
        (outside / "signing.pem").write_bytes(
            (gateway.folder / "keys" / "public" / "signing.pem").read_bytes()
        )
        try:
            credential = gateway.run(labels={"ticket": "<b>42</b>"})
            for target in ("shop", "brief"):
                with psycopg.connect(credential.dsn(target), autocommit=True) as connection:
                    connection.execute("select %s::text", ("<script>alert(1)</script>",)).fetchall()
                    if target == "shop":
                        connection.execute("select generate_series(1, 9000), repeat('x', 100)").fetchall()
                        with pytest.raises(psycopg.Error):
                            connection.execute("drop table nothing")
            listed = until(lambda: sealed(gateway, credential.run, 2), "two sessions sealed")
            names = {one["target"]: one["id"] for one in listed}
            assert gateway.api("GET", f"/v1/sessions/{names['shop']}/transcript").status_code == 200
            time.sleep(1.2)
            assert gateway.api("POST", "/v1/retention/apply", json={}).status_code == 200
            with psycopg.connect(credential.dsn(), autocommit=True) as connection:
                connection.execute("select 1").fetchall()
                bundle = outside / "open.tar"
                exported(gateway, credential.run, bundle)
                with tarfile.open(bundle) as archive:
                    file = archive.extractfile("sessions.jsonl")
                    assert file is not None
                    states = {one["state"]: one["session"] for one in map(json.loads, file)}
            yield House(
                gateway,
                outside,
                hook,
                tsa,
                credential.run,
                [names["shop"]],
                names["brief"],
                states["open"],
                bundle,
            )
        finally:
            gateway.stop()


def sealed(gateway: stage.Gateway, run: str, count: int) -> list[dict[str, Any]]:
    listed = gateway.api("GET", f"/v1/sessions?run={run}").json()["sessions"]
    return listed if sum(one["state"] == "sealed" for one in listed) == count else []


def exported(gateway: stage.Gateway, run: str, file: Path) -> None:
    done = gateway.bodycam("export", "--evidence", run, "-o", str(file))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert str(file) in done.stderr
    assert file.stat().st_mode & 0o777 == 0o600


def newest_head(data: Path) -> dict[str, Any]:
    with (data / "ledger" / "heads").open("rb") as stream:
        return [decode_head(found)[0] for _, found in frames.read(stream)][-1].to_plain()


def alone(*arguments: object, cwd: Path) -> tuple[int, str]:
    """`bodycam verify` with nothing around it: no settings, no variables, another folder."""
    done = subprocess.run(
        [sys.executable, "-m", "bodycam", "verify", *map(str, arguments)],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


Verify = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def verify(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Verify:
    """The same in this process, which spares the start of another."""
    for name in [name for name in os.environ if name.startswith("BODYCAM_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = invoke(build(only="verify"), ["verify", "--json", *map(str, arguments)])
        return code, json.loads(capsys.readouterr().out)

    return run


def test_a_run_that_goes_on(house: House, verify: Verify, tmp_path: Path) -> None:
    """Sealed, deleted and open sessions in one bundle: whole, and each told as what it is."""
    code, report = verify(house.bundle, "--key", house.key)
    assert (code, report["findings"], report["state"]) == (0, [], "self-consistent")
    assert report["open"] == [house.open]
    assert [(one["session"], one["rule"]) for one in report["deletions"]] == [(house.deleted, "short")]
    code, text = alone(house.bundle, "--key", house.key, cwd=tmp_path)
    assert code == 0
    assert f"deleted by the retention rule short: {house.deleted}" in text
    assert f"not sealed when the bundle was made: {house.open}" in text


def test_a_run_that_has_ended_against_every_kind_of_head(
    house: House, verify: Verify, tmp_path: Path
) -> None:
    ended = house.gateway.api("POST", f"/v1/runs/{house.run}/end", json={"exit_code": 0, "wait": 20}).json()
    assert ended["unsealed"] == [house.deleted] or ended["unsealed"] == []
    head = tmp_path / "head.json"
    head.write_text(json.dumps(ended["head"]))
    [control] = house.gateway.children()["control"]
    os.kill(control, signal.SIGKILL)
    house.gateway.wait_ready()
    house.anchored()
    exported(house.gateway, house.run, bundle := tmp_path / "run.tar")
    body = tmp_path / "body.json"
    body.write_bytes(house.hook.received[-1].body)
    for kept in (head, house.outside / "heads.jsonl", house.outside / "stamps.jsonl", body):
        code, report = verify(bundle, "--key", house.key, "--head", kept)
        assert (code, report["findings"], report["state"]) == (0, [], "authentic"), (kept, report)
    stamped = ["--head", house.outside / "stamps.jsonl", "--authority", house.tsa.root]
    code, report = verify(bundle, "--key", house.key, *stamped)
    assert (code, report["stamps"]["unchecked"]) == (0, 0)
    assert report["stamps"]["hold"] >= 1

    page = tmp_path / "page.html"
    with tarfile.open(bundle) as archive:
        file = archive.extractfile(f"sessions/{house.sessions[0]}/transcript-00001.html")
        assert file is not None
        page.write_bytes(file.read())
        trail = archive.extractfile("trail.jsonl")
        assert trail is not None
        acts = [json.loads(line) for line in trail]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.read_text()
    assert "<script" not in page.read_text()
    assert [one["action"] for one in acts][:1] == ["viewed"]
    assert [one["action"] for one in acts].count("exported") == 2
    assert {"deleted"} <= {one["action"] for one in acts}

    altered = bytearray(bundle.read_bytes())
    altered[altered.index(b"B\0", 2048) + 300] ^= 1
    bundle.write_bytes(altered)
    code, report = verify(bundle, "--key", house.key)
    assert (code, report["state"]) == (1, "broken")
    assert any(one["where"].endswith("recording.bcs") for one in report["findings"])


def test_an_older_copy_and_a_fork_are_found_by_any_head_kept_outside(
    house: House, verify: Verify, tmp_path: Path
) -> None:
    house.anchored()
    old = tmp_path / "old"
    for name in ("ledger", "recordings"):
        shutil.copytree(house.gateway.data / name, old / name)
    assert house.gateway.api("POST", "/v1/service-accounts", json={"name": "later"}).status_code == 201
    size = house.anchored()
    body = tmp_path / "body.json"
    body.write_bytes(house.hook.received[-1].body)
    heads = [house.outside / "heads.jsonl", house.outside / "stamps.jsonl", body]
    offline = ["--offline", "--key", house.key, "--data"]

    def found(data: Path, kept: Path) -> tuple[str, list[str]]:
        _, report = verify(*offline, data, "--head", kept)
        # what is not sealed lies in the journals, which were not copied
        faults = [one for one in report["findings"] if "neither a recording nor a journal" not in one["what"]]
        return report["state"], [f"{one['where']}: {one['what']}" for one in faults]

    for kept in heads:
        assert found(house.gateway.data, kept) == ("authentic", [])
        state, faults = found(old, kept)
        assert state == "broken"
        assert any(f"the ledger was cut: a head over {size} leaves was kept" in one for one in faults), faults

    # the same key over the older copy: longer than what was kept, and another ledger all the same
    signing = load_archivist(house.gateway.folder / "keys").signing
    ledger = Ledger(old / "ledger", signing)
    while ledger.size < size + 3:
        ledger.append([Leaf.ADMIN, bytes(32)])
        ledger.commit()
    ledger.close()
    for kept in heads:
        state, faults = found(old, kept)
        assert state == "broken"
        assert any("has another root over" in one and kept.name in one for one in faults), faults

    # what the gateway itself says to a head that its ledger does not extend, and to several files at once
    forked = tmp_path / "forked.json"
    forked.write_text(json.dumps(newest_head(old)))
    done = house.gateway.bodycam("verify", "--json", *(f"--head={one}" for one in (*heads, forked)))
    assert done.returncode == 1
    (wrong,) = json.loads(done.stdout)["findings"]
    assert "forked.json" in wrong["where"]


def test_anchors_show_in_metrics_and_health(house: House) -> None:
    house.anchored()
    metrics = house.gateway.api("GET", "/metrics").text
    assert "bodycam_anchors_failing 0.0" in metrics
    checks = {one["name"]: one for one in house.gateway.api("GET", "/readyz").json()["checks"]}
    assert checks["anchors"] == {"name": "anchors", "ok": True, "detail": ""}


def test_an_archivist_that_dies_in_the_midst_gives_no_half_bundle(house: House, tmp_path: Path) -> None:
    [archivist] = house.gateway.children()["archivist"]
    key = (house.gateway.folder / "keys" / "admin.key").read_text().strip()
    access = ControlAccess(
        f"https://127.0.0.1:{house.gateway.control}", key, ca_file=house.gateway.listener_ca
    )
    got, said = b"", ""
    with ControlClient(access) as client:
        try:
            # the first byte comes before the pages are made
            with client.download(f"/v1/runs/{house.run}/evidence", {}, read_seconds=30) as (_, pieces):
                os.kill(archivist, signal.SIGKILL)
                got = b"".join(pieces)
        except ControlError as error:
            said = error.message
    # whoever was too slow to kill it in time has all of it
    assert "cut off" in said or got.endswith(bundle.END)
    house.gateway.wait_ready()


def test_what_is_not_exported(house: House, tmp_path: Path) -> None:
    there = tmp_path / "there.tar"
    there.write_bytes(b"mine")
    for arguments, code in (
        ([house.run, "-o", str(there)], 2),
        ([house.sessions[0]], 2),
        (["run_aaaaaaaaaaaaaaaa", "-o", str(tmp_path / "none.tar")], 1),
    ):
        done = house.gateway.bodycam("export", "--evidence", *arguments)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert there.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [there]
