"""How well the run is kept to the gateway, measured and not claimed (design section 8).

`isolated`: no target's real address answers and there is no default route. `separated`: the gateway belongs
to another user or runs on another host, and we are not root. Else `advisory`: the environment only. What
can't be measured counts against the better grade.
"""

import os
import socket
import sys
import threading
import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from urllib.parse import urlsplit

from bodycam.model.identity import Grade

PROBE_SECONDS = 1.0
_LISTENING = "0A"
_ROUTE_UP, _ROUTE_REJECT = 0x1, 0x200  # linux/route.h


def measure(url: str, hosts: Sequence[str], *, proc: Path = Path("/proc")) -> Grade:
    """The grade of a run whose gateway's control API is at `url` and whose targets are really at `hosts`."""
    if not default_route(proc) and not any_answers(hosts):
        return Grade.ISOLATED
    if os.geteuid() != 0 and apart(url, proc):
        return Grade.SEPARATED
    return Grade.ADVISORY


def any_answers(hosts: Sequence[str], seconds: float = PROBE_SECONDS) -> bool:
    """Whether a TCP connection to one of the addresses (host:port) succeeds within the time."""
    found = threading.Event()

    def probe(host: str, port: int) -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            found.set()
        except OSError:
            return  # refused, no route, no such name: it does not answer

    threads = []
    for address in hosts:
        host, _, port = address.rpartition(":")
        if port.isascii() and port.isdigit():
            # daemons, because a name server that never answers can't be interrupted
            thread = threading.Thread(target=probe, args=(host.strip("[]"), int(port)), daemon=True)
            thread.start()
            threads.append(thread)
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return found.is_set()


def default_route(proc: Path = Path("/proc")) -> bool:
    """Whether packets may leave this network namespace by a default route; True when it can't be known."""
    try:
        v4 = [line.split() for line in (proc / "net/route").read_text().splitlines()[1:]]
        v6_table = proc / "net/ipv6_route"
        v6 = [line.split() for line in v6_table.read_text().splitlines()] if v6_table.exists() else []
    except OSError:
        return True
    for row in v4:
        if len(row) > 7 and row[1] == row[7] == "00000000" and _usable(int(row[3], 16)):
            return True
    return any(
        len(row) > 9
        and set(row[0]) == {"0"}
        and row[1] == "00"
        and row[9] != "lo"
        and _usable(int(row[8], 16))
        for row in v6
    )


def apart(url: str, proc: Path = Path("/proc")) -> bool:
    """Whether the listener at `url` is on another host or another user's process."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=PROBE_SECONDS) as connection:
            here, there = connection.getsockname()[0], connection.getpeername()[0]
    except OSError:
        return False
    # a connection of a host to itself has the same address at both ends, or loopback addresses
    if here != there and not ip_address(there.partition("%")[0]).is_loopback:
        return True
    owner = listener_owner(there, port, proc)
    return owner is not None and owner != os.geteuid()


def listener_owner(host: str, port: int, proc: Path = Path("/proc")) -> int | None:
    """The user whose process listens at this local address, from proc_net_tcp; None when nobody is seen."""
    wanted = ip_address(host.partition("%")[0])
    for table in ("net/tcp", "net/tcp6"):
        try:
            rows = (proc / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            fields = row.split()
            address, _, number = fields[1].partition(":")
            if fields[3] != _LISTENING or int(number, 16) != port:
                continue
            bound = _address(address)
            if bound == wanted or bound.is_unspecified:
                return int(fields[7])
    return None


def _address(text: str) -> IPv4Address | IPv6Address:
    """An address of these tables: 32-bit words in the machine's own byte order, in hexadecimal."""
    words = (bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8))
    data = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    address = ip_address(data)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _usable(flags: int) -> bool:
    return bool(flags & _ROUTE_UP) and not flags & _ROUTE_REJECT
