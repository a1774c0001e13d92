"""Key-encryption keys as files: their form, their names, and the ids by which wrapped data keys name them.

Each has a name, `default` or a team's. The newest of a name is `wrapping.key` or `wrapping-NAME.key` in the
archivist's folder, the ones before it are in `older`, with their ids in their names. A file holds the 32
bytes themselves, or what a command made of them (`archive.kms`).
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bodycam.archive.keys import WRAPPED, WRAPPING_BYTES, KeysUnusable, read_secret

DEFAULT = "default"
OLDER = "older"
ID_BYTES = 8
MAX_BLOB = 64 * 1024
_STEM, _SUFFIX = "wrapping", ".key"

Wrap = Callable[[bytes], bytes]


class KeyAway(OSError):
    """A key-encryption key can't be had just now: its command fails or hangs. It may be tried again."""


@dataclass(frozen=True, slots=True)
class KekFile:
    """A key-encryption key on the disk; `blob` is None where the file holds the key itself."""

    name: str
    id: bytes
    path: Path
    current: bool
    blob: bytes | None
    plain: bytes | None


def kek_id(secret: bytes) -> bytes:
    """The id of a key: it tells nothing of the key, which is 256 random bits."""
    return hashlib.sha256(b"bodycam kek v1\0" + secret).digest()[:ID_BYTES]


def current_file(folder: Path, name: str) -> Path:
    """Where the newest key of a name lies; `folder` is the archivist's."""
    return folder / (f"{_STEM}{_SUFFIX}" if name == DEFAULT else f"{_STEM}-{name}{_SUFFIX}")


def older_file(folder: Path, name: str, id: bytes) -> Path:  # noqa: A002
    """Where a key lies that another took the place of."""
    newest = current_file(folder, name)
    return folder / OLDER / f"{newest.stem}.{id.hex()}{_SUFFIX}"


def fresh(wrap: Wrap | None) -> bytes:
    """The contents of a new key's file; `wrap` is the command's where there is one."""
    secret = secrets.token_bytes(WRAPPING_BYTES)
    if wrap is None:
        return secret
    return WRAPPED + kek_id(secret) + wrap(secret)


def read(path: Path, name: str, *, current: bool) -> KekFile:
    """A key's file.

    Raises:
        KeysUnusable: it is missing, open to others, or no key.
    """
    data = read_secret(path)
    if data.startswith(WRAPPED):
        begin = len(WRAPPED) + ID_BYTES
        if not begin < len(data) <= begin + MAX_BLOB:
            raise KeysUnusable(f"{path} is cut off, or is not what a key's command made")
        return KekFile(name, data[len(WRAPPED) : begin], path, current, data[begin:], None)
    if len(data) != WRAPPING_BYTES:
        raise KeysUnusable(f"{path} has {len(data)} bytes, not {WRAPPING_BYTES}")
    return KekFile(name, kek_id(data), path, current, None, data)


def names(folder: Path) -> Iterator[tuple[Path, str, bool]]:
    """The files of keys that are there: path, name of the key, and whether it is the newest of that name."""
    for path in sorted(folder.glob(f"{_STEM}*{_SUFFIX}")):
        yield path, _name(path.stem), True
    for path in sorted((folder / OLDER).glob(f"{_STEM}*{_SUFFIX}")):
        yield path, _name(path.stem.rpartition(".")[0]), False


def _name(stem: str) -> str:
    return stem.removeprefix(f"{_STEM}-") if stem != _STEM else DEFAULT
