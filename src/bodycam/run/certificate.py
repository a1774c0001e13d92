"""The run's client certificate: a key made here, which never leaves this machine, and the certificate for it.

Both lie in the run's private folder while the child lives. The certificate ends with the lease and is
replaced at each renewal; clients read it when they connect.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bodycam.run.failure import RunFailure
from bodycam.run.private_folder import PrivateFolder

CERTIFICATE, KEY = "client.pem", "client.key"


class ClientCertificate:
    """A fresh key, the request for its certificate, and the files of the two."""

    def __init__(self) -> None:
        # only where it is wanted: it would cost every other start a good part of its time
        from bodycam.net.authority import request

        made = request("bodycam run")
        self._key = made.key_pem.decode()
        self.csr = made.csr_pem.decode()
        self._folder: PrivateFolder | None = None

    def put(self, folder: PrivateFolder, answer: Mapping[str, Any]) -> tuple[Path, Path]:
        """Write certificate and key as the gateway's answer to a new run has it; returns their files.

        Raises:
            RunFailure: there is none in the answer.
        """
        pem = _pem(answer)
        if pem is None:
            raise RunFailure("the gateway's answer to a new run has no certificate, though one was asked for")
        self._folder = folder
        return folder.write(CERTIFICATE, pem), folder.write(KEY, self._key)

    def renew(self, answer: Mapping[str, Any]) -> None:
        """Put the certificate of a renewal in the place of the one before; without one nothing changes.

        Raises:
            OSError: it can't be written.
        """
        pem = _pem(answer)
        if self._folder is not None and pem is not None:
            self._folder.replace(CERTIFICATE, pem)


def _pem(answer: Mapping[str, Any]) -> str | None:
    given = answer.get("certificate")
    pem = given.get("pem") if isinstance(given, Mapping) else None
    return pem if isinstance(pem, str) and pem else None
