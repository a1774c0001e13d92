"""Files of keys and their public halves: read whole, written once and never over what is there."""

import os
from pathlib import Path


class KeyFileError(Exception):
    """A key, certificate or request is not usable; the text says which and why."""


def read_file(path: Path) -> bytes:
    """What a file holds.

    Raises:
        KeyFileError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path} can't be read: {error.strerror or error}") from error


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a new file, of that mode from its first moment on, and onto the disk.

    Raises:
        KeyFileError: there is one already, or it can't be written.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(fd)
    except OSError as error:
        raise KeyFileError(f"{path} can't be written: {error.strerror or error}") from error
