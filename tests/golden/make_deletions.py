"""Make the golden files of deletions: `python -m tests.golden.make_deletions FOLDER`.

What `make_recordings` makes, and then: the second session deleted by a rule, with its details in the file
`deletions`. Made once, and never again.
"""

import sys
from pathlib import Path

from bodycam.archive.deletions import Deletion, DeletionFile
from bodycam.archive.keystore import KeyStore
from bodycam.archive.ledger import Leaf, Ledger
from tests.golden.make_recordings import SIGNING, WRAPPING
from tests.golden.make_recordings import make as make_recordings

SESSION = b"\2" * 16
DELETED = Deletion(
    SESSION, bytes(range(16)), "ann@corp", "run_aaaaaaaaaaaaaaaa", "short", 2592000.0, 1790000000000,
    "2026/09/21/rec_golden1.bcr",
)  # fmt: skip
ABANDONED = Deletion(b"\7" * 16, bytes(16), "retention", "run_b", "Ünïcode", 0.5, 0, "")
"""One that never came to its tombstone."""


def make(folder: Path) -> None:
    """The folder of the first golden files, gone on with."""
    make_recordings(folder)
    keystore = KeyStore(folder / "keystore" / "keys.db", WRAPPING)
    file, ledger = DeletionFile(folder / "ledger"), Ledger(folder / "ledger", SIGNING)
    file.add([DELETED, ABANDONED])
    ledger.append([Leaf.DELETED, SESSION, DELETED.digest])
    ledger.commit()
    keystore.destroy(SESSION)
    ledger.close()
    file.close()
    keystore.close()
    (folder / "expected.json").unlink()
    for derived in (folder / "ledger" / "lock", folder / "ledger" / "tree", *folder.rglob("*-journal")):
        derived.unlink(missing_ok=True)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
