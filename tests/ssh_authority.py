"""A CA for SSH user certificates, as a gateway's control process has one, for tests that need only that."""

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_key,
)

EXTENSIONS = (b"permit-port-forwarding", b"permit-pty")  # without the first, sshd is no jump host


class SshAuthority:
    """A fresh Ed25519 key that signs; `public_key` is its line as OpenSSH writes it."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        line = self._key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        self.public_key = line.decode()
        self.signed = 0

    def vouch(self, public_key: str, principal: str, *, since: float = -60, until: float = 3600) -> str:
        """The line of a user certificate, valid between two moments in seconds from now."""
        self.signed += 1
        asked = load_ssh_public_key(public_key.encode())
        assert isinstance(asked, Ed25519PublicKey)
        now = time.time()
        builder = (
            SSHCertificateBuilder()
            .public_key(asked)
            .serial(self.signed)
            .type(SSHCertificateType.USER)
            .key_id(b"a run")
            .valid_principals([principal.encode()])
            .valid_after(int(now + since))
            .valid_before(int(now + until))
        )
        for name in EXTENSIONS:
            builder = builder.add_extension(name, b"")
        return builder.sign(self._key).public_bytes().decode()
