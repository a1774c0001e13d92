"""Runs the commands of a JSON file one after the other, and writes what each said into another.

Run as a program of its own: `python errands.py COMMANDS SAID`. It stands for the agent of a run.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def errand(command: dict[str, Any]) -> dict[str, Any]:
    done = subprocess.run(
        command["argv"],
        input=command.get("input", "").encode(),
        cwd=command.get("cwd"),
        capture_output=True,
        timeout=100,
        check=False,
    )
    return {
        "code": done.returncode,
        "out": done.stdout.decode("utf-8", "backslashreplace"),
        "err": done.stderr.decode("utf-8", "backslashreplace"),
    }


if __name__ == "__main__":
    commands = json.loads(Path(sys.argv[1]).read_text())
    said = {name: errand(command) for name, command in commands.items()}
    said["environment"] = {"http_proxy": os.environ.get("http_proxy", "")}
    Path(sys.argv[2]).write_text(json.dumps(said))
