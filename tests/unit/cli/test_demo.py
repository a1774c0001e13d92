"""The whole demo as a person starts it: database, gateway, AutoGen run, record, verification."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(180)
def test_one_json_object(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bodycam", "demo", "--once", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"]
    assert answer["agent"] == "shop-analyst"
    assert answer["principal"] == "admin@bodycam"
    assert answer["verify"]["state"] == "authentic"
    [insert] = [one for one in answer["exchanges"] if one["statement"].startswith("insert")]
    assert (insert["parameters"], insert["rows"], insert["status"]) == (["2", "desk lamp", "4990"], 1, "ok")
    assert "Traceback" not in done.stderr
