"""A server's side of a TLS handshake that fails: the peer is told why, and so is whoever waits for it here.

asyncio and uvloop close a connection whose handshake has failed without sending what OpenSSL has to say about
it, so that a client with a wrong certificate would see nothing but the end (RFC 8446, section 6.2, has alerts
for that).
"""

import ssl
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(slots=True)
class Handshake:
    """One handshake, and why it failed once it has; `failed` is called at that moment."""

    failed: Callable[[], None]
    failure: ssl.SSLError | None = None


_WATCHED: ContextVar[Handshake | None] = ContextVar("handshake", default=None)


def watched(failed: Callable[[], None]) -> Handshake:
    """The handshake of the connection that the running task is going to begin."""
    made = Handshake(failed)
    _WATCHED.set(made)
    return made


class Outspoken(ssl.SSLObject):
    """Fails one step later than OpenSSL does, so that its alert is sent before the connection ends.

    The loops send what is to go out when more is to be read; so that is said first, and the failure itself
    when the peer has answered to the alert, has closed, or has let the handshake's time run out.
    """

    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Go on with the handshake.

        Raises:
            ssl.SSLWantReadError: bytes of the peer are needed. ssl.SSLError: it has failed, for good.
        """
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._failure = error
            if (watching := _WATCHED.get()) is not None:
                watching.failure = error
                watching.failed()
            raise ssl.SSLWantReadError from error
