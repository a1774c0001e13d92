"""`bodycam run` with OpenSSH's clients and a real server that trusts the gateway's CA of run certificates.

The server stands where the gateway's listener will be: it has the host key that the control API tells, takes the
certificate that it gave, and passes on as a jump host. What the gateway does with targets is not shown here,
and since the server knows no user names but its own, they take the place of the gateway's.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import openssh
from tests.ssh_authority import SshAuthority
from tests.unit.cli.fake_control import FakeControl, fake_control

RUN = "run_aaaabbbbccccdddd"
USERS = """
    sed -i "s/^\\( *User \\).*/\\1$0/; s/ user bodycam@$0/ user $0/" "$(dirname "$SSH_AUTH_SOCK")/config"
    exec "$@"
"""


class Way:
    """A control API that gives SSH certificates, the server that takes them, and runs between them."""

    def __init__(self, server: openssh.OpenSsh, control: FakeControl, folder: Path) -> None:
        self.server, self.control, self.folder = server, control, folder

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "BODYCAM_URL": self.control.url,
            "BODYCAM_API_KEY": "bca_key",
            **more,
        }
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "bodycam",
                "run",
                "--agent",
                "bot",
                "--",
                "sh",
                "-c",
                USERS,
                self.server.user,
                *command,
            ],
            env=environ,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    @property
    def name(self) -> str:
        """A target, of which the server's user is named."""
        return self.server.user

    @property
    def by_jump(self) -> list[str]:
        """What reaches the server as an account of an address behind the jump host: itself once more."""
        return ["-p", str(self.server.port), f"{self.server.user}@localhost"]

    def logins(self) -> int:
        return self.server.log.read_text().count("Accepted publickey")


@contextmanager
def way(folder: Path, *, lease: float = 3600) -> Iterator[Way]:
    """Certificates live as long as the lease, which is renewed for an hour."""
    authority = SshAuthority()
    settings = ["AuthorizedKeysFile none", "PermitTTY yes"]
    with openssh.sshd(folder / "server", user_ca=authority.public_key, settings=settings) as server:

        def started(_query: Any, body: Mapping[str, Any]) -> tuple[int, Any]:
            run = {"id": RUN, "agent": "bot", "expires": time.time() + lease, "grade": "advisory"}
            credential = {"user": RUN, "secret": "bcr_a"}
            return 200, {"run": run, "credential": credential} | certificate(body, lease)

        def renewed(_query: Any, body: Mapping[str, Any]) -> tuple[int, Any]:
            return 200, {"expires": time.time() + 3600} | certificate(body, 3600)

        def certificate(body: Mapping[str, Any], seconds: float) -> dict[str, Any]:
            line = authority.vouch(body["ssh_public_key"], server.user, until=seconds)
            return {"ssh_certificate": {"line": line, "expires": time.time() + seconds}}

        target = {"name": server.user, "protocol": "ssh", "hosts": ["web1.internal:22"]}
        routes = {
            "GET /v1/gateway": {
                "listeners": {"ssh": {"host": "127.0.0.1", "port": server.port, "tls": False}},
                "targets": [target],
                "ssh_host_key": f"{server.host_key} a comment",
            },
            "POST /v1/runs": started,
            f"POST /v1/runs/{RUN}/renew": renewed,
            f"POST /v1/runs/{RUN}/end": {"run": {"id": RUN}, "head": None, "sessions": []},
        }
        with fake_control(routes) as control:
            yield Way(server, control, folder)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Way]:
    with way(tmp_path) as one:
        yield one


def test_a_target_by_its_name(here: Way) -> None:
    done = here.run("ssh", here.name, "printf '%s|' out \"a  b\"; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out|a  b|")
    assert done.stderr.splitlines()[0] == "err"
    assert here.logins() == 1
    assert "ED25519-CERT" in here.server.log.read_text()


def test_an_account_at_an_address_goes_by_the_jump_host(here: Way) -> None:
    done = here.run("ssh", *here.by_jump, "echo there; exit 3")
    assert (done.returncode, done.stdout) == (3, "there\n"), done.stderr
    assert here.logins() == 2


def test_a_host_that_the_jump_host_does_not_open_is_refused(here: Way) -> None:
    done = here.run("ssh", "git@nowhere.invalid", "true")
    assert done.returncode == 255
    assert "open failed" in done.stderr
    assert here.logins() == 1


def test_a_key_of_the_agent_s_own_does_not_stand_in_the_way(here: Way) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", here.folder / "mine"], check=True, timeout=30
    )
    done = here.run("ssh", "-i", "mine", "-o", "IdentitiesOnly=yes", here.name, "echo in")
    assert done.stdout == "in\n", done.stderr


def test_a_server_with_another_key_is_none(here: Way, tmp_path: Path) -> None:
    with openssh.sshd(tmp_path / "other") as other:
        done = here.run("ssh", "-o", "ProxyJump=none", "-p", str(other.port), "127.0.0.1", "true")
        assert done.returncode == 255
        assert "Host key verification failed" in done.stderr
        assert "Accepted" not in other.log.read_text()


