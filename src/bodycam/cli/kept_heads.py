"""The signed ledger heads that were kept outside, and whether a ledger still extends them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bodycam.archive import merkle
from bodycam.archive.head import Head
from bodycam.archive.kept import KeptHead, read_kept
from bodycam.archive.succession import KeyChain
from bodycam.cli.failure import USAGE, Failure
from bodycam.cli.heads_folder import kept_plain
from bodycam.net.control_client import ControlClient


def read_heads(files: Sequence[Path]) -> list[KeptHead]:
    """The heads in these files, each as `bodycam run` or an anchor wrote it, or a head alone.

    Raises:
        Failure: one can't be read or holds no head.
    """
    found: list[KeptHead] = []
    for file in files:
        try:
            found += read_kept(file)
        except OSError as error:
            raise Failure(f"{file} can't be read: {error.strerror}", code=USAGE) from error
        except (ValueError, RecursionError) as error:
            hint = "give a file that `bodycam run` or an anchor of the settings wrote"
            raise Failure(f"{file} holds no ledger head", hint=hint, code=USAGE) from error
    return found


def kept_for(url: str, folder: Path) -> Iterator[KeptHead]:
    """The newest heads kept from the gateway at `url`, newest first."""
    for file, plain in kept_plain(url, folder):
        try:
            yield KeptHead(str(file), Head.from_plain(plain))
        except ValueError as error:
            hint = "give a file that `bodycam run` kept"
            raise Failure(f"{file} holds no ledger head", hint=hint, code=USAGE) from error


def check(client: ControlClient, kept: KeptHead, now: Head, keys: KeyChain | None) -> dict[str, Any]:
    """Whether the ledger whose head is `now` extends the kept one: {file, size, ok, what}.

    `keys` are the signing keys that the pinned one is among.
    """
    what, head = "", kept.head
    if keys is not None and not any(head.holds(key) for key in keys.keys):
        what = "the kept head is not signed by the pinned key"
    elif head.log != now.log:
        what = "the gateway has another ledger now"
    elif head.size > now.size:
        what = f"the ledger had {head.size} leaves and has {now.size} now"
    elif head.size == 0 or head.size == now.size:
        what = "" if head.size == 0 or head.root == now.root else "the ledger has another root now"
    else:
        answer = client.get("/v1/ledger/consistency", {"first": head.size, "second": now.size})
        try:
            proof = [bytes.fromhex(one) for one in answer.get("proof", [])]
        except (TypeError, ValueError):
            proof = []
        holds = merkle.verify_consistency(head.size, now.size, head.root, now.root, proof)
        what = "" if holds else "the ledger was rewritten since: the proof from the kept head fails"
    return {"file": kept.where, "size": head.size, "ok": not what, "what": what}
