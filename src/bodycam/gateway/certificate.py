"""The listeners' certificate: the operator's own, or one signed by the control process."""

import ssl
import time
from pathlib import Path

from bodycam.net.authority import request
from bodycam.net.tls import server_context

RENEW_AFTER = 6 * 3600.0
"""Seconds after which a new certificate is asked for; the control process signs each for a day."""


class ListenerCertificate:
    """Makes the listeners' TLS contexts; replaced whole when a new certificate comes.

    `clients` is the authority, in PEM, whose certificates clients may show.
    """

    def __init__(
        self, *, enabled: bool, own: tuple[Path, Path] | None = None, clients: bytes | None = None
    ) -> None:
        self._clients = clients
        self._pair: tuple[bytes, bytes] | None = None
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._request = None
        self._adopted = 0.0
        if enabled and own is not None:
            key, chain = own
            self._use(key.read_bytes(), chain.read_bytes())
        elif enabled:
            self._request = request("Bodycam listener")

    def context(self, alpn: tuple[str, ...] = ()) -> ssl.SSLContext | None:
        """The context of a listener whose protocol has these names in TLS; None as long as there is none."""
        if self._pair is None:
            return None
        made = self._contexts.get(alpn)
        if made is None:
            made = self._contexts[alpn] = server_context(*self._pair, alpn=alpn, clients=self._clients)
        return made

    def request(self) -> str | None:
        """The signing request for the control process, in PEM; None when no certificate is needed."""
        return None if self._request is None else self._request.csr_pem.decode()

    def adopt(self, chain: str) -> None:
        """Use a signed chain, in PEM, from the next connection on.

        Raises:
            TlsError: it is no chain for our key.
        """
        if self._request is not None:
            self._use(self._request.key_pem, chain.encode())
            self._adopted = time.monotonic()

    @property
    def due(self) -> bool:
        """Whether it is time to ask for a new certificate."""
        return self._request is not None and time.monotonic() - self._adopted > RENEW_AFTER

    def _use(self, key: bytes, chain: bytes) -> None:
        # made once at once, so that what can't be used is found here and not at the first client
        first = server_context(key, chain, clients=self._clients)
        self._pair, self._contexts = (key, chain), {(): first}
