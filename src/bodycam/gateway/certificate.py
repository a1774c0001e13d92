"""The listeners' certificate: the operator's own, or one that the control process signs for a key in memory."""

import ssl

from bodycam.net.authority import make_request
from bodycam.net.tls import server_context


class ListenerCertificate:
    """Makes the listeners' TLS context; replaced whole when a new certificate comes."""

    def __init__(self, *, enabled: bool, own: tuple[str, str] | None = None) -> None:
        self._enabled = enabled
        self._key_pem: bytes | None = None
        self._request: str | None = None
        self.context: ssl.SSLContext | None = None
        if not enabled:
            return
        if own is not None:
            self.context = server_context(*own)
        else:
            key, request = make_request()
            self._key_pem, self._request = key, request

    def request(self) -> str | None:
        """The signing request for the control process, in PEM; None when no certificate is needed."""
        return self._request

    def adopt(self, chain: str) -> None:
        """Use a signed chain, in PEM, from the next connection on."""
        if self._key_pem is not None:
            self.context = server_context(chain, self._key_pem.decode())
