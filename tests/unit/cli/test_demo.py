"""The whole demo as a person starts it: database, web, an OpenSSH server, gateway, AutoGen run, record, verification."""

import json
import shutil
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
    assert answer["http"] == {"requests": 13 if shutil.which("curl") else 12, "model": 8, "denied": 1}
    assert answer["ssh"] == {"commands": 1, "files": 1, "denied": 1, "without": None}
    [command] = [one for one in answer["exchanges"] if one["verb"] == "exec"]
    assert (command["target"], command["tag"]) == ("packing", "exit 0")
    [tunnel] = [one for one in answer["exchanges"] if one["verb"] == "forward"]
    assert "target-allow" in tunnel["error"]["message"]
    assert "Traceback" not in done.stderr
