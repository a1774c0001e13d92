"""How the gateway proves itself to a target by an SSH key, and by which keys it knows the target."""

import asyncio
import time
from collections.abc import Callable
from typing import Final, final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_ssh_private_key,
)

from bodycam.config.targets import TargetSettings
from bodycam.net.authority import SKEW
from bodycam.net.ssh_authority import SshAuthority
from bodycam.net.ssh_key import SshKey
from bodycam.targets.secrets import SecretUnavailable, read_known_hosts, read_secret_text, source_name

CERTIFICATE_SECONDS: Final = 300.0
"""How long a certificate for a target can begin a login; what it has begun goes on."""

PORT: Final = 22


class SshLoginUnready(Exception):
    """The key can't be had or used; the text names its source, and never what is in it."""


@final
class SshLogins:
    """Gives each session its key; `authority` signs the certificates of those that are to have one.

    `clock` gives Unix seconds.
    """

    def __init__(self, authority: SshAuthority | None, clock: Callable[[], float] = time.time) -> None:
        self._authority, self._clock = authority, clock

    async def key(self, target: TargetSettings, account: str, who: str) -> tuple[str | None, str | None]:
        """The private key, as the text of an OpenSSH key file, and the line of its certificate, if any.

        `who` names run and session in a certificate, for the target's own log.

        Raises:
            SshLoginUnready: there is no such key, or no authority.
        """
        if target.private_key is not None:
            try:
                text = await read_secret_text(target.private_key)
            except SecretUnavailable as error:
                raise SshLoginUnready(str(error)) from error
            return await asyncio.to_thread(_openssh, text, source_name(target.private_key)), None
        if not target.issued_certificate:
            return None, None
        if self._authority is None:
            raise SshLoginUnready(
                "the gateway began without its SSH CA for targets; `bodycam init` makes it, then restart"
            )
        made, now = SshKey.create(), self._clock()
        certificate = self._authority.vouch(
            made.public,
            key_id=who,
            principals=[account],
            begins=now - SKEW.total_seconds(),
            ends=now + CERTIFICATE_SECONDS,
        )
        return made.private_text.decode(), certificate


async def known_hosts(target: TargetSettings) -> str:
    """The keys that a target may have, in the format of OpenSSH's `known_hosts`; "" where none are named.

    https://man.openbsd.org/sshd.8#SSH_KNOWN_HOSTS_FILE_FORMAT

    Raises:
        SecretUnavailable: the file can't be read.
    """
    lines = []
    if target.host_keys is not None and target.address is not None:
        host, port = target.address.host, target.address.port
        name = host if port == PORT else f"[{host}]:{port}"
        lines = [f"{name} {key}\n" for key in target.host_keys]
    if target.known_hosts is not None:
        lines.append(await read_known_hosts(target.known_hosts))
    return "".join(lines)


def _openssh(text: str, source: str) -> str:
    data = text.encode()
    load = load_ssh_private_key if b"BEGIN OPENSSH PRIVATE KEY" in data else load_pem_private_key
    try:
        key = load(data, None)
        if isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey | RSAPrivateKey):
            return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    except TypeError:
        raise SshLoginUnready(
            f"the private key from {source} has a passphrase, and nobody is there to type it; take it off a "
            "copy (`ssh-keygen -p`), or use issued_certificate"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise SshLoginUnready(
            f"{source} gives no private key in OpenSSH's format or PEM; the whole file has to be there"
        ) from None
    raise SshLoginUnready(f"the private key from {source} is none of Ed25519, ECDSA or RSA")
