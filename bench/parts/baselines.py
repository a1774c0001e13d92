"""What PostgreSQL through Bodycam is measured against: HAProxy in TCP mode and pgbouncer in session mode.

Each runs in the foreground with one thread, as an unprivileged user, and is ended by its own process id.
"""

import contextlib
import csv
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.stage import free_port

USER = "postgres"
LOGIN, PASSWORD = "app", "bench-password"


def found(name: str) -> str | None:
    """Where the program is; Debian keeps both outside an ordinary user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@contextlib.contextmanager
def haproxy(folder: Path, server: int) -> Iterator[tuple[int, int]]:
    """HAProxy before the server's port, its statistics on `folder/stats`; yields port and process id."""
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(
        f"global\n  nbthread 1\n  maxconn 2000\n  stats socket {folder}/stats mode 666\n"
        "defaults\n  mode tcp\n  option contstats\n  timeout connect 5s\n"
        "  timeout client 10m\n  timeout server 10m\n"
        f"frontend bench\n  bind 127.0.0.1:{port}\n  default_backend server\n"
        f"backend server\n  server one 127.0.0.1:{server}\n"
    )
    with running(folder, port, [found("haproxy") or "haproxy", "-db", "-f", str(config)]) as pid:
        yield port, pid


def carried(folder: Path) -> int:
    """Bytes that HAProxy has carried so far, both ways."""
    time.sleep(0.2)  # it counts what a connection carried as it sees the end of it
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(5)
        sock.connect(str(folder / "stats"))
        sock.sendall(b"show stat\n")
        answer = b""
        while part := sock.recv(65536):
            answer += part
    lines = answer.decode().lstrip("# ").splitlines()
    for line in csv.DictReader(lines):
        if line["svname"] == "BACKEND":
            return int(line["bin"]) + int(line["bout"])
    raise RuntimeError("HAProxy's statistics name no backend")


@contextlib.contextmanager
def pgbouncer(folder: Path, server: int) -> Iterator[tuple[int, int]]:
    """pgbouncer with SCRAM, and a server connection for each client's; yields port and process id."""
    port = free_port()
    users = folder / "users.txt"
    users.write_text(f'"{LOGIN}" "{PASSWORD}"\n')
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"[databases]\npostgres = host=127.0.0.1 port={server} dbname=postgres user={LOGIN}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n"
        f"auth_type = scram-sha-256\nauth_file = {users}\npool_mode = session\nserver_lifetime = 0\n"
        "default_pool_size = 180\nmax_client_conn = 500\nlog_connections = 0\nlog_disconnections = 0\n"
    )
    with running(folder, port, [found("pgbouncer") or "pgbouncer", str(config)]) as pid:
        yield port, pid


@contextlib.contextmanager
def running(folder: Path, port: int, command: list[str], *, humble: bool = True) -> Iterator[int]:
    """A server that is there once its port is; yields its process id.

    `humble` is whether it runs as an unprivileged user where we are root, who then owns the folder.
    """
    root = humble and os.getuid() == 0
    if root:
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, USER)
    log = folder / f"{Path(command[0]).name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            user=pwd.getpwnam(USER).pw_uid if root else None,
            group=pwd.getpwnam(USER).pw_gid if root else None,
            extra_groups=[] if root else None,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait(port, process, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{log.stem} did not start:\n{log.read_text()[-2000:]}")
