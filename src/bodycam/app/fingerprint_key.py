"""The key of secrets' fingerprints, for those too who load no detectors."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from bodycam.journal.segment import sync_folder

CACHE = "detectors"
"""The folder of that key and of what is compiled of detectors, in the data folder."""
FINGERPRINTS = "fingerprints.key"


def fingerprint_key(folder: Path) -> bytes:
    """The key of secrets' fingerprints, made at the first need; without it they can't be compared.

    It is there whole or not at all, also after a loss of power.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = folder / FINGERPRINTS
    with suppress(FileNotFoundError):
        return file.read_bytes()
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=FINGERPRINTS, suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(os.urandom(32))
            new.flush()
            os.fsync(new.fileno())
        # of several processes the first one's counts
        with suppress(FileExistsError):
            os.link(name, file)
        sync_folder(folder)
    finally:
        Path(name).unlink(missing_ok=True)
    return file.read_bytes()
