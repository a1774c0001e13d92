"""A real OpenSSH server on loopback, run by the present user, and what its own clients need to reach it.

It lets in one key, and certificates of a CA where it is given one. Everything is in a temporary folder; the server
is ended by its process id.
"""

import contextlib
import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.ports import free_port

SSHD = Path("/usr/sbin/sshd")
SFTP_SERVER = Path("/usr/lib/openssh/sftp-server")

_SERVER = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized_keys
AuthenticationMethods publickey
PermitRootLogin yes
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
AcceptEnv *
SetEnv HOME={folder}
LoginGraceTime 30
MaxStartups 200
MaxSessions 200
LogLevel VERBOSE
Subsystem sftp {sftp}
"""

_CLIENT = """\
Host *
HostName 127.0.0.1
Port {port}
User {user}
IdentityFile {folder}/user
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
UpdateHostKeys no
BatchMode yes
ConnectTimeout 20
LogLevel ERROR
"""


@dataclass(frozen=True, slots=True)
class OpenSsh:
    """A running server.

    `host_key` is its public key, `key` the private key that it lets in (its public one is beside it, as .pub), `config`
    a file for `ssh -F` that goes to this server whatever the host is called, `log` what the server says.
    """

    folder: Path
    port: int
    user: str

    @property
    def host_key(self) -> str:
        return (self.folder / "host.pub").read_text().strip()

    @property
    def key(self) -> Path:
        return self.folder / "user"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def ssh(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[bytes]:
        """Run ssh to it; `arguments` are options and the command. `more` are options as `-o` has them."""
        options = [part for name, value in more.items() for part in ("-o", f"{name}={value}")]
        return subprocess.run(
            ["ssh", "-F", self.config, *options, "server", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )


@contextlib.contextmanager
def sshd(folder: Path, *, user_ca: str = "", settings: Sequence[str] = ()) -> Iterator[OpenSsh]:
    """A server with its keys and its log in `folder`, which is made.

    `user_ca` is the public key of a CA whose user certificates it lets in, for the principal that is the present user's
    name. `settings` are lines of sshd_config that stand before its own, so that they count.

    Raises:
        RuntimeError: there is no sshd, or it did not start.
    """
    if not SSHD.exists():
        raise RuntimeError("no OpenSSH server: install the package openssh-server, as ./dev test does")
    folder.mkdir(mode=0o700)
    for name in ("host", "user"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name]
        subprocess.run(key, stdin=subprocess.DEVNULL, check=True, timeout=30)
    (folder / "authorized_keys").write_bytes((folder / "user.pub").read_bytes())
    lines = list(settings)
    if user_ca:
        (folder / "user_ca.pub").write_text(f"{user_ca}\n")
        lines.append(f"TrustedUserCAKeys {folder}/user_ca.pub")
    port = free_port()
    made = OpenSsh(folder, port, pwd.getpwuid(os.getuid()).pw_name)
    own = _SERVER.format(port=port, folder=folder, sftp=SFTP_SERVER)
    (folder / "sshd_config").write_text("\n".join([*lines, own]))
    made.config.write_text(_CLIENT.format(port=port, folder=folder, user=made.user))
    made.known_hosts.write_text(f"[127.0.0.1]:{port} {made.host_key}\n")
    if os.getuid() == 0:
        # where Debian's sshd is chrooted to before it knows who logs in; its service makes it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    with made.log.open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", folder / "sshd_config"], stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        _wait(process, made)
        yield made
    finally:
        process.terminate()
        process.wait(10)


def _wait(process: subprocess.Popen[bytes], made: OpenSsh) -> None:
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", made.port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"sshd did not start: {made.log.read_text(errors='replace')}")
