"""The run's SSH key and certificate: a key made here, which is in no file, and an agent that signs with it.

Files hold the public key and the certificate only, so that clients which are told to use certain identities
and no others find these. The certificate ends with the lease and is replaced at each renewal, in the agent
and in the file.
"""

import base64
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bodycam.run.failure import RunFailure
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.ssh_agent import SshAgent

PUBLIC_KEY, CERTIFICATE, AGENT = "ssh/key.pub", "ssh/certificate.pub", "ssh/agent"
"""In the run's folder."""

_CERTIFICATE_TYPE = "ssh-ed25519-cert-v01@openssh.com"


@dataclass(frozen=True, slots=True)
class SshFiles:
    """Where clients find the agent's socket, the public key and the certificate."""

    agent: Path
    public_key: Path
    certificate: Path


class SshIdentity:
    """A fresh Ed25519 key; `public_key` is its line as OpenSSH writes it."""

    def __init__(self) -> None:
        # only where it is wanted: it would cost every other start a good part of its time
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        self._private = Ed25519PrivateKey.generate()
        public = self._private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        self.public_key = public.decode()
        self._agent: SshAgent | None = None
        self._folder: PrivateFolder | None = None

    def put(self, folder: PrivateFolder, answer: Mapping[str, Any], until: ExitStack) -> SshFiles:
        """Write the files and start the agent, which ends with `until`, as the answer to a new run has it.

        Raises:
            RunFailure: the answer has no certificate of this key, or there can be no socket in the folder.
        """
        line = self._certificate(answer)
        if line is None:
            raise RunFailure(
                "the gateway's answer to a new run has no SSH certificate of the key that was sent",
                hint="check that this bodycam and the gateway have the same version",
            )
        public_key = folder.write(PUBLIC_KEY, f"{self.public_key}\n")
        certificate = folder.write(CERTIFICATE, f"{line}\n")
        socket = folder.path / AGENT
        agent = SshAgent(socket, self._private.sign, self._blobs(line))
        try:
            until.enter_context(agent)
        except OSError as error:
            raise RunFailure(
                f"the run's SSH agent can't listen at {socket}: {error.strerror or error}",
                hint="a socket's path has a limit of about 100 bytes; set TMPDIR to a shorter one",
            ) from error
        self._agent, self._folder = agent, folder
        return SshFiles(socket, public_key, certificate)

    def renew(self, answer: Mapping[str, Any]) -> None:
        """Offer the certificate of a renewal in the place of the one before; without one nothing changes.

        Raises:
            OSError: its file can't be written; the agent has it all the same.
        """
        line = self._certificate(answer)
        if self._agent is not None and self._folder is not None and line is not None:
            self._agent.offer(self._blobs(line))
            self._folder.replace(CERTIFICATE, f"{line}\n")

    def _blobs(self, certificate: str) -> list[bytes]:
        return [base64.b64decode(line.split()[1]) for line in (certificate, self.public_key)]

    def _certificate(self, answer: Mapping[str, Any]) -> str | None:
        from cryptography.hazmat.primitives.serialization import SSHCertificate, load_ssh_public_identity

        given = answer.get("ssh_certificate")
        line = given.get("line") if isinstance(given, Mapping) else None
        fields = line.split() if isinstance(line, str) else []
        if fields[:1] != [_CERTIFICATE_TYPE] or len(fields) < 2:
            return None
        plain = " ".join(fields[:2])
        try:
            read = load_ssh_public_identity(plain.encode())
        except ValueError:
            return None
        if not isinstance(read, SSHCertificate) or read.public_key() != self._private.public_key():
            return None
        return plain
