"""Before the first request: TLS or none, on the client's side and at the target."""

from typing import Final

from bodycam.model.target import TlsMode
from bodycam.net.opening import Begin, Fail, Look, More, StartTls, TargetLook, Tls

ALPN: Final = "http/1.1"
H2: Final = "h2"

_TLS_HANDSHAKE: Final = 0x16


class Opening:
    """The client's first byte: a proxy is spoken to in the clear or over TLS, on one port."""

    def __init__(self, tls: bool) -> None:
        self._tls = tls

    def look(self, peeked: bytes) -> Look:
        """What to do about the bytes at the head of the connection."""
        if not peeked:
            return More()
        if peeked[0] == _TLS_HANDSHAKE and self._tls:
            return StartTls(0, b"")
        return Begin()


class TargetOpening:
    """TLS from the first byte, or none at all: nobody is asked."""

    def __init__(self, mode: TlsMode) -> None:
        self._mode = mode

    def first(self) -> bytes | Tls | None:
        """TLS at once, but where it is not wanted."""
        return None if self._mode is TlsMode.DISABLE else Tls(alpn=(ALPN,))

    def answered(self, byte: bytes) -> TargetLook:
        """Nothing was asked."""
        return Fail("the target spoke before it was asked")

    def refused(self) -> TargetLook:
        """There is no other way."""
        return Fail("TLS with the target failed")
