"""kill -9 of one of the gateway's processes, and the wait until another stands in for it."""

import os
import random
import signal
import time

import httpx
import psycopg

from tests import stage
from tests.interop.raw import sockets_of, tcp_sockets

LOGINS = 6
"""So many logins in a row meet every worker, nearly always."""


def kill(gateway: stage.Gateway, role: str) -> None:
    """kill -9 of one process of that role, or of everything at once; returns when others stand in for them."""
    if role in ("supervisor", "everything"):
        _all(gateway, at_once=role == "everything")
        return
    pids = gateway.children()[role]
    victim = max(pids, key=lambda pid: _clients(gateway, pid)) if role == "worker" else random.choice(pids)
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        now = gateway.children()[role]
        if len(now) == len(pids) and victim not in now:
            return
        time.sleep(0.02)
    raise AssertionError(f"no {role} stands in for the one that was killed")


def until_served(gateway: stage.Gateway, dsn: str) -> float:
    """Wait until logins go through at every worker and all is well; returns the seconds that it took."""
    began = time.monotonic()
    while time.monotonic() < began + 45:
        try:
            if gateway.api("GET", "/readyz", key=False).status_code == 200:
                for _ in range(LOGINS):
                    with psycopg.connect(dsn, connect_timeout=5) as connection:
                        connection.execute("select 1")
                return time.monotonic() - began
        except (httpx.HTTPError, psycopg.OperationalError):
            pass
        time.sleep(0.05)
    raise AssertionError("nobody can log in after the kill")


def _all(gateway: stage.Gateway, *, at_once: bool) -> None:
    """Children of a dead supervisor notice, and end in order; until the last has, nothing starts over the
    data folder.
    """
    doomed = [pid for pids in gateway.children().values() for pid in pids] if at_once else []
    for pid in (gateway.pid, *doomed):
        os.kill(pid, signal.SIGKILL)
    gateway.stop()
    deadline = time.monotonic() + 60
    while True:
        try:
            gateway.start()
            return
        except RuntimeError:
            assert time.monotonic() < deadline, "the children of the killed supervisor do not end"
            gateway.stop()
            time.sleep(0.1)


def _clients(gateway: stage.Gateway, pid: int) -> int:
    inodes = {inode for local, _, listens, inode in tcp_sockets() if local == gateway.port and not listens}
    return len(inodes & sockets_of(pid))
