"""A real PostgreSQL server and a real gateway in front of it, for the tests that need both.

Everything lives in a short temporary folder (Unix sockets have short paths), listens on loopback only, and is
ended by its own process id.
"""

import atexit
import contextlib
import functools
import io
import json
import os
import pwd
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import yaml

from bodycam.cli import init
from bodycam.net.authority import Authority, Usage, request
from tests.ports import free_port as free_port

PASSWORD = "target-password-0815"
HBA = """\
local all all trust
hostssl only_tls all 127.0.0.1/32 trust
hostnossl only_plain all 127.0.0.1/32 trust
host only_tls,only_plain all 127.0.0.1/32 reject
hostssl all cert_user 127.0.0.1/32 cert
host all scram_user 127.0.0.1/32 scram-sha-256
host all md5_user 127.0.0.1/32 md5
host all clear_user 127.0.0.1/32 password
host all app 127.0.0.1/32 trust
host all postgres 127.0.0.1/32 trust
"""


def postgres_bin() -> Path:
    """Where Debian's newest PostgreSQL server is; `./dev test` installs it."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not found:
        raise RuntimeError("no PostgreSQL server: install the package postgresql, as ./dev test does")
    return found[-1].parent


class Postgres:
    """A PostgreSQL server of Debian's packages with TLS, and users for every way to log in."""

    def __init__(self, folder: Path, max_connections: int = 200) -> None:
        self.folder, self.port = folder, free_port()
        self._max_connections = max_connections
        self.bin = postgres_bin()
        self.ca_file = folder / "ca.pem"
        # the gateway's own certificate at this server, as the role cert_user
        self.client_cert, self.client_key = folder / "client.pem", folder / "client.key"

    @property
    def pair(self) -> tuple[Path, Path]:
        """The server's own key and certificate."""
        return self.folder / "data" / "server.key", self.folder / "data" / "server.crt"

    def start(self) -> None:
        """Make the cluster and start it."""
        self.folder.mkdir(mode=0o755)
        data = self.folder / "data"
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync")
        authority = Authority.create("test targets")
        made = request("127.0.0.1")
        key, chain = self.pair
        key.write_bytes(made.key_pem)
        chain.write_bytes(authority.sign(made.csr_pem, names=["127.0.0.1"]))
        self.ca_file.write_bytes(authority.certificate_pem)
        self.ca_file.chmod(0o644)
        clients, asked = Authority.create("test clients"), request("cert_user")
        clients_ca = data / "clients.pem"
        clients_ca.write_bytes(clients.certificate_pem)
        self.client_cert.write_bytes(clients.sign(asked.csr_pem, names=["cert_user"], usage=Usage.CLIENT))
        self.client_key.write_bytes(asked.key_pem)
        self.client_key.chmod(0o600)
        (data / "pg_hba.conf").write_text(HBA)
        with (data / "postgresql.conf").open("a") as conf:
            conf.write(
                f"port={self.port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='{self.folder}'\n"
                f"ssl=on\nssl_ca_file='clients.pem'\nfsync=off\nmax_connections={self._max_connections}\nlog_statement=all\n"
                "log_line_prefix='%p %a '\n"
                "logging_collector=off\n"
            )
        for file in (key, chain, clients_ca):
            file.chmod(0o600)
            if os.getuid() == 0:
                shutil.chown(file, "postgres")
        self.log = self.folder / "log"
        self._run("pg_ctl", "-D", str(data), "-l", str(self.log), "-w", "-t", "30", "start")
        self.sql(
            "create role app login superuser",
            "create role cert_user login",
            "create database only_tls",
            "create database only_plain",
            f"create role scram_user login password '{PASSWORD}'",
            f"create role clear_user login password '{PASSWORD}'",
            f"set password_encryption = md5; create role md5_user login password '{PASSWORD}'",
        )

    def stop(self) -> None:
        """Stop the server."""
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def restart(self, **settings: str) -> None:
        """Start it again with other settings."""
        self.sql(*(f"alter system set {name} = '{value}'" for name, value in settings.items()))
        data = str(self.folder / "data")
        self._run("pg_ctl", "-D", data, "-l", str(self.log), "-w", "-t", "30", "-m", "fast", "restart")

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """Run statements directly, as the superuser; returns what psql prints."""
        arguments = [part for one in statements for part in ("-c", one)]
        said = subprocess.run(
            [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *arguments],
            env=self.direct(database) | {"PGUSER": "postgres"},
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return said.stdout.strip()

    def direct(self, database: str = "postgres") -> dict[str, str]:
        """The environment of a client that goes to the server itself."""
        return clean_environment() | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": "app",
            "PGDATABASE": database,
            "PGSSLMODE": "disable",
        }

    def _run(self, name: str, *arguments: str) -> None:
        command = [str(self.bin / name), *arguments]
        user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None
        done = subprocess.run(
            command,
            user=user,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=90,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr}")


