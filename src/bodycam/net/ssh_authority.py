"""A small SSH certificate authority: one key that signs users' certificates in OpenSSH's format.

https://cvsweb.openbsd.org/src/usr.bin/ssh/PROTOCOL.certkeys
"""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateBuilder,
    SSHCertificateType,
    load_ssh_public_identity,
)

from bodycam.net.ssh_key import SshKey

PERMITTED: Final = (b"permit-port-forwarding", b"permit-pty")
"""What a certificate lets its holder ask for; whether it is done is decided, and recorded, at the gateway."""

RSA_LEAST: Final = 2048
LINE_MOST: Final = 8 * 1024
_KINDS: Final = frozenset(
    {
        b"ssh-ed25519",
        b"ecdsa-sha2-nistp256",
        b"ecdsa-sha2-nistp384",
        b"ecdsa-sha2-nistp521",
        b"ssh-rsa",
    }
)

PublicKey = Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey


class BadPublicKey(Exception):
    """A text is no public key that a certificate can be made for; it says why."""


class NotOurs(Exception):
    """What was to be a certificate is none that this authority gave to a user."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """What a certificate of ours says; times are Unix seconds, and it is good from the first to the last."""

    key_id: str
    principals: tuple[str, ...]
    begins: int
    ends: int


def public_key(line: str) -> PublicKey:
    """The key of a public key's line, `TYPE BASE64 [COMMENT]`.

    Raises:
        BadPublicKey: it is none, or of a kind that is not taken.
    """
    if len(line) > LINE_MOST:
        raise BadPublicKey(f"a public key's line has {LINE_MOST} characters at most")
    data = line.strip().encode(errors="replace")
    kind = data.split(b" ", 1)[0]
    if kind not in _KINDS or b"\n" in data:
        raise BadPublicKey(
            "expected one line of an OpenSSH public key, of a kind among "
            f"{', '.join(sorted(one.decode() for one in _KINDS))}"
        )
    try:
        key = load_ssh_public_identity(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadPublicKey(f"the OpenSSH public key can't be read: {error}") from error
    if isinstance(key, RSAPublicKey) and key.key_size < RSA_LEAST:
        raise BadPublicKey(f"an RSA key needs {RSA_LEAST} bits at least, and this one has {key.key_size}")
    if not isinstance(key, PublicKey):
        raise BadPublicKey("the OpenSSH public key is of a kind that is not taken")
    return key


@final
class SshAuthority:
    """Signs certificates of users, and knows its own again."""

    def __init__(self, key: SshKey) -> None:
        self._key = key

    @property
    def public_line(self) -> str:
        """The authority's public key, for those who are to trust it."""
        return self._key.public_line

    def vouch(
        self, key: PublicKey, *, key_id: str, principals: Sequence[str], begins: float, ends: float
    ) -> str:
        """A certificate's line for a user's key; `begins` and `ends` are Unix seconds, rounded down.

        It has no critical options, permits `PERMITTED`, and has a serial number by chance.
        """
        assert principals  # none would mean whoever it may be
        made = (
            SSHCertificateBuilder()
            .public_key(key)
            .serial(secrets.randbits(64))
            .type(SSHCertificateType.USER)
            .key_id(key_id.encode())
            .valid_principals([one.encode() for one in principals])
            .valid_after(int(begins))
            .valid_before(int(ends))
        )
        for name in PERMITTED:
            made = made.add_extension(name, b"")
        return made.sign(self._key.private).public_bytes().decode()

    def read(self, blob: bytes) -> Vouched:
        """What a certificate says that this authority gave to a user; when it is good is not looked at.

        Raises:
            NotOurs: it is none, of another authority, of another kind, or has conditions that aren't ours.
        """
        try:
            shown = load_ssh_public_identity(_line(blob))
            if not isinstance(shown, SSHCertificate) or shown.signature_key() != self._key.public:
                raise NotOurs
            shown.verify_cert_signature()
            if shown.type is not SSHCertificateType.USER or shown.critical_options:
                raise NotOurs
            return Vouched(
                shown.key_id.decode(),
                tuple(one.decode() for one in shown.valid_principals),
                shown.valid_after,
                shown.valid_before,
            )
        except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
            raise NotOurs from error


def _line(blob: bytes) -> bytes:
    # a certificate begins with the name of its kind, which its line has before it
    size = int.from_bytes(blob[:4], "big")
    if not 0 < size <= 64 or len(blob) < 4 + size:
        raise NotOurs
    return blob[4 : 4 + size] + b" " + base64.b64encode(blob)
