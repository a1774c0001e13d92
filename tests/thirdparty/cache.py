"""Where third-party suites are fetched to: outside of git, and never copied anywhere else.

BODYCAM_THIRDPARTY=full runs the suites whole; without it the parts that are fast.
"""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".bodycam" / "thirdparty"
FULL = os.environ.get("BODYCAM_THIRDPARTY") == "full"


class Unavailable(Exception):
    """A suite can't be had here; the text says why, and is the reason of a skip."""


def call(command: Sequence[str | Path], *, cwd: Path, timeout: float = 300) -> str:
    """Run a program that fetches or builds something; returns what it says.

    Raises:
        Unavailable: there is no such program, or it failed, or took longer than `timeout` seconds.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise Unavailable(f"there is no {name} here") from None
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{name} took longer than {timeout:g} s") from None
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["nothing"])[-1]
        raise Unavailable(f"{name} failed ({done.returncode}): {last}")
    return done.stdout
