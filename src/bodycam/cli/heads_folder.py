"""Where `bodycam run` keeps the signed ledger heads, and of which sizes they are."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

MOST = 20


def heads_folder(environ: Mapping[str, str]) -> Path:
    """Where `bodycam run` keeps them: $XDG_STATE_HOME/bodycam/heads, or below ~/.local/state."""
    state = environ.get("XDG_STATE_HOME", "")
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - without HOME: passwd(5)
    return (Path(state) if state.startswith("/") else home / ".local/state") / "bodycam" / "heads"


def kept_sizes(url: str, folder: Path) -> list[int]:
    """The sizes of the newest heads kept from the gateway at `url`; what is no head is passed over."""
    sizes: list[int] = []
    for _, head in kept_plain(url, folder):
        size = head.get("size")
        if isinstance(size, int) and not isinstance(size, bool) and 0 < size < 1 << 63:
            sizes.append(size)
    return sizes


def kept_plain(url: str, folder: Path) -> list[tuple[Path, dict[str, object]]]:
    """The newest files with a head of the gateway at `url`, and the heads as they stand there."""
    try:
        files = sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime, reverse=True)
    except OSError:
        return []
    found: list[tuple[Path, dict[str, object]]] = []
    for file in files:
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        head = plain.get("head") if isinstance(plain, dict) and plain.get("gateway") == url else None
        if isinstance(head, dict):
            found.append((file, head))
            if len(found) == MOST:
                break
    return found
