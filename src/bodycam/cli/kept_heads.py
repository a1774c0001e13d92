"""The signed ledger heads that runs left on this machine, and whether a ledger still extends them."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bodycam.archive import merkle
from bodycam.archive.head import Head
from bodycam.archive.succession import KeyChain
from bodycam.cli.failure import USAGE, Failure
from bodycam.net.control_client import ControlClient

MOST = 20


@dataclass(frozen=True, slots=True)
class Kept:
    """A head and the file that keeps it."""

    file: Path
    head: Head


def heads_folder(environ: Mapping[str, str]) -> Path:
    """Where `bodycam run` keeps them: $XDG_STATE_HOME/bodycam/heads, or below ~/.local/state."""
    state = environ.get("XDG_STATE_HOME", "")
    home = Path(environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - without HOME: passwd(5)
    return (Path(state) if state.startswith("/") else home / ".local/state") / "bodycam" / "heads"


def read_head(file: Path) -> Head:
    """The head in a file that `bodycam run` wrote, or a head alone.

    Raises:
        Failure: it can't be read or is no head.
    """
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        return Head.from_plain(plain.get("head", plain))
    except OSError as error:
        raise Failure(f"{file} can't be read: {error.strerror}", code=USAGE) from error
    except (ValueError, AttributeError) as error:
        raise Failure(
            f"{file} holds no ledger head", hint="give a file that `bodycam run` kept", code=USAGE
        ) from error


def kept_for(url: str, folder: Path) -> Iterator[Kept]:
    """The newest heads kept from the gateway at `url`, newest first."""
    try:
        files = sorted(folder.glob("*.json"), key=lambda one: one.stat().st_mtime, reverse=True)
    except OSError:
        return
    found = 0
    for file in files:
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            plain = None
        if isinstance(plain, dict) and plain.get("gateway") == url and plain.get("head"):
            yield Kept(file, read_head(file))
            found += 1
            if found == MOST:
                return


def check(client: ControlClient, kept: Kept, now: Head, keys: KeyChain | None) -> dict[str, Any]:
    """Whether the ledger whose head is `now` extends the kept one: {file, size, ok, what}.

    `keys` are the signing keys that the pinned one is among.
    """
    what = ""
    if keys is not None and not any(kept.head.holds(key) for key in keys.keys):
        what = "the kept head is not signed by the pinned key"
    elif kept.head.log != now.log:
        what = "the gateway has another ledger now"
    elif kept.head.size > now.size:
        what = f"the ledger had {kept.head.size} leaves and has {now.size} now"
    elif kept.head.size == 0 or kept.head.size == now.size:
        what = "" if kept.head.size == 0 or kept.head.root == now.root else "the ledger has another root now"
    else:
        answer = client.get("/v1/ledger/consistency", {"first": kept.head.size, "second": now.size})
        try:
            proof = [bytes.fromhex(one) for one in answer.get("proof", [])]
        except (TypeError, ValueError):
            proof = []
        holds = merkle.verify_consistency(kept.head.size, now.size, kept.head.root, now.root, proof)
        what = "" if holds else "the ledger was rewritten since: the proof from the kept head fails"
    return {"file": str(kept.file), "size": kept.head.size, "ok": not what, "what": what}
