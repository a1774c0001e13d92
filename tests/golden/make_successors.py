"""Make the golden files of replaced keys and recordings: `python -m tests.golden.make_successors FOLDER`.

What `make_recordings` makes, and then: another signing key, data keys that name what wraps them, and the second
session's recording redacted. Made once, and never again.
"""

import json
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bodycam.archive import redactions
from bodycam.archive.format.container import Place, read_footer
from bodycam.archive.keystore import KeyStore
from bodycam.archive.leaked import forms
from bodycam.archive.ledger import Leaf, Ledger
from bodycam.archive.redactions import Redaction
from bodycam.archive.rewriting import look, rewrite
from bodycam.archive.store.local import LocalStore
from bodycam.archive.succession import Succession
from tests.golden.make_recordings import SIGNING, WRAPPING
from tests.golden.make_recordings import make as make_recordings

SUCCESSOR = Ed25519PrivateKey.from_private_bytes(b"golden successor, worth nothing!"[:32])
OLD, NEW = "2026/09/21/rec_golden1.bcr", "2026/09/22/rec_golden3.bcr"
SESSION = b"\2" * 16


def make(folder: Path) -> None:
    """The folder of the first golden files, gone on with."""
    make_recordings(folder)
    store, keystore = LocalStore(folder / "recordings"), KeyStore(folder / "keystore" / "keys.db", WRAPPING)
    word = Succession.by(SIGNING, SUCCESSOR.public_key())
    ledger = Ledger(folder / "ledger", SUCCESSOR, [word])

    def read(at: int, size: int) -> bytes:
        return store.get_range(OLD, at, size)

    place: Place = next(one for one in read_footer(read, store.size(OLD))[0] if one.session == SESSION)
    finder = look(read, place, keystore.get(SESSION), forms(b"select id from orders"))
    note = {"note": "redacted", "values": finder.count, "fingerprint": "0" * 32}
    made = rewrite(read, place, keystore.get(SESSION), finder, note, SUCCESSOR, folder)
    told = Redaction(
        SESSION, "ann@corp", "run_aaaaaaaaaaaaaaaa", "golden", "0" * 32, finder.count,
        place.root, made.place.root, OLD, NEW, bytes(range(16)),
    )  # fmt: skip
    with made.stream:
        keystore.prepare(SESSION, made.place.root, made.key)
        redactions.add(folder / "ledger", told)
        store.put(NEW, made.parts())
    ledger.append([Leaf.REDACTED, SESSION, told.old, told.new, told.digest])
    ledger.commit()
    keystore.promote(SESSION, told.old, told.new)
    ledger.close()
    keystore.close()
    (folder / "successor.hex").write_text(SUCCESSOR.public_key().public_bytes_raw().hex() + "\n")
    (folder / "redacted.json").write_text(
        json.dumps({"key": made.key.hex(), "values": finder.count, "new": told.new.hex()}, indent=1) + "\n"
    )
    (folder / "expected.json").unlink()
    for derived in (folder / "ledger" / "lock", folder / "ledger" / "tree", *folder.rglob("*-journal")):
        derived.unlink(missing_ok=True)
    (folder / "recordings" / ".partial").rmdir()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
