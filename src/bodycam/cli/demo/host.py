"""The machine that the demo's agent reaches by SSH: an OpenSSH server on loopback, of the present user."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bodycam.cli.demo.database import free_port

SSHD = Path("/usr/sbin/sshd")
_CHROOT = Path("/run/sshd")
_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
_SECONDS = 20

_SETTINGS = """\
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/login.pub
AuthenticationMethods publickey
PermitRootLogin yes
StrictModes no
UsePAM no
UseDNS no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp
"""


@dataclass(frozen=True, slots=True)
class Host:
    """Where it listens, who may log in with which private key, what proves it, and a folder on it."""

    port: int
    user: str
    key: Path
    host_key: str
    shelf: Path


@contextmanager
def host(sshd: Path = SSHD) -> Iterator[Host | str]:
    """The machine while the block lasts, or, in one line, why there is none on this one."""
    ssh, keygen = shutil.which("ssh"), shutil.which("ssh-keygen")
    if not sshd.exists():
        yield "the package openssh-server is missing"
        return
    if ssh is None or keygen is None:
        yield "the package openssh-client is missing"
        return
    folder = Path(tempfile.mkdtemp(prefix="bcsh-"))
    process = None
    try:
        try:
            made = _made(folder, keygen)
            process = _started(sshd, folder)
            wrong = _wrong(made, folder, process, ssh)
        except (OSError, KeyError, subprocess.SubprocessError) as error:
            # no folder /run to write to, no name for this user's number: the rest of the demo can do without
            wrong = str(error) or type(error).__name__
        yield f"sshd lets nobody in here: {wrong}" if wrong else made
    finally:
        if process is not None:
            _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _started(sshd: Path, folder: Path) -> subprocess.Popen[bytes]:
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sshd, "-D", "-e", "-f", folder / "sshd_config"],
            stdin=subprocess.DEVNULL,
            stderr=log,
            # Ctrl-C at the terminal is the demo's
            start_new_session=True,
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _made(folder: Path, keygen: str) -> Host:
    for name in ("host", "login"):
        subprocess.run(
            [keygen, "-q", "-t", "ed25519", "-N", "", "-C", "demo", "-f", folder / name],
            stdin=subprocess.DEVNULL,
            check=True,
            timeout=_SECONDS,
        )
    shelf = folder / "parcels"
    shelf.mkdir()
    (shelf / "compass.txt").write_text("compass, to Grace\n", encoding="utf-8")
    port = free_port()
    (folder / "sshd_config").write_text(_SETTINGS.format(port=port, folder=folder), encoding="utf-8")
    if os.getuid() == 0:
        # Debian's sshd stands there before it knows who logs in; the service that makes it need not run
        _CHROOT.mkdir(mode=0o755, exist_ok=True)
    public = (folder / "host.pub").read_text(encoding="utf-8").strip()
    return Host(port, pwd.getpwuid(os.getuid()).pw_name, folder / "login", public, shelf)


def _wrong(made: Host, folder: Path, process: subprocess.Popen[bytes], ssh: str) -> str:
    """Why nobody can log in, by a login without the gateway; empty where it can be done.

    A locked account is one reason, which differs from machine to machine.
    """
    known = folder / "known_hosts"
    known.write_text(f"[127.0.0.1]:{made.port} {made.host_key}\n", encoding="utf-8")
    options = (
        *("BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=yes"),
        *(f"UserKnownHostsFile={known}", "ConnectTimeout=5", "LogLevel=ERROR"),
    )
    command = [ssh, "-F", "none", "-i", str(made.key), "-p", str(made.port)]
    command += [part for option in options for part in ("-o", option)]
    said, deadline = "it did not start", time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            done = subprocess.run(
                [*command, f"{made.user}@127.0.0.1", "exit 0"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "a login takes too long"
        if done.returncode == 0:
            return ""
        said = " ".join(done.stderr.split())[-200:] or f"ssh ended with {done.returncode}"
        if "refused" not in said:
            break
        time.sleep(0.1)
    return said
