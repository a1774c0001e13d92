"""Recordings in a folder of this machine."""

import contextlib
import errno
import os
import re
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator
from io import FileIO
from pathlib import Path

from bodycam.archive.store import ObjectExists, ObjectMissing, StoreUnavailable

_NAME = re.compile(r"[a-z0-9_]+(?:[./-][a-z0-9_]+)*", re.ASCII)
_PARTIAL = ".partial"
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS}
_COPY = 1 << 20


class LocalStore:
    """A `Store` of files; an object appears under its name only once it is whole and on the disk.

    What is being written lies in the folder `.partial`; what a crash left there goes with the next `put`.
    One process puts at a time, any number reads.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partials = folder / _PARTIAL
        self._swept = False
        self._sweeping = threading.Lock()

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a new object made of these parts, whole and durable, or not at all.

        Raises:
            ObjectExists: there is one of that name.
            StoreUnavailable: it can't be written.
            ValueError: the name is none that an object may have.
        """
        path = self._path(name)
        try:
            missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._sweep()
            partial = self._partials / secrets.token_hex(8)
            try:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb", buffering=_COPY) as stream:
                    for part in parts:
                        stream.write(part)
                    stream.flush()
                    os.fsync(stream.fileno())
                _publish(partial, path)
            finally:
                partial.unlink(missing_ok=True)
            for folder in (path.parent, *(folder.parent for folder in missing)):
                _sync_folder(folder)
        except FileExistsError as error:
            raise ObjectExists(f"{path} is there already") from error
        except OSError as error:
            raise StoreUnavailable(f"{path} can't be written: {error.strerror}") from error

    def get(self, name: str) -> bytes:
        """A whole object.

        Raises:
            ObjectMissing: there is none of that name.
            StoreUnavailable: it can't be read.
        """
        return self._read(name, 0, -1)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; fewer at the object's end. Raises as `get` does."""
        return self._read(name, offset, length)

    def size(self, name: str) -> int:
        """How many bytes an object has. Raises as `get` does."""
        path = self._path(name)
        with _translated(path):
            found = path.lstat()
            if not stat.S_ISREG(found.st_mode):
                raise StoreUnavailable(f"{path} is not a file")
            return found.st_size

    def list(self, prefix: str = "") -> Iterator[str]:
        """The names that begin with `prefix`, also those of files that no `put` made."""
        for folder, folders, files in os.walk(self._folder, onerror=_unlistable):
            if folder == str(self._folder) and _PARTIAL in folders:
                folders.remove(_PARTIAL)
            folders.sort()
            # a link to a folder is not walked into: it is named like a file, and can't be read
            links = [one for one in folders if (Path(folder) / one).is_symlink()]
            for file in sorted([*files, *links]):
                name = (Path(folder) / file).relative_to(self._folder).as_posix()
                if name.startswith(prefix):
                    yield name

    def delete(self, name: str) -> None:
        """Remove an object; none is no error.

        Raises:
            StoreUnavailable: it can't be removed.
        """
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _sync_folder(path.parent)
        except OSError as error:
            raise StoreUnavailable(f"{path} can't be removed: {error.strerror}") from error

    def _read(self, name: str, offset: int, length: int) -> bytes:
        path = self._path(name)
        with _translated(path):
            # neither a link nor a pipe somebody left in the folder is followed or waited for
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            # unbuffered: what is read is wanted whole, and a buffer would only copy it
            with os.fdopen(descriptor, "rb", buffering=0) as stream:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode):
                    raise StoreUnavailable(f"{path} is not a file")
                left = max(0, found.st_size - offset)
                return _read(stream, offset, left if length < 0 else min(left, length))

    def _sweep(self) -> None:
        with self._sweeping:
            if self._swept:
                return
            self._partials.mkdir(exist_ok=True, mode=0o700)
            for left in self._partials.iterdir():
                left.unlink(missing_ok=True)
            self._swept = True

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name of an object: {name!r}")
        return self._folder / name


def _read(stream: FileIO, offset: int, length: int) -> bytes:
    stream.seek(offset)
    data = stream.read(length)
    while len(data) < length and (more := stream.read(length - len(data))):
        data += more
    return data


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectMissing(f"{path} is missing") from error
    except OSError as error:
        raise StoreUnavailable(f"{path} can't be read: {error.strerror}") from error


def _publish(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)  # unlike rename, this refuses a name that is taken
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if path.exists():  # a file system without links: one process puts at a time
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        partial.rename(path)


def _unlistable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise StoreUnavailable(f"{error.filename} can't be listed: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
