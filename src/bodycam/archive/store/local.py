"""Recordings in a folder of this machine."""

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from bodycam.archive.store import ObjectExists, ObjectMissing, StoreUnavailable

_NAME = re.compile(r"[a-z0-9_]+(?:[./-][a-z0-9_]+)*", re.ASCII)
_PARTIAL = ".partial-"


class LocalStore:
    """A `Store` of files; an object appears under its name only once it is whole and on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, name: str, parts: Iterable[bytes]) -> None:
        """Keep a new object."""
        path = self._path(name)
        try:
            missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            partial = path.parent / f"{_PARTIAL}{secrets.token_hex(8)}"
            try:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as stream:
                    for part in parts:
                        stream.write(part)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.link(partial, path)  # unlike rename, this refuses a name that is taken
            finally:
                partial.unlink(missing_ok=True)
            for folder in (path.parent, *(folder.parent for folder in missing)):
                _sync_folder(folder)
        except FileExistsError as error:
            raise ObjectExists(f"{path} is there already") from error
        except OSError as error:
            raise StoreUnavailable(f"{path} can't be written: {error.strerror}") from error

    def get(self, name: str) -> bytes:
        """A whole object."""
        path = self._path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise ObjectMissing(f"{path} is missing") from error
        except OSError as error:
            raise StoreUnavailable(f"{path} can't be read: {error.strerror}") from error

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        """A part of an object."""
        path = self._path(name)
        try:
            with path.open("rb") as stream:
                stream.seek(offset)
                return stream.read(length)
        except FileNotFoundError as error:
            raise ObjectMissing(f"{path} is missing") from error
        except OSError as error:
            raise StoreUnavailable(f"{path} can't be read: {error.strerror}") from error

    def size(self, name: str) -> int:
        """How many bytes an object has."""
        path = self._path(name)
        try:
            return path.stat().st_size
        except FileNotFoundError as error:
            raise ObjectMissing(f"{path} is missing") from error
        except OSError as error:
            raise StoreUnavailable(f"{path} can't be read: {error.strerror}") from error

    def list(self) -> Iterator[str]:
        """All names, in order; what a crash left half-written is none."""
        for folder, folders, files in os.walk(self._folder):
            folders.sort()
            for file in sorted(files):
                if not file.startswith(_PARTIAL):
                    yield (Path(folder) / file).relative_to(self._folder).as_posix()

    def delete(self, name: str) -> None:
        """Remove an object."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _sync_folder(path.parent)
        except OSError as error:
            raise StoreUnavailable(f"{path} can't be removed: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"not a name of an object: {name!r}")
        return self._folder / name


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
