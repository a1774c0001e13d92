"""OpenSSH's clients under `bodycam run`, through a real gateway to a real server."""

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import openssh, stage

ACCOUNT = pwd.getpwuid(os.getuid()).pw_name


class Road:
    """A gateway with one SSH target, at which the server's own account is one of those that may be chosen."""

    def __init__(self, gateway: stage.Gateway, server: openssh.OpenSsh, folder: Path) -> None:
        self.gateway, self.server, self.folder = gateway, server, folder

    def run(self, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        return self.gateway.bodycam("run", "--agent", "billing-bot", *options, "--", *command)


def said_of(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.split("bodycam: run ")[1].split()[0]


@pytest.fixture(scope="module")
def road(sshd: openssh.OpenSsh) -> Iterator[Road]:
    web1 = {
        "protocol": "ssh",
        "address": f"127.0.0.1:{sshd.port}",
        "user": sshd.user,
        "private_key": {"file": str(sshd.key)},
        "host_keys": [" ".join(sshd.host_key.split()[:2])],
    }
    with stage.gateway({"web1": web1}, listen={"ssh": f"127.0.0.1:{stage.free_port()}"}) as gateway:
        yield Road(gateway, sshd, gateway.folder)


@pytest.mark.parametrize(
    "named",
    [
        ["web1"],
        ["bodycam@web1"],
        [f"{ACCOUNT}@web1"],
        ["-p", "22", f"{ACCOUNT}@web1"],
        ["-p", "22", "web1"],
        ["-p", "{port}", "127.0.0.1"],
        ["-p", "{port}", f"{ACCOUNT}@127.0.0.1"],
    ],
)
def test_a_target_is_reached_however_it_is_named(road: Road, named: list[str]) -> None:
    arguments = [one.format(port=road.server.port) for one in named]
    done = road.run("ssh", *arguments, "printf '%s|' out 'a  b'; echo err >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "out|a  b|"), done.stderr
    assert done.stderr.splitlines()[0] == "err"

    [listed] = road.gateway.api("GET", f"/v1/sessions?run={said_of(done)}").json()["sessions"]
    assert (listed["target"], listed["agent"]) == ("web1", "billing-bot")


@pytest.mark.parametrize(
    "arguments",
    [
        ["git@nowhere.example"],
        ["nowhere.example"],
        ["-p", "22", "root@127.0.0.1"],
        ["nobody-of-the-settings@web1"],
        ["-o", "ProxyCommand=none", "nowhere@web1@127.0.0.1", "-p", "{gateway}"],
    ],
)
def test_what_no_target_is_is_refused_and_on_the_record(road: Road, arguments: list[str]) -> None:
    port = road.gateway.api("GET", "/v1/gateway?agent=billing-bot").json()["listeners"]["ssh"]["port"]
    done = road.run(
        "ssh", *[one.format(gateway=port) for one in arguments], "touch", str(road.folder / "reached")
    )
    assert done.returncode == 255
    assert "Permission denied" in done.stderr
    assert not (road.folder / "reached").exists()
    listed = road.gateway.api("GET", f"/v1/sessions?run={said_of(done)}").json()["sessions"]
    assert {one["outcome"] for one in listed} == {"failed"}


def test_files_by_scp_and_sftp(road: Road, tmp_path: Path) -> None:
    (tmp_path / "from").write_bytes(bytes(range(256)) * 1000)
    script = (
        f"set -e; scp -q {tmp_path}/from web1:{tmp_path}/new; scp -qO {ACCOUNT}@web1:{tmp_path}/new {tmp_path}/old;"
        f" echo 'rename {tmp_path}/old {tmp_path}/back' | sftp -q -b - {ACCOUNT}@web1"
    )
    done = road.run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "from").read_bytes()


def test_git_over_ssh(road: Road, tmp_path: Path) -> None:
    script = (
        f"set -e; cd {tmp_path}; git init -q --bare bare.git; git clone -q web1:{tmp_path}/bare.git work; cd work;"
        " git -c user.name=n -c user.email=e commit -q --allow-empty -m one; git push -q origin HEAD;"
        f" git ls-remote ssh://{ACCOUNT}@web1{tmp_path}/bare.git | wc -l"
    )
    done = road.run("bash", "-c", script)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 2


@pytest.mark.parametrize("user", ["", ACCOUNT])
def test_asyncssh_finds_it_in_a_private_home(road: Road, user: str) -> None:
    program = (
        "import asyncio, asyncssh, sys\n"
        "async def go():\n"
        "    named = {'username': sys.argv[1]} if sys.argv[1] else {}\n"
        "    async with asyncssh.connect('web1', **named) as connection:\n"
        "        print((await connection.run('echo in', check=True)).stdout, end='')\n"
        "asyncio.run(go())\n"
    )
    done = road.run(sys.executable, "-c", program, user, options=("--private-home",))
    assert (done.returncode, done.stdout) == (0, "in\n"), done.stderr
