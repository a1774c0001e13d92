"""TLS contexts towards targets, made once for many connections: the system's authorities take 50 ms."""

import ssl
import time
from functools import lru_cache
from pathlib import Path
from typing import Final

from bodycam.model.target import TlsMode
from bodycam.net.tls import client_context

FRESH_SECONDS: Final = 300
"""For so long at most a context is used, because the system's authorities may change."""

_KEPT: Final = 64


def known_context(mode: TlsMode, ca_file: str | None, alpn: tuple[str, ...]) -> ssl.SSLContext:
    """The context with which a target is met; `net.tls.client_context` has the meanings.

    A file of authorities that was changed is read again at once. Contexts with a key of our own are not kept:
    nothing of a target's secrets outlives its sessions.

    Raises:
        TlsError: as `client_context` does.
    """
    return _made(mode, ca_file, _stamp(ca_file), alpn, int(time.monotonic() // FRESH_SECONDS))


@lru_cache(maxsize=_KEPT)
def _made(
    mode: TlsMode, ca_file: str | None, stamp: tuple[int, int], alpn: tuple[str, ...], period: int
) -> ssl.SSLContext:
    del stamp, period
    return client_context(mode, ca_file, alpn=alpn)


def _stamp(ca_file: str | None) -> tuple[int, int]:
    if ca_file is None:
        return 0, 0
    try:
        found = Path(ca_file).stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
