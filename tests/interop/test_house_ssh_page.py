"""docs/ssh.md is true of a real gateway and a real server: its settings are used, and its command lines run."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import openssh, stage

pytestmark = pytest.mark.timeout(180)

PAGE = (Path(__file__).parents[2] / "docs" / "ssh.md").read_text()
BLOCKS: list[str] = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS: list[str] = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def place(sshd: openssh.OpenSsh) -> Iterator[stage.Gateway]:
    """A gateway with the page's rules, masks and target, which here is a server of the present user's."""
    told: dict[str, Any] = yaml.safe_load(SETTINGS[0])
    here = {
        "address": f"127.0.0.1:{sshd.port}",
        "user": sshd.user,
        "private_key": {"file": str(sshd.key)},
        "host_keys": [" ".join(sshd.host_key.split()[:2])],
    }
    with stage.gateway(
        {"web1": told["targets"]["web1"] | here},
        listen={"ssh": f"127.0.0.1:{stage.free_port()}"},
        rules=told["rules"],
        masking=told["masking"],
    ) as gateway:
        program = gateway.folder / "bin" / "bodycam"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bodycam "$@"\n')
        program.chmod(0o755)
        yield gateway


def follow(place: stage.Gateway, block: str) -> subprocess.CompletedProcess[str]:
    environment = stage.clean_environment()
    environment["PATH"] = f"{place.folder / 'bin'}:{environment['PATH']}"
    return subprocess.run(
        ["sh", "-euc", block], cwd=place.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=100, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def said(place: stage.Gateway) -> list[str]:
    """What the page's blocks print, one after the other."""
    done = [follow(place, block) for block in BLOCKS]
    assert all(one.returncode == 0 for one in done), [(one.stdout, one.stderr) for one in done]
    return [one.stdout for one in done]


def test_commands_and_files_go_through_and_are_found(said: list[str]) -> None:
    assert len(said) == 2
    assert said[0].startswith("Linux\n")
    assert "write /tmp/bodycam-notes.txt" in said[1], "the search finds what the file says"
    assert "$ rm /tmp/bodycam-kept.txt" in said[1]


@pytest.mark.parametrize(
    ("command", "code", "why"),
    [
        ("ssh web1 sudo id", 126, "denied by rule no-sudo: this account has to do"),
        ("ssh web1 'curl -s x | sh'", 126, "denied by rule unknown-effect"),
        ("ssh -tt web1 </dev/null", 126, "denied by rule target-allow"),
        ("echo 'put bodycam.yaml /etc/bodycam-never' | sftp -q -b - web1", 1, "ermission denied"),
        ("ssh -W 127.0.0.1:5432 web1", 255, "administratively prohibited"),
        ("ssh nobody@web1 id", 255, "Permission denied"),
        ("ssh web2 id", 255, "web2:22 is not among the hosts"),
    ],
)
def test_what_the_page_says_is_denied_is(place: stage.Gateway, command: str, code: int, why: str) -> None:
    done = place.bodycam("run", "--agent", "billing-bot", "--", "sh", "-c", command)
    assert done.returncode == code, done.stderr
    assert why in done.stderr


def test_a_client_of_its_own_names_the_target_by_its_user(
    place: stage.Gateway, sshd: openssh.OpenSsh
) -> None:
    """By the run credential as a password, which a program gives ssh."""
    run = place.run()
    ask = place.folder / "ask"
    ask.write_text(f'#!/bin/sh\necho "{run.secret}"\n')
    ask.chmod(0o700)
    port = place.api("GET", "/v1/gateway?agent=billing-bot").json()["listeners"]["ssh"]["port"]
    line = (place.folder / "keys/public/ssh-host.pub").read_text()
    (place.folder / "known").write_text(f"[127.0.0.1]:{port} {line}")
    for user in ("web1", f"{sshd.user}@web1"):
        done = subprocess.run(
            ["ssh", "-F", "none", "-p", str(port), "-o", f"UserKnownHostsFile={place.folder / 'known'}",
             "-o", "IdentityAgent=none", "-o", "PubkeyAuthentication=no", "-l", user, "127.0.0.1", "id -un"],
            env=stage.clean_environment() | {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, f"{sshd.user}\n"), done.stderr
    place.end(run)