@pytest.mark.parametrize("legacy", [[], ["-O"]])
def test_scp_both_ways(here: Way, legacy: list[str]) -> None:
    (here.folder / "from").write_bytes(bytes(range(256)) * 1000)
    script = (
        f"scp -q {' '.join(legacy)} from {here.name}:{here.folder}/there && "
        f"scp -q {' '.join(legacy)} -P {here.server.port} {here.server.user}@localhost:{here.folder}/there back"
    )
    done = here.run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert (here.folder / "back").read_bytes() == (here.folder / "from").read_bytes()
    assert here.logins() == 3


def test_sftp(here: Way) -> None:
    (here.folder / "batch").write_text(f"mkdir {here.folder}/made\n")
    done = here.run("sftp", "-q", "-b", "batch", here.name)
    assert done.returncode == 0, done.stderr
    assert (here.folder / "made").is_dir()


def test_git_clones_and_pushes(here: Way) -> None:
    url = f"ssh://{here.server.user}@localhost:{here.server.port}{here.folder}/bare.git"
    script = (
        f"set -e; git init -q --bare bare.git; git clone -q {url} work; cd work;"
        " git -c user.name=n -c user.email=e commit -q --allow-empty -m one; git push -q origin HEAD;"
        f" git ls-remote {here.name}:{here.folder}/bare.git | wc -l"
    )
    done = here.run("bash", "-c", script, GIT_SSH_COMMAND="/bin/false", GIT_SSH="/bin/false")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 2
    assert "replaced for the child, because it would go round the gateway: GIT_SSH_COMMAND" in done.stderr
    assert "unset for the child, because it would go round the gateway: GIT_SSH" in done.stderr


def test_an_agent_of_the_caller_s_is_replaced_and_its_keys_stay_outside(here: Way) -> None:
    script = 'ssh-add -L; test "$SSH_AUTH_SOCK" != /run/mine && test -z "$SSH_AGENT_PID"'
    done = here.run("sh", "-c", script, SSH_AUTH_SOCK="/run/mine", SSH_AGENT_PID="7")
    assert done.returncode == 0, done.stderr
    [certificate, key] = done.stdout.splitlines()
    assert certificate.startswith("ssh-ed25519-cert-v01@openssh.com ")
    [asked] = here.control.made("POST", "/v1/runs")
    assert key.removesuffix(" bodycam run") == asked.body["ssh_public_key"]
    assert "replaced for the child, because it would go round the gateway: SSH_AUTH_SOCK" in done.stderr
    assert "unset for the child, because it would go round the gateway: SSH_AGENT_PID" in done.stderr


@pytest.mark.parametrize("way_in", ["", "-o IdentitiesOnly=no"])
def test_a_renewed_certificate_lets_in_after_the_first_has_ended(tmp_path: Path, way_in: str) -> None:
    script = (
        "first=$(ssh-add -L | head -1); cut -d' ' -f1,2 $(dirname $SSH_AUTH_SOCK)/certificate.pub > before;"
        ' for i in $(seq 400); do test "$(ssh-add -L | head -1)" != "$first" && break; sleep 0.05; done;'
        " sleep 3; ssh-keygen -L -f before;"
        f" ssh {way_in} $1 echo in"
    )
    with way(tmp_path, lease=2.0) as here:
        done = here.run("sh", "-c", script, "sh", here.name)
        assert done.stdout.splitlines()[-1] == "in", done.stderr
        # which one it was: the first has number 1
        assert "(serial 2)" in here.server.log.read_text()
        assert "(serial 1)" not in here.server.log.read_text()


def test_the_key_is_worth_nothing_without_the_gateway_s_word(tmp_path: Path) -> None:
    with way(tmp_path) as here:
        (tmp_path / "server" / "user_ca.pub").write_text(SshAuthority().public_key)
        done = here.run("ssh", here.name, "true")
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


@pytest.mark.parametrize("missing", ["ssh_certificate", "ssh_host_key"])
def test_a_gateway_that_listens_and_gives_no_certificate_or_key_starts_nothing(
    here: Way, missing: str
) -> None:
    routes = here.control.routes
    if missing == "ssh_host_key":
        routes["GET /v1/gateway"] = {k: v for k, v in routes["GET /v1/gateway"].items() if k != missing}
    else:
        started = {
            "run": {"id": RUN, "expires": time.time() + 60},
            "credential": {"user": "u", "secret": "s"},
        }
        routes["POST /v1/runs"] = started
    done = here.run("touch", "started")
    assert done.returncode == 125
    assert missing.removeprefix("ssh_").split("_")[0] in done.stderr
    assert not (here.folder / "started").exists()
    assert "Traceback" not in done.stderr
