"""Before the login: encryption is asked for and answered, on the client's side and at the target.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

from bodycam.model.target import TlsMode
from bodycam.net.opening import (
    Begin,
    Fail,
    Look,
    More,
    Plain,
    Refuse,
    Reply,
    Retry,
    StartTls,
    TargetLook,
    Tls,
)
from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.frontend import GSSENC_REQUEST, SSL_REQUEST

ALPN = "postgresql"
"""The name in IANA's registry of application protocols; PostgreSQL knows it from version 17 on."""

_TLS_HANDSHAKE = 0x16
_STARTUP_MOST = 10_000


class Opening:
    """The client's first bytes, looked at before they are taken."""

    def __init__(self, tls: bool) -> None:
        self._tls = tls
        self._asked: set[bytes] = set()

    def look(self, peeked: bytes) -> Look:
        """What to do about the bytes at the head of the connection."""
        if not peeked:
            return More()
        if peeked[0] == _TLS_HANDSHAKE:
            return self._direct()
        if len(peeked) < 8:
            # every opening packet begins with a length below 10,001, so its first two bytes are small
            if peeked[0] != 0 or (len(peeked) > 1 and peeked[1] != 0):
                return self._refuse("these bytes are not PostgreSQL's protocol")
            return More()
        packet = peeked[:8]
        if packet in (SSL_REQUEST, GSSENC_REQUEST):
            if packet in self._asked:
                return self._refuse("the same encryption was asked for twice")
            if len(peeked) > 8:
                # somebody put bytes before the handshake that would pass for encrypted (CVE-2021-23222)
                return self._refuse("bytes behind an encryption request, before its answer")
            self._asked.add(packet)
            if packet == SSL_REQUEST and self._tls:
                return StartTls(8, b"S")
            return Reply(8, b"N")
        if not 8 <= int.from_bytes(peeked[:4], "big") <= _STARTUP_MOST:
            return self._refuse("these bytes are not PostgreSQL's protocol")
        return Begin()

    def _direct(self) -> Look:
        """A handshake in place of an SSLRequest: only with ALPN, so that it was meant for this protocol.

        A client of another one (HTTP, say) could else be led here to speak in a user's name.
        """
        if not self._tls or self._asked:
            # whoever begins TLS can't read an error of ours in the clear
            return Refuse(b"", "TLS was begun where there is none, or after another request for encryption")
        return StartTls(0, b"", required_alpn=ALPN)

    @staticmethod
    def _refuse(reason: str) -> Refuse:
        return Refuse(refusal(reason, "Connect with a PostgreSQL client.", sqlstate="08P01"), reason)


def refusal(message: str, hint: str, *, sqlstate: str = "57P03") -> bytes:
    """What a client is told before any login; 57P03 is "cannot connect now", which clients may retry."""
    return backend.error_response("FATAL", sqlstate, message, hint=hint)


class TargetOpening:
    """The first bytes towards a target, as its TLS mode asks.

    `allow` begins without TLS and `prefer` with it; the login takes the other way when the server refuses.
    """

    def __init__(self, mode: TlsMode) -> None:
        self._mode = mode
        self._plain = mode in (TlsMode.DISABLE, TlsMode.ALLOW)

    def first(self) -> bytes | None:
        """An SSLRequest, or nothing."""
        return None if self._plain else SSL_REQUEST

    def answered(self, byte: bytes) -> TargetLook:
        """The server's one byte."""
        match byte:
            case b"S":
                return Tls(alpn=(ALPN,))
            case b"N" if self._mode is TlsMode.PREFER:
                return Plain()
            case b"N":
                return Fail(f"the server has no TLS, and the target's mode is {self._mode.value}")
            case b"":
                return self.refused()
            case _:
                return Fail("the server answered the request for TLS with neither yes nor no")

    def refused(self) -> TargetLook:
        """The handshake failed, or the server hung up."""
        if self._mode is TlsMode.PREFER and not self._plain:
            self._plain = True
            return Retry()
        return Fail("the server closed the connection when it was asked for TLS")
