"""The gateway's own SSH keys: Ed25519 (RFC 8709), in the files that OpenSSH has for them."""

from pathlib import Path
from typing import final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_ssh_private_key,
    load_ssh_public_key,
)

from bodycam.net.key_files import KeyFileError, read_file, write_new


@final
class SshKey:
    """A key and its public half."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self.private = private
        self.public = private.public_key()

    @classmethod
    def create(cls) -> "SshKey":
        """A new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, private_file: Path, public_file: Path) -> "SshKey":
        """The key that `save` wrote.

        Raises:
            KeyFileError: a file is missing or bad, or the two do not belong together.
        """
        private_text, public_text = read_file(private_file), read_file(public_file)
        try:
            private = load_ssh_private_key(private_text, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{private_file} holds no private key of OpenSSH's format: {error}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise KeyFileError(f"{private_file} holds no Ed25519 key")
        try:
            public = load_ssh_public_key(public_text)
        except (ValueError, UnsupportedAlgorithm) as error:
            raise KeyFileError(f"{public_file} holds no public key of OpenSSH's format: {error}") from error
        key = cls(private)
        if not isinstance(public, Ed25519PublicKey) or public != key.public:
            raise KeyFileError(f"{private_file} does not belong to {public_file}")
        return key

    def save(self, private_file: Path, public_file: Path, comment: str) -> None:
        """Write both halves to new files, of mode 0600 and 0644; `comment` ends the public half's line.

        Raises:
            KeyFileError: a file is there already, or can't be written.
        """
        write_new(private_file, self.private_text, 0o600)
        write_new(public_file, f"{self.public_line} {comment}\n".encode(), 0o644)

    @property
    def private_text(self) -> bytes:
        """The private half, as the text of a key file without a passphrase."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    @property
    def public_line(self) -> str:
        """The public half as a line, without a comment."""
        return self.public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
