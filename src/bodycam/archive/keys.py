"""The archivist's keys and their public halves, in the folder that `bodycam init` makes.

Layout: `archivist/journal.pem` (X25519), `archivist/signing.pem` (Ed25519), `archivist/wrapping.key` (32
bytes), all of mode 0600 in a folder of mode 0700; `public/archivist.pem` and `public/signing.pem`.
"""

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

WRAPPING_BYTES = 32
WRAPPED = b"bodycam wrapped kek v1\n"
"""What a key-encryption key's file begins with that a command wrapped (`archive.kek`)."""

K = TypeVar("K", X25519PrivateKey, Ed25519PrivateKey)
P = TypeVar("P", X25519PublicKey, Ed25519PublicKey)


class KeysUnusable(Exception):
    """A key file is missing, open to others, or not a key; the text says which and what to do."""


@dataclass(frozen=True, slots=True)
class ArchivistKeys:
    """What only the archivist holds; `wrapping` is what `wrapping.key` holds (`archive.kek`)."""

    journal: X25519PrivateKey = field(repr=False)
    signing: Ed25519PrivateKey = field(repr=False)
    wrapping: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """What everybody may know: workers journal to the one, users pin the other."""

    archivist: X25519PublicKey
    signing: Ed25519PublicKey


def generate(folder: Path) -> list[str]:
    """Make the keys that are not there yet; returns the files made, relative to `folder`. Never overwrites.

    Raises:
        KeysUnusable: a file that is there can't be used, or a public key's private half is gone.
    """
    for name in ("", "archivist", "public"):
        made = folder / name
        made.mkdir(parents=True, exist_ok=True)
        made.chmod(0o755 if name == "public" else 0o700)
    written: list[str] = []
    _pair(folder, "journal.pem", "archivist.pem", X25519PrivateKey, written)
    _pair(folder, "signing.pem", "signing.pem", Ed25519PrivateKey, written)
    if not (wrapping := folder / "archivist" / "wrapping.key").exists():
        write_secret(wrapping, secrets.token_bytes(WRAPPING_BYTES))
        written.append("archivist/wrapping.key")
    return written


def _pair(folder: Path, private: str, public: str, kind: type[K], written: list[str]) -> None:
    private_file, public_file = folder / "archivist" / private, folder / "public" / public
    if private_file.exists():
        key = private_key(private_file, kind)
    elif public_file.exists():
        # a fresh private key would not fit it: what is encrypted or pinned to it would be lost in silence
        raise KeysUnusable(f"{public_file} is there and {private_file} is not; restore it from a backup")
    else:
        key = kind.generate()
        write_secret(private_file, private_pem(key))
        written.append(f"archivist/{private}")
    if not public_file.exists():
        public_file.write_bytes(public_pem(key.public_key()))
        written.append(f"public/{public}")


def load_archivist(folder: Path) -> ArchivistKeys:
    """The archivist's private keys.

    Raises:
        KeysUnusable: one is missing, open to others, not a key, or not that of the public half.
    """
    own = folder / "archivist"
    if own.is_dir() and (mode := stat.S_IMODE(own.stat().st_mode)) & 0o077:
        raise KeysUnusable(f"{own} is open to others (mode {mode:04o}); run: chmod 700 {own}")
    wrapping = read_secret(own / "wrapping.key")
    if len(wrapping) != WRAPPING_BYTES and not wrapping.startswith(WRAPPED):
        raise KeysUnusable(f"{own / 'wrapping.key'} has {len(wrapping)} bytes, not {WRAPPING_BYTES}")
    keys = ArchivistKeys(
        private_key(own / "journal.pem", X25519PrivateKey),
        private_key(own / "signing.pem", Ed25519PrivateKey),
        wrapping,
    )
    public = load_public(folder)
    for file, ours, found in (
        ("archivist.pem", keys.journal.public_key(), public.archivist),
        ("signing.pem", keys.signing.public_key(), public.signing),
    ):
        if ours.public_bytes_raw() != found.public_bytes_raw():
            raise KeysUnusable(
                f"{folder / 'public' / file} is not the public half of the archivist's key; "
                "a rotation that was cut off is finished by `bodycam keys list`"
            )
    return keys


def load_journal(folder: Path) -> X25519PrivateKey:
    """The archivist's private key that opens journals.

    Raises:
        KeysUnusable: the file is missing, open to others, or not such a key.
    """
    return private_key(folder / "archivist" / "journal.pem", X25519PrivateKey)


def load_public(folder: Path) -> PublicKeys:
    """The public keys.

    Raises:
        KeysUnusable: one is missing or not a key.
    """
    return PublicKeys(
        _public(folder / "public" / "archivist.pem", X25519PublicKey),
        load_signing_public(folder / "public" / "signing.pem"),
    )


def load_signing_public(file: Path) -> Ed25519PublicKey:
    """The key that recordings and ledger heads are verified with.

    Raises:
        KeysUnusable: the file is missing or not such a key.
    """
    return _public(file, Ed25519PublicKey)


def read_secret(file: Path) -> bytes:
    """A file that nobody but its owner may read.

    Raises:
        KeysUnusable: it is missing, or open to others.
    """
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise KeysUnusable(f"{file} is open to others (mode {mode:04o}); run: chmod 600 {file}")
        return file.read_bytes()
    except OSError as error:
        raise KeysUnusable(
            f"{file} can't be read: {error.strerror}; `bodycam init` makes the keys"
        ) from error


def write_secret(file: Path, data: bytes) -> None:
    """Write a new file of mode 0600.

    Raises:
        FileExistsError: it is there already.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def private_key(file: Path, kind: type[K]) -> K:
    """A private key of a kind, in PEM.

    Raises:
        KeysUnusable: the file is missing, open to others, or not such a key.
    """
    try:
        key = serialization.load_pem_private_key(read_secret(file), password=None)
    except (ValueError, TypeError) as error:
        raise KeysUnusable(f"{file} is not a private key in PEM: {error}") from error
    if not isinstance(key, kind):
        raise KeysUnusable(f"{file} is a key of another kind")
    return key


def _public(file: Path, kind: type[P]) -> P:
    try:
        key = serialization.load_pem_public_key(file.read_bytes())
    except OSError as error:
        raise KeysUnusable(
            f"{file} can't be read: {error.strerror}; `bodycam init` makes the keys"
        ) from error
    except ValueError as error:
        raise KeysUnusable(f"{file} is not a public key in PEM: {error}") from error
    if not isinstance(key, kind):
        raise KeysUnusable(f"{file} is a key of another kind")
    return key


def private_pem(key: X25519PrivateKey | Ed25519PrivateKey) -> bytes:
    """A private key as its file holds it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: X25519PublicKey | Ed25519PublicKey) -> bytes:
    """A public key as its file holds it."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
