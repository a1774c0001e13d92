"""A small disk of its own for a gateway's data, which can be filled and emptied."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import stage

MIB = 1024 * 1024
RESERVE = 64 * MIB
"""What the journal leaves free of a file system."""


def mounts(*arguments: str | Path) -> None:
    """Run mount or umount; where that is not allowed the test is skipped."""
    if os.getuid() != 0:
        pytest.skip("a small disk is mounted by root only")
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")


def ext4(file: Path, size: int) -> Path:
    """A file system of its own in a file; where none can be made or mounted the test is skipped."""
    if os.getuid() != 0:
        pytest.skip("a file system in a file is mounted by root only")
    with file.open("wb") as stream:
        stream.truncate(size)
    made = subprocess.run(["mkfs.ext4", "-q", file], capture_output=True, timeout=60, check=False)
    if made.returncode:
        pytest.skip(f"no ext4 can be made here: {made.stderr.decode().strip()}")
    return file


@contextlib.contextmanager
def small_disk(gateway: stage.Gateway, size: int) -> Iterator["Disk"]:
    """Put the data folder of a gateway that does not run yet on a tmpfs of `size` bytes."""
    data = gateway.data
    kept = data.with_name("data.kept")
    data.rename(kept)
    data.mkdir(mode=0o700)
    mounts("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", data)
    try:
        shutil.copytree(kept, data, dirs_exist_ok=True)
        yield Disk(data)
    finally:
        gateway.stop()
        subprocess.run(["umount", "-l", data], timeout=30, check=False)


class Disk:
    """The disk of a gateway's data."""

    def __init__(self, data: Path) -> None:
        self._data, self._ballast = data, data / "ballast"

    @property
    def free(self) -> int:
        """Bytes that are free."""
        said = os.statvfs(self._data)
        return said.f_bavail * said.f_frsize

    def fill(self, leave: int) -> None:
        """Take all but `leave` bytes, as another program would."""
        with self._ballast.open("ab") as file:
            while (more := self.free - leave) >= 4096:
                with contextlib.suppress(OSError):
                    os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), more)
                if not leave and self.free < 4096:
                    break

    def empty(self) -> None:
        """Give it back."""
        self._ballast.unlink(missing_ok=True)
