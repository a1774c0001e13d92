"""Disk space that is really there: preallocation, and the file systems that only pretend it.

A segment is written through a memory map, where "no space left" arrives as SIGBUS and not as an error. So
every block has to be the segment's own before the first byte is mapped.
"""

import ctypes
import errno
import os
from pathlib import Path

PRETENDERS = {
    "btrfs": "it writes every change to new blocks",
    "bcachefs": "it writes every change to new blocks",
    "zfs": "it writes every change to new blocks",
    "nfs": "a network may lose what was already released",
    "nfs4": "a network may lose what was already released",
    "cifs": "a network may lose what was already released",
    "smb3": "a network may lose what was already released",
    "ceph": "a network may lose what was already released",
    "virtiofs": "it gives no promise for blocks of the host",
    "fuseblk": "it gives no promise for its blocks",
}
"""File systems whose preallocation is no promise for later writes through a memory map, with the reason."""

_ZEROS = bytes(1024 * 1024)
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
_libc.fallocate.restype = ctypes.c_int


class NoPreallocation(OSError):
    """The file system can't promise space; the text names it."""


def preallocate(fd: int, size: int, path: Path) -> None:
    """Give the file `size` bytes of blocks of its own, written with zeros so that page faults are cheap.

    Linux's own fallocate is called, because the C library's posix_fallocate hides that there is none.

    Raises:
        NoPreallocation: the file system has no real preallocation.
        OSError: no space, or an I/O error.
    """
    kind = file_system(path)
    if (reason := pretence(kind)) is not None:
        raise NoPreallocation(
            errno.EOPNOTSUPP, f"the file system {kind} has no real preallocation: {reason}", str(path)
        )
    while _libc.fallocate(fd, 0, 0, size) != 0:
        number = ctypes.get_errno()
        if number in (errno.EOPNOTSUPP, errno.ENOSYS):
            raise NoPreallocation(number, f"the file system {kind} has no preallocation", str(path))
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number), str(path))
    for offset in range(0, size, len(_ZEROS)):
        write_all(fd, _ZEROS[: size - offset], offset)


def write_all(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`.

    Raises:
        OSError: not all of it could be written.
    """
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def pretence(kind: str) -> str | None:
    """Why preallocation on this kind of file system is not real; None when nothing is known against it."""
    if kind.startswith("fuse.") and kind != "fuse.fuse-overlayfs":
        return "it gives no promise for its blocks"
    return PRETENDERS.get(kind)


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The name of the file system that holds `path`, from proc(5); `unknown` where that can't be read."""
    best, kind = -1, "unknown"
    target = os.path.realpath(path)
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return kind
    for line in lines:
        mounted, _, described = line.partition(" - ")
        fields = mounted.split(" ")
        if len(fields) < 5 or not described:
            continue
        point = _unescape(fields[4])
        covers = target == point or target.startswith(point.rstrip("/") + "/")
        # of two mounts at one point the later one is seen
        if covers and len(point) >= best:
            best, kind = len(point), described.split(" ", 1)[0]
    return kind


def _unescape(text: str) -> str:
    for escape, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escape, plain)
    return text