def clean_environment() -> dict[str, str]:
    """Our environment without what would steer a client, or pass our own settings on."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "BODYCAM_"))}


@dataclass
class Credential:
    """One run: its id, and the environment of a client that belongs to it."""

    run: str
    secret: str
    environment: dict[str, str] = field(repr=False)
    certificate: str = ""
    """In PEM, where one was asked for by `csr`."""

    def dsn(self, database: str = "shop") -> str:
        """A connection string for drivers that read no environment."""
        port = self.environment["PGPORT"]
        return f"postgresql://{self.run}:{self.secret}@127.0.0.1:{port}/{database}?sslmode=disable"


@functools.cache
def detectors_kept() -> Path:
    """Where this test run keeps compiled detectors from one gateway to the next."""
    made = Path(tempfile.mkdtemp(prefix="bc-detectors-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


class Gateway:
    """A gateway of our own: `bodycam init`, settings, `bodycam serve`, and its control API."""

    def __init__(self, folder: Path, targets: Mapping[str, Any], **settings: Any) -> None:
        self.folder, self._targets, self._settings = folder, targets, settings
        self.port, self.control = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "serve.log"

    def more(self, **settings: Any) -> None:
        """Settings that need to know the gateway's ports; before `init`."""
        self._settings = {**self._settings, **settings}

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.folder / "data"

    @property
    def listener_ca(self) -> Path:
        """The CA that vouches for the listeners."""
        return self.folder / "keys" / "public" / "listener-ca.pem"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        assert self._process is not None
        return self._process.pid

    def init(self) -> None:
        """Make keys, catalog and settings."""
        self.folder.mkdir(parents=True)
        settings: dict[str, Any] = {
            "listen": {"postgres": f"127.0.0.1:{self.port}", "control": f"127.0.0.1:{self.control}"},
            "targets": dict(self._targets),
            "agents": {
                "billing-bot": {"owner": "payments", "may_start": {"groups": ["admins"]}},
                "idle-bot": {"owner": "nobody", "may_start": {"groups": ["admins"]}},
            },
            "access": [{"agents": ["billing-bot"], "targets": {"names": ["*"]}}],
            "archive": {"seal_interval": "200ms"},
            "limits": {"drain_timeout": "2s"},
        }
        for name, value in self._settings.items():
            merged = settings.get(name)
            settings[name] = {**merged, **value} if isinstance(merged, dict) else value
        (self.folder / "bodycam.yaml").write_text(yaml.safe_dump(settings))
        if "storage" in self._settings:
            # what asks a command for keys, or the environment for a password, is the program's
            self.bodycam("init", check=True)
        else:
            # the same without a second interpreter, which would load for a second what is loaded here
            with contextlib.redirect_stderr(io.StringIO()):
                init.command(str(self.folder / "bodycam.yaml"))

    def start(self, **environment: str) -> None:
        """Start the gateway and wait until it is ready."""
        self._take_detectors()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "bodycam", "serve", "--settings", "bodycam.yaml"],
                cwd=self.folder,
                env=clean_environment() | environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self.wait_ready()
        except BaseException:
            # one that does not become ready is a process as well
            self.stop()
            raise
        self._keep_detectors()

    def _take_detectors(self) -> None:
        """What a gateway before has compiled: it takes seconds, and is the same for all."""
        kept, own = detectors_kept(), self.data / "detectors"
        if kept.exists() and not own.exists():
            own.mkdir(mode=0o700, parents=True)
            for file in kept.iterdir():
                shutil.copyfile(file, own / file.name)
                (own / file.name).chmod(0o600)

    def _keep_detectors(self) -> None:
        kept, own = detectors_kept(), self.data / "detectors"
        kept.mkdir(mode=0o700, exist_ok=True)
        for file in own.iterdir():
            if file.name != "fingerprints.key" and not (kept / file.name).exists():
                shutil.copyfile(file, kept / file.name)

    def wait_ready(self, timeout: float = 90) -> None:
        """Wait until /readyz says so."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError, httpx.HTTPError):
                # a client with its TLS costs more than to see that nobody listens yet
                socket.create_connection(("127.0.0.1", self.control), 5).close()
                if self.api("GET", "/readyz", key=False).status_code == 200:
                    return
            time.sleep(0.1)
        raise RuntimeError(f"the gateway did not become ready:\n{self.log.read_text()[-4000:]}")

    def stop(self, timeout: float = 40) -> int:
        """Stop the gateway in order; returns its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process = None

    def signal(self, number: int) -> None:
        """Send the supervisor a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def children(self) -> dict[str, list[int]]:
        """The process ids of the gateway's children, by their role."""
        found: dict[str, list[int]] = {"worker": [], "archivist": [], "control": []}
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        for child in listed:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
                for role, pids in found.items():
                    if role in words:
                        pids.append(int(child))
        return found

    def api(
        self,
        method: str,
        path: str,
        *,
        key: bool | str = True,
        headers: Mapping[str, str] | None = None,
        **rest: Any,
    ) -> httpx.Response:
        """Call the control API as the admin, as somebody else's key, or as nobody."""
        headers = dict(headers or {})
        if key:
            text = key if isinstance(key, str) else (self.folder / "keys" / "admin.key").read_text().strip()
            headers["Authorization"] = f"Bearer {text}"
        context = ssl.create_default_context(cafile=str(self.listener_ca))
        with httpx.Client(verify=context, timeout=30, trust_env=False) as client:
            return client.request(method, f"https://127.0.0.1:{self.control}{path}", headers=headers, **rest)

    def run(self, agent: str = "billing-bot", **more: Any) -> Credential:
        """Start a run."""
        body = {"agent": agent, "labels": {}, "trace": None, "grade": "advisory", **more}
        answer = self.api("POST", "/v1/runs", json=body)
        assert answer.status_code == 201, answer.text
        said = answer.json()
        secret = said["credential"]["secret"]
        environment = clean_environment() | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": said["credential"]["user"],
            "PGPASSWORD": secret,
            "PGDATABASE": "shop",
            "PGSSLMODE": "disable",
        }
        certificate = said["certificate"]["pem"] if said["certificate"] else ""
        return Credential(said["run"]["id"], secret, environment, certificate)

    def end(self, credential: Credential, wait: float = 20) -> dict[str, Any]:
        """End a run and wait until its sessions are sealed, and indexed: nothing else waits for the index."""
        answer = self.api("POST", f"/v1/runs/{credential.run}/end", json={"exit_code": 0, "wait": wait})
        assert answer.status_code == 200, answer.text
        said: dict[str, Any] = answer.json()
        assert said["unsealed"] == [], said
        deadline = time.monotonic() + wait
        while self._unindexed(credential.run, len(said["sessions"])):
            assert time.monotonic() < deadline, "the index did not follow"
            time.sleep(0.02)
        return said

    def _unindexed(self, run: str, given: int) -> bool:
        """Whether the index does not know yet of each of the run's sessions that it is sealed."""
        sealed = f"/v1/sessions?run={run}&state=sealed&limit=1000"
        if len(self.api("GET", sealed).json()["sessions"]) < min(given, 1000):
            return True
        return any(
            self.api("GET", f"/v1/sessions?run={run}&state={state}&limit=1").json()["sessions"]
            for state in ("open", "closed")
        )

    def exchanges(self, run: str, *, asides: bool = False) -> list[dict[str, Any]]:
        """All exchanges of a run, in the order of their start."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            query = f"/v1/exchanges?run={run}&limit=1000&asides={str(asides).lower()}"
            answer = self.api("GET", query + (f"&cursor={cursor}" if cursor else ""))
            assert answer.status_code == 200, answer.text
            said = answer.json()
            found += said["exchanges"]
            cursor = said["next"]
            if not cursor:
                return sorted(found, key=lambda one: (one["started"], one["number"]))

    def bodycam(
        self, *arguments: str, check: bool = False, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line in the gateway's folder."""
        return subprocess.run(
            [sys.executable, "-m", "bodycam", *arguments],
            cwd=self.folder,
            env=clean_environment() | (environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=90,
            check=check,
        )

    def verify(self, *more: str) -> tuple[int, dict[str, Any]]:
        """Verify offline; returns the exit code and the report."""
        done = self.bodycam("verify", "--offline", "--data", str(self.data), "--json", *more)
        return done.returncode, json.loads(done.stdout)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A short temporary folder, gone afterwards."""
    made = Path(tempfile.mkdtemp(prefix="bc-", dir="/tmp"))
    made.chmod(0o755)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def postgres(max_connections: int = 200) -> Iterator[Postgres]:
    """A running server."""
    with folder() as made:
        server = Postgres(made / "pg", max_connections)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextlib.contextmanager
def gateway(targets: Mapping[str, Any], **settings: Any) -> Iterator[Gateway]:
    """A gateway that serves, in a folder of its own."""
    with folder() as made:
        served = Gateway(made / "g", targets, **settings)
        served.init()
        served.start()
        try:
            yield served
        finally:
            served.stop()


def shop(server: Postgres, **changed: Any) -> dict[str, Any]:
    """A target that is this server."""
    return {
        "protocol": "postgres",
        "address": f"127.0.0.1:{server.port}",
        "user": "app",
        "database": "postgres",
        **changed,
    }
