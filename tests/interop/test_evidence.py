"""Evidence of a run from a real gateway: exported with the command line, verified where there is only the file."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests import stage


@dataclass
class Exported:
    """A run's bundle, and what was kept outside of the gateway."""

    gateway: stage.Gateway
    run: str
    sessions: list[str]
    deleted: str
    bundle: Path
    key: Path
    head: Path


@pytest.fixture(scope="module")
def exported(server: stage.Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    outside = tmp_path_factory.mktemp("outside")
    with stage.folder() as folder:
        targets = {"shop": stage.shop(server), "brief": stage.shop(server)}
        retention = [{"name": "short", "targets": {"names": ["brief"]}, "keep": "1s"}]
        rules = [{"name": "no-drop", "when": "'drop' in op.sql.kinds", "then": "deny"}]
        gateway = stage.Gateway(folder / "g", targets, retention=retention, rules=rules)
        gateway.init()
        gateway.start()
        try:
            credential = gateway.run(labels={"ticket": "<b>42</b>"})
            for target in ("shop", "brief", "shop"):
                with psycopg.connect(credential.dsn(target), autocommit=True) as connection:
                    connection.execute("select %s::text", ("<script>alert(1)</script>",)).fetchall()
                    if target == "shop":
                        connection.execute("select generate_series(1, 9000), repeat('x', 100)").fetchall()
                        with pytest.raises(psycopg.Error):
                            connection.execute("drop table nothing")
            ended = gateway.end(credential)
            head = outside / "head.json"
            head.write_text(json.dumps(ended["head"]))
            time.sleep(1.2)
            listed = gateway.api("GET", f"/v1/sessions?run={credential.run}").json()["sessions"]
            (deleted,) = [one["id"] for one in listed if one["target"] == "brief"]
            assert gateway.bodycam("retention", "apply", "--json").returncode == 0
            gateway.bodycam("show", ended["sessions"][0], check=True)
            bundle = outside / "run.tar"
            done = gateway.bodycam("export", "--evidence", credential.run, "-o", str(bundle))
            assert done.returncode == 0, done.stderr
            key = outside / "signing.pem"
            key.write_bytes((gateway.folder / "keys" / "public" / "signing.pem").read_bytes())
            yield Exported(gateway, credential.run, ended["sessions"], deleted, bundle, key, head)
        finally:
            gateway.stop()


def verify(*arguments: object, cwd: Path) -> tuple[int, dict[str, Any]]:
    """`bodycam verify` with nothing around it: no settings, no variables, another folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd)}
    done = subprocess.run(
        [sys.executable, "-m", "bodycam", "verify", "--json", *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_whole_with_a_pinned_key_and_a_head_kept_outside(exported: Exported, tmp_path: Path) -> None:
    code, report = verify(exported.bundle, "--key", exported.key, "--head", exported.head, cwd=tmp_path)
    assert (code, report["findings"], report["state"]) == (0, [], "authentic"), report
