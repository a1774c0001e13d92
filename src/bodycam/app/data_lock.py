"""One gateway over one data folder."""

import fcntl
import os
from pathlib import Path

NAME = "gateway.lock"


class DataFolderTaken(OSError):
    """Another gateway has the data folder."""


def take(data: Path) -> int:
    """Lock the data folder for this gateway; returns the lock's descriptor.

    Children inherit it, so that what a killed supervisor leaves behind holds the folder until it has ended.

    Raises:
        DataFolderTaken: another gateway, or the rest of one, runs over it; the text says which.
    """
    file = data / NAME
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "?"
        os.close(descriptor)
        raise DataFolderTaken(
            f"nothing was started: a gateway runs over {data} already (process {holder}, or children that "
            "it left behind and that still end); stop it first, or set storage.data to a folder of its own"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor
