"""A server's side of a TLS handshake that fails: the peer is told why, and so is whoever waits for it here.

asyncio and uvloop close a connection whose handshake has failed without sending what OpenSSL has to say about
it, so that a client with a wrong certificate would see nothing but the end (RFC 8446, section 6.2, has alerts
for that).
"""

import contextlib
import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, cast


@dataclass(slots=True, eq=False)
class Handshake:
    """One handshake, and why it failed once it has; `failed` is called at that moment.

    `server_name` is what the client asked for (SNI, RFC 6066), "" for nothing. It is told by contexts that
    listen for it.
    """

    failed: Callable[[], None]
    failure: ssl.SSLError | None = None
    server_name: str = ""


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

    watching: Handshake | None = None
    """Who waits for this handshake; where nobody is named it is the running task's (`watched`)."""
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
            if (waits := self.watching or _WATCHED.get()) is not None:
                waits.failure = error
                waits.failed()
            raise ssl.SSLWantReadError from error


class WatchedContext(ssl.SSLContext):
    """A context that serves many connections, each of whose handshakes is watched by somebody of its own.

    `watched` finds the running task's, and uvloop begins TLS of a connection that stands already in the
    context of the task that accepted it. Both loops make a handshake's object in the order of `start_tls`.
    """

    def __init__(self, protocol: int) -> None:
        self._expected: deque[Handshake] = deque()

    @contextlib.contextmanager
    def expecting(self, handshake: Handshake) -> Iterator[None]:
        """The next `start_tls` with this context, called inside without another wait before, is this one."""
        self._expected.append(handshake)
        try:
            yield
        finally:
            # it never began, or it was taken out
            with contextlib.suppress(ValueError):
                self._expected.remove(handshake)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """The object of a connection's TLS; its handshake is that of who waits longest."""
        made = super().wrap_bio(*args, **options)
        if self._expected:
            cast("Outspoken", made).watching = self._expected.popleft()
        return made
