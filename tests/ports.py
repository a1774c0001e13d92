"""Ports for the servers that tests start.

One that was free a moment ago may be the near end of anybody's connection by the time a server binds it, if it
is among those that the system hands out by itself (`ip_local_port_range`). These are below, and each process gives
each of them out once before it begins anew.
"""

import contextlib
import itertools
import os
import socket
from pathlib import Path

_FIRST = 10_000
_STEP = 997  # apart from where the process with the next number begins


def _system_range() -> int:
    with contextlib.suppress(OSError):
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return 32_768


_COUNT = max(0, _system_range() - _FIRST)
_PORTS = itertools.cycle([_FIRST + (os.getpid() * _STEP + at) % _COUNT for at in range(_COUNT)])


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    for port in itertools.islice(_PORTS, _COUNT):
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    # where the system hands out all of them
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
