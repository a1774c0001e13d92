"""The demo's gateway: settings, `bodycam init`, and `bodycam serve` as a child process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bodycam.cli.demo.database import DATABASE, USER, Database, free_port
from bodycam.cli.demo.host import Host
from bodycam.cli.demo.web import Web
from bodycam.cli.failure import Failure

AGENT = "shop-analyst"
TARGET = "shop"
PACKING = "packing"
APPROVERS = "shop-owners"
START_SECONDS = 60.0
STOP_SECONDS = 40.0
_MODEL_KEY = "MODEL_KEY"
_PASSWORD = "SHOP_PASSWORD"  # noqa: S105 - the name of a variable

# all of it is on loopback, and the embedded server's psql is built without TLS
_SETTINGS = """\
listen: {{postgres: "127.0.0.1:{port}", http: "127.0.0.1:{http}",{ssh_listen} control: "127.0.0.1:{control}"}}
tls: {{enabled: false}}
keys: ./keys
storage: {{data: ./data}}
journal: {{max_size: 256MiB}}
targets:
  {target}:
    protocol: postgres
    address: "127.0.0.1:{database}"
    user: {user}
    password: {{env: {password}}}
    database: {name}
    labels: {{env: demo}}
  model:
    protocol: http
    address: "127.0.0.1:{model}"
    tls: {{sslmode: disable}}
    headers: {{Authorization: {{prefix: "Bearer ", env: {model_key}}}}}
    allow: [{{methods: [POST], paths: [/v1/chat/completions]}}]
    labels: {{env: demo}}
  warehouse:
    protocol: http
    address: "127.0.0.1:{warehouse}"
    tls: {{sslmode: disable}}
    labels: {{env: demo}}
{ssh_target}agents:
  {agent}: {{owner: demo, may_start: {{groups: [admins]}}}}
access:
  - {{agents: [{agent}], targets: {{labels: {{env: demo}}}}}}
rules:
  - preset: no-destructive-sql
  - name: deleting-needs-a-person
    when: op.sql.kinds.exists(k, k == "delete")
    then: require_approval
    message: a person has to agree that rows are deleted
    by: [{approvers}]
    wait: 60s
masking:
  - {{detect: [secrets, pii.card, pii.email]}}
roles:
  admin: {{groups: [admins]}}
"""

_PACKING = """\
  {name}:
    protocol: ssh
    address: "127.0.0.1:{port}"
    user: {user}
    private_key: {{file: "{key}"}}
    host_keys: ["{host_key}"]
    labels: {{env: demo}}
"""


class Gateway:
    """A gateway in a folder, and the `bodycam` commands that go to it."""

    def __init__(self, folder: Path, database: Database, web: Web, host: Host | None) -> None:
        """`host` is the machine behind the target of SSH, where there is one."""
        self.folder, self._database, self._web = folder, database, web
        self.settings = folder / "bodycam.yaml"
        self.port, self._control = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self._control}"
        self.settings.write_text(
            _SETTINGS.format(
                port=self.port,
                http=free_port(),
                model=web.model_port,
                model_key=_MODEL_KEY,
                warehouse=web.warehouse_port,
                control=self._control,
                target=TARGET,
                database=database.port,
                user=USER,
                password=_PASSWORD,
                name=DATABASE,
                agent=AGENT,
                approvers=APPROVERS,
                ssh_listen="" if host is None else f' ssh: "127.0.0.1:{free_port()}",',
                ssh_target="" if host is None else _packing(host),
            ),
            encoding="utf-8",
        )

    @property
    def variables(self) -> dict[str, str]:
        """What tells a `bodycam` command where the gateway is."""
        keys = self.folder / "keys"
        return {
            "BODYCAM_URL": self.url,
            "BODYCAM_KEY_FILE": str(keys / "admin.key"),
            "BODYCAM_SETTINGS": str(self.settings),
            "XDG_STATE_HOME": str(self.folder / "state"),
        }

    def command(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        capture: bool = True,
        check: bool = True,
        seconds: float = 120,
        key: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run a `bodycam` command against this gateway; its standard error goes to ours.

        Raises:
            Failure: it took too long, or failed where `check` says that it must not.
        """
        environ = {
            name: value for name, value in os.environ.items() if not name.startswith(("BODYCAM_", "PG"))
        }
        environ |= {**self.variables, **(environment or {})}
        if key:
            # somebody else than the admin, whose key lies in a file
            del environ["BODYCAM_KEY_FILE"]
            environ["BODYCAM_API_KEY"] = key
        try:
            done = subprocess.run(
                [sys.executable, "-m", "bodycam", *arguments],
                env=environ,
                stdin=subprocess.DEVNULL,
                # standard output is for the demo's own answer
                stdout=subprocess.PIPE if capture else sys.stderr.fileno(),
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise Failure(f"`bodycam {arguments[0]}` did not end within {seconds:g} s") from error
        if check and done.returncode:
            raise Failure(f"`bodycam {' '.join(arguments[:2])}` failed with exit code {done.returncode}")
        return done

    def ask(self, *arguments: str, check: bool = True, key: str = "") -> Any:
        """The JSON that a `bodycam ... --json` command answers, asked by somebody's key or the admin's.

        Raises:
            Failure: it failed, or its answer is no JSON.
        """
        done = self.command(*arguments, "--json", check=check, key=key)
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            raise Failure(f"`bodycam {arguments[0]} --json` did not answer with JSON") from error

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve while the block lasts.

        Raises:
            Failure: it did not become ready, with the end of its log.
        """
        log = self.folder / "gateway.log"
        with log.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "bodycam", "serve", "--settings", str(self.settings)],
                cwd=self.folder,
                env={**os.environ, _PASSWORD: self._database.password, _MODEL_KEY: self._web.model_key},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                # Ctrl-C at the terminal is the demo's; it then stops the gateway in order
                start_new_session=True,
            )
        try:
            self._wait(process, log)
            yield
        finally:
            _stop(process)

    def _wait(self, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + START_SECONDS
        with httpx.Client(trust_env=False, timeout=2) as client:
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    if client.get(f"{self.url}/readyz").status_code == httpx.codes.OK:
                        return
                except httpx.HTTPError:
                    pass  # not listening yet
                time.sleep(0.1)
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        why = "ended" if process.poll() is not None else f"was not ready within {START_SECONDS:g} s"
        raise Failure(f"the gateway {why}; the end of its log:\n{tail}")


def _packing(host: Host) -> str:
    return _PACKING.format(
        name=PACKING, port=host.port, user=json.dumps(host.user), key=host.key, host_key=host.host_key
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
