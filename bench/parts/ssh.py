"""OpenSSH's clients on two ways to one server: straight, and through the gateway by a run's certificate."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.openssh import OpenSsh
from tests.stage import Credential, Gateway, clean_environment

from bodycam.run.ssh_config import CIPHERS

TARGET = "server"

_CLIENT = """\
Host *
HostName 127.0.0.1
Port {port}
User {target}
IdentityFile {folder}/key
CertificateFile {folder}/key-cert.pub
IdentitiesOnly yes
IdentityAgent none
UserKnownHostsFile {folder}/known_hosts
GlobalKnownHostsFile /dev/null
StrictHostKeyChecking yes
UpdateHostKeys no
BatchMode yes
LogLevel ERROR
Ciphers {ciphers}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """A way to the server: the configuration of OpenSSH's clients, and the gateway's processes on it."""

    name: str
    config: Path
    pids: tuple[int, ...] = ()

    def command(self, program: str, *arguments: str | Path) -> list[str]:
        """A client of OpenSSH that takes this way; the server is called `server`."""
        return [program, "-F", str(self.config), *map(str, arguments)]

    def do(self, program: str, *arguments: str | Path) -> float:
        """Run it to its end; gives the seconds that it took.

        Raises:
            RuntimeError: it failed.
        """
        begun = time.perf_counter()
        done = subprocess.run(
            self.command(program, *arguments),
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=300,
            check=False,
        )
        took = time.perf_counter() - begun
        if done.returncode:
            raise RuntimeError(f"{program} by way {self.name}: {done.stderr.decode(errors='replace')[-500:]}")
        return took

    @contextlib.contextmanager
    def master(self) -> Iterator[str]:
        """One connection that stays (ControlMaster); gives the option by which clients use it."""
        path = self.config.with_name(f"control-{self.name}")
        process = subprocess.Popen(
            self.command("ssh", "-M", "-S", path, "-N", TARGET), stdin=subprocess.DEVNULL
        )
        try:
            give_up = time.monotonic() + 30
            while not path.exists():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"no connection by way {self.name}")
                time.sleep(0.02)
            yield str(path)
        finally:
            process.terminate()
            process.wait(10)


def target(server: OpenSsh) -> Mapping[str, object]:
    """The server as the gateway's settings declare it."""
    return {
        "protocol": "ssh",
        "address": f"127.0.0.1:{server.port}",
        "user": server.user,
        "private_key": {"file": str(server.key)},
        "host_keys": [server.host_key],
        "labels": {"env": "bench"},
    }


def through(
    gateway: Gateway, port: int, pids: tuple[int, ...], folder: Path, server: OpenSsh
) -> tuple[Way, Credential]:
    """The way through the gateway, for a run of its own; `folder` is made for its files."""
    folder.mkdir(mode=0o700)
    for end in ("", ".pub"):
        (folder / f"key{end}").write_bytes(server.key.with_name(server.key.name + end).read_bytes())
        (folder / f"key{end}").chmod(0o600)
    public = " ".join((folder / "key.pub").read_text().split()[:2])
    body = {
        "agent": "billing-bot",
        "labels": {},
        "trace": None,
        "grade": "advisory",
        "ssh_public_key": public,
    }
    said = gateway.api("POST", "/v1/runs", json=body).raise_for_status().json()
    host_key = gateway.api("GET", "/v1/gateway?agent=billing-bot").raise_for_status().json()["ssh_host_key"]
    (folder / "key-cert.pub").write_text(f"{said['ssh_certificate']['line']}\n")
    (folder / "known_hosts").write_text(f"* {host_key}\n")
    config = folder / "config"
    config.write_text(_CLIENT.format(port=port, folder=folder, target=TARGET, ciphers=CIPHERS))
    credential = Credential(said["run"]["id"], said["credential"]["secret"], {})
    return Way("bodycam", config, pids), credential
