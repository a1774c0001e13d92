"""Keeps the signed ledger head that a run's end gives, outside the gateway's reach.

With a head kept here `bodycam verify` can tell a ledger that was rewritten from one that only grew.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def heads_folder(environ: Mapping[str, str]) -> Path:
    """$XDG_STATE_HOME/bodycam/heads; the XDG base directory specification says where that is by default."""
    state = environ.get("XDG_STATE_HOME", "")
    base = (
        Path(state)
        if state.startswith("/")
        else Path(environ.get("HOME") or "~").expanduser() / ".local/state"
    )
    return base / "bodycam" / "heads"


def keep_head(folder: Path, run: str, content: Mapping[str, Any]) -> Path:
    """Write `<run>.json` whole or not at all, readable by its owner only.

    Raises:
        OSError: it can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{run}.json"
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=".head-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return path
