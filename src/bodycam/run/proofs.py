"""What proves the run besides its secret: keys made here and the gateway's certificates for them."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bodycam.run.certificate import ClientCertificate
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.ssh_identity import SshFiles, SshIdentity


@dataclass(frozen=True, slots=True)
class ProofFiles:
    """Where clients find a client certificate and its key, and the SSH identity; None for none."""

    certificate: tuple[Path, Path] | None
    ssh: SshFiles | None


class Proofs:
    """A client certificate for TLS, an SSH certificate, both or none, as they are wanted."""

    def __init__(self, *, tls: bool, ssh: bool) -> None:
        self._tls = ClientCertificate() if tls else None
        self._ssh = SshIdentity() if ssh else None

    @property
    def asking(self) -> dict[str, str]:
        """The fields by which a new run, or its renewal, asks for the certificates."""
        asked = {} if self._tls is None else {"csr": self._tls.csr}
        return asked if self._ssh is None else asked | {"ssh_public_key": self._ssh.public_key}

    def put(self, folder: PrivateFolder, answer: Mapping[str, Any], until: ExitStack) -> ProofFiles:
        """Put what a new run's answer has where clients find it, an agent until `until` ends.

        Raises:
            RunFailure: the answer has not what was asked for.
        """
        return ProofFiles(
            None if self._tls is None else self._tls.put(folder, answer),
            None if self._ssh is None else self._ssh.put(folder, answer, until),
        )

    def renew(self, answer: Mapping[str, Any]) -> None:
        """Put what a renewal's answer has in the place of the old.

        Raises:
            OSError: a file can't be written.
        """
        if self._ssh is not None:
            self._ssh.renew(answer)
        if self._tls is not None:
            self._tls.renew(answer)
