"""New keys in the place of old ones, made in the keys folder by whoever may write there; no gateway does.

Each step leaves the folder usable: a new file is whole and on the disk before it takes the old one's name,
and what took its place is kept in `older` as long as anything needs it.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from bodycam.archive import kek, keys, kms
from bodycam.archive.kek import DEFAULT, OLDER, KekFile
from bodycam.archive.keys import KeysUnusable, read_secret, write_secret
from bodycam.archive.kms import KeyCommand
from bodycam.archive.succession import Succession, add_succession, successions
from bodycam.journal import wrapping

JOURNAL, SIGNING = "journal.pem", "signing.pem"
Commands = Mapping[str, KeyCommand]


class NotRetired(Exception):
    """The key stays; the text says what still needs it."""


@dataclass(frozen=True, slots=True)
class JournalKey:
    """A private key that opens journals."""

    id: bytes
    path: Path
    current: bool
    private: X25519PrivateKey = field(repr=False)


def make_missing(folder: Path, names: Iterable[str], commands: Commands) -> list[str]:
    """Make the key-encryption keys of these names that are not there; returns files, relative to `folder`.

    Raises:
        KeyAway: the command of one does not wrap it.
    """
    own, made = folder / "archivist", []
    own.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in sorted({DEFAULT, *names}):
        file = kek.current_file(own, name)
        if not file.exists():
            write_secret(file, kek.fresh(_wrap(commands.get(name))))
            made.append(f"archivist/{file.name}")
    return made


def rotate_kek(folder: Path, name: str, commands: Commands) -> bytes:
    """Put a new key-encryption key in the place of a name's newest; returns the new one's id.

    Raises:
        KeysUnusable: there is none of that name, or it can't be read.
        KeyAway: its command does not wrap the new one.
    """
    own = folder / "archivist"
    with _alone(own):
        newest = kek.current_file(own, name)
        old = kek.read(newest, name, current=True)
        data = kek.fresh(_wrap(commands.get(name)))
        _keep(newest, kek.older_file(own, name, old.id))
        _replace(newest, data)
        return kek.read(newest, name, current=True).id


def retire_kek(found: KekFile, wraps: Mapping[bytes | None, int]) -> None:
    """Destroy an older key-encryption key; call it with `alone` held, and counts that were taken within.

    Raises:
        NotRetired: it is the newest of its name, or data keys are wrapped with it.
    """
    if found.current:
        raise NotRetired(f"it is the newest key of {found.name}: rotate it first")
    count = wraps.get(found.id, 0) + (wraps.get(None, 0) if found.name == DEFAULT else 0)
    if count:
        raise NotRetired(
            f"{count} data keys are wrapped with it; a running gateway wraps them anew in the background"
        )
    _destroy(found.path)


def rotate_journal(folder: Path) -> bytes:
    """Put a new key for journals in the place of the newest; returns its id.

    Raises:
        KeysUnusable: the one that is there can't be read.
    """
    own = folder / "archivist"
    with _alone(own):
        old = keys.load_journal(folder)
        new = X25519PrivateKey.generate()
        _keep(own / JOURNAL, own / OLDER / f"journal.{wrapping.fingerprint(old.public_key()).hex()}.pem")
        # the private half first: what is written to the new public half can always be read
        _replace(own / JOURNAL, keys.private_pem(new))
        _replace(folder / "public" / "archivist.pem", keys.public_pem(new.public_key()), mode=0o644)
        return wrapping.fingerprint(new.public_key())


def journal_keys(folder: Path) -> Iterator[JournalKey]:
    """The keys that open journals, the newest first."""
    own = folder / "archivist"
    for path in (own / JOURNAL, *sorted((own / OLDER).glob("journal.*.pem"))):
        private = keys.private_key(path, X25519PrivateKey)
        yield JournalKey(wrapping.fingerprint(private.public_key()), path, path.name == JOURNAL, private)


def retire_journal(found: JournalKey, used: Mapping[bytes, int]) -> None:
    """Destroy an older key for journals; `used` counts segments by the key that they were written to.

    Raises:
        NotRetired: it is the newest, or segments need it.
    """
    if found.current:
        raise NotRetired("it is the newest key for journals: rotate it first")
    if count := used.get(found.id, 0):
        raise NotRetired(
            f"{count} segments of journals are written to it; they go as their sessions are sealed"
        )
    _destroy(found.path)


def rotate_signing(folder: Path) -> Ed25519PrivateKey:
    """Put a new signing key in the place of the old, which vouches for it and is then destroyed.

    Raises:
        KeysUnusable: the one that is there can't be read.
    """
    own, public = folder / "archivist", folder / "public"
    with _alone(own):
        old = keys.private_key(own / SIGNING, Ed25519PrivateKey)
        new = Ed25519PrivateKey.generate()
        partial = _written(own / SIGNING, keys.private_pem(new))
        # from here on the old key's word for it is on the disk, and so is the new key
        add_succession(public, Succession.by(old, new.public_key()))
        _overwrite(own / SIGNING)
        _publish(partial, own / SIGNING)
        _replace(public / SIGNING, keys.public_pem(new.public_key()), mode=0o644)
        return new


def settle(folder: Path) -> None:
    """Finish a rotation that was cut off between a private key and its public half.

    Raises:
        KeysUnusable: a private key can't be read.
    """
    own, public = folder / "archivist", folder / "public"
    with _alone(own):
        partial = own / f"{SIGNING}.new"
        if partial.exists() and _spoilt(own / SIGNING):
            _publish(partial, own / SIGNING)
        signing = keys.private_key(own / SIGNING, Ed25519PrivateKey).public_key()
        if any(one.new == signing.public_bytes_raw() for one in successions(public)):
            _align(public / SIGNING, keys.public_pem(signing))
        if any((own / OLDER).glob("journal.*.pem")):
            journal = keys.private_key(own / JOURNAL, X25519PrivateKey).public_key()
            _align(public / "archivist.pem", keys.public_pem(journal))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep every archivist from using key-encryption keys of a keys folder meanwhile."""
    with _alone(folder / "archivist"):
        yield


@contextmanager
def _alone(own: Path) -> Iterator[None]:
    descriptor = os.open(own, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _wrap(command: KeyCommand | None) -> kek.Wrap | None:
    if command is None:
        return None
    return lambda secret: kms.ask(command.wrap, secret, command.timeout)


def _keep(path: Path, older: Path) -> None:
    """Let a file have a second name in `older`, so that it is there before and after it is replaced."""
    read_secret(path)
    older.parent.mkdir(exist_ok=True, mode=0o700)
    if not older.exists():
        os.link(path, older)
    _sync(older.parent)


def _replace(path: Path, data: bytes, mode: int = 0o600) -> None:
    _publish(_written(path, data, mode), path)


def _written(path: Path, data: bytes, mode: int = 0o600) -> Path:
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    write_secret(partial, data)
    partial.chmod(mode)
    return partial


def _publish(partial: Path, path: Path) -> None:
    partial.rename(path)
    _sync(path.parent)


def _align(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        _replace(path, data, mode=0o644)


def _spoilt(path: Path) -> bool:
    """Whether a private key was being destroyed when the rotation was cut off."""
    try:
        keys.private_key(path, Ed25519PrivateKey)
    except KeysUnusable:
        return True
    return False


def _destroy(path: Path) -> None:
    _overwrite(path)
    path.unlink()
    _sync(path.parent)


def _overwrite(path: Path) -> None:
    """Leave nothing of a key in its blocks, as far as a file system lets us say so."""
    with path.open("r+b", buffering=0) as stream:
        stream.write(bytes(os.fstat(stream.fileno()).st_size))
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
