"""A provider's token or a run credential as an SSH password: OpenSSH's client, paramiko and asyncssh, in both dialogues."""

import os
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncssh
import paramiko
import pytest

from bodycam.protocols.ssh.client import OPENSSH_LONGEST
from tests import openssh, stage
from tests.interop.key_sets import AGENTS, Provider
from tests.interop.raw import sessions, until
from tests.interop.ssh_road import Road, recorded, road, target

DIALOGUES = ["password", "keyboard-interactive"]


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    one = Provider()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh, provider: Provider) -> Iterator[Road]:
    with road({"web1": target(sshd)}, identity=provider.identity(), agents=AGENTS, workers=2) as one:
        yield one


class Asker:
    """OpenSSH's client, with a program that answers for it what it asks for; or a terminal at which a test types."""

    def __init__(self, way: Road, folder: Path) -> None:
        (folder / "known_hosts").write_text(f"* {way.host_key}\n")
        self._program = folder / "answer"
        self._program.write_text('#!/bin/sh\nprintf "%s" "$ANSWER"\nprintf "%s\\n" "$1" >> "$0.asked"\n')
        self._program.chmod(0o700)
        self._options = {
            "Port": way.port, "HostName": "127.0.0.1", "UserKnownHostsFile": folder / "known_hosts",
            "GlobalKnownHostsFile": "/dev/null", "StrictHostKeyChecking": "yes", "IdentityAgent": "none",
            "PubkeyAuthentication": "no", "NumberOfPasswordPrompts": "1", "ConnectTimeout": "30",
        }  # fmt: skip

    def command(self, user: str, dialogue: str, *asked: str) -> list[str]:
        options = [f"-o{name}={value}" for name, value in self._options.items()]
        return ["ssh", "-F", "none", *options, f"-oPreferredAuthentications={dialogue}", "-l", user, "gateway", *asked]  # fmt: skip

    def environment(self, secret: str) -> Mapping[str, str]:
        own = {"SSH_ASKPASS": str(self._program), "SSH_ASKPASS_REQUIRE": "force", "ANSWER": secret}
        return stage.clean_environment() | own

    def ssh(self, user: str, secret: str, dialogue: str, *asked: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(user, dialogue, *asked), env=self.environment(secret), stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60, check=False, start_new_session=True,
        )  # fmt: skip

    def asked(self) -> str:
        """The prompts so far."""
        return self._program.with_suffix(".asked").read_text()


@pytest.fixture
def asker(way: Road, tmp_path: Path) -> Asker:
    return Asker(way, tmp_path)


def failed(way: Road) -> list[dict[str, Any]]:
    events = way.gateway.api("GET", "/v1/audit?limit=1000").json()["events"]
    return [one for one in events if one["action"] == "login-failed"]


def run_of(way: Road, principal: str) -> str:
    """The youngest run of somebody."""
    listed = way.gateway.api("GET", f"/v1/runs?principal={principal}&limit=1").json()["runs"]
    return str(listed[0]["id"])


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_a_jobs_token_is_a_run_with_both_names(
    way: Road, asker: Asker, provider: Provider, dialogue: str
) -> None:
    token = provider.token("ci", jti=f"job by {dialogue}", exp=time.time() + 900)
    assert len(token) <= OPENSSH_LONGEST
    for n in (3, 4):
        done = asker.ssh("web1", token, dialogue, f"echo in; exit {n}")
        assert (done.returncode, done.stdout, done.stderr) == (n, b"in\n", b"")
    assert "assword:" in asker.asked()
    run = run_of(way, "job-7@ci")
    shown = way.gateway.api("GET", f"/v1/runs/{run}").json()["run"]
    assert (shown["principal"], shown["agent"], shown["state"]) == ("job-7@ci", "billing-bot", "active")
    assert abs(shown["expires"] - (time.time() + 900)) < 60

    way.gateway.end(stage.Credential(run, "", {}))
    # whoever comes twice with one token is one run
    assert [(one["principal"], one["agent"], one["outcome"]) for one in sessions(way.gateway, run)] == [
        ("job-7@ci", "billing-bot", "ended")
    ] * 2
    assert [one.only.tag for one in recorded(way.gateway, run)] == ["exit 3", "exit 4"]
    # what is ended stays so, whoever still has the token
    again = asker.ssh("web1", token, dialogue, "true")
    assert again.returncode == 255
    assert b"has ended, expired or been revoked" in again.stderr


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_a_person_names_the_agent_in_the_user_name_and_is_cut_when_revoked(
    way: Road, asker: Asker, provider: Provider, dialogue: str
) -> None:
    token = provider.token("people", jti=f"person by {dialogue}")
    client = subprocess.Popen(
        asker.command("billing-bot/web1", dialogue, "echo in; exec sleep 100"), env=asker.environment(token),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True, bufsize=0,
    )  # fmt: skip
    assert client.stdout is not None
    assert client.stdout.readline() == b"in\n"
    run = run_of(way, "ann@people")
    (open_,) = until(lambda: sessions(way.gateway, run), "the session in the list")
    assert (open_["principal"], open_["agent"], open_["target"]) == ("ann@people", "billing-bot", "web1")
    revoked = way.gateway.api("POST", f"/v1/runs/{run}/revoke", json={"reason": "enough"})
    assert revoked.status_code == 200, revoked.text
    _, said = client.communicate(timeout=60)
    assert (client.returncode, b"the run was revoked: enough" in said) == (255, True), said
    again = asker.ssh("billing-bot/web1", token, dialogue, "true")
    assert (again.returncode, b"has ended, expired or been revoked" in again.stderr) == (255, True)


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_the_run_credential_is_a_password_too(way: Road, asker: Asker, dialogue: str) -> None:
    traveller = way.traveller()
    done = asker.ssh("web1", traveller.secret, dialogue, "cat; exit 5")
    assert (done.returncode, done.stderr) == (5, b"")
    (session,) = traveller.end()
    assert (session.target["name"], session.only.tag) == ("web1", "exit 5")
    again = asker.ssh("web1", traveller.secret, dialogue, "true")
    assert (again.returncode, b"has ended, expired or been revoked" in again.stderr) == (255, True)


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_a_token_is_typed_at_a_terminal(way: Road, asker: Asker, provider: Provider, dialogue: str) -> None:
    token = provider.token("people", jti=f"typed by {dialogue}")
    keyboard, terminal = os.openpty()
    command = ["setsid", "--ctty", "--wait", *asker.command("billing-bot/web1", dialogue, "echo made it")]
    client = subprocess.Popen(
        command, env=stage.clean_environment(), stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    seen, typed = b"", False
    while select.select([keyboard], [], [], 60)[0]:
        try:
            seen += os.read(keyboard, 4096)
        except OSError:  # nobody has the terminal any more
            break
        if b"assword:" in seen and not typed:
            typed = True
            os.write(keyboard, token.encode() + b"\n")
    os.close(keyboard)
    assert (client.wait(10), b"made it" in seen, token.encode() in seen) == (0, True, False), seen


def test_what_proves_nobody_is_told_in_a_banner_and_counted_with_its_reason(
    way: Road, asker: Asker, provider: Provider
) -> None:
    now = time.time()
    table: list[tuple[str, str, str, str]] = [
        (provider.token("people", exp=now - 1), "billing-bot/web1", "the token has expired", "token-expired"),
        (provider.token("people", aud="else"), "billing-bot/web1", "the token is not valid", "token-audience"),
        (provider.token("people")[:-8] + "AAAAAAAA", "billing-bot/web1", "is not valid", "token-signature"),
        (provider.token("people", iss="http://x"), "billing-bot/web1", "the token is not valid", "token-issuer"),
        (provider.token("ci", repository="evil/x"), "web1", "no workload with these claims", "token-no-workload"),
        (provider.token("people"), "web1", "ann@people must say which agent", "token-no-agent"),
        (provider.token("people"), "idle-bot/web1", "may not start agent 'idle-bot'", "may-not-start"),
        (provider.token("ci"), "idle-bot/web1", "may not start agent 'idle-bot'", "may-not-start"),
        (provider.token("dead"), "web1", "identity provider can't be reached", "provider-away"),
        ("bcr_run_x_y", "web1", "not valid", "bad-credential"),
        ("hunter2", "web1", "not valid", "bad-credential"),
    ]  # fmt: skip
    for n, (secret, user, message, _) in enumerate(table):
        done = asker.ssh(user, secret, DIALOGUES[n % 2], "echo never")
        said = done.stderr.decode()
        assert (done.returncode, done.stdout) == (255, b"")
        lines = [line for line in said.splitlines() if line.startswith("bodycam: ")]
        assert message in lines[0], said
        assert len(lines) > 1, "what to do about it"
        assert secret.rpartition(".")[2] not in said
    wanted = {reason for *_, reason in table}
    until(lambda: wanted <= {one["detail"]["reason"] for one in failed(way)}, "the reasons in the audit", 25)
    # nobody known, and so no session
    listed = way.gateway.api("GET", "/v1/sessions?limit=1000").json()["sessions"]
    assert [one for one in listed if one["opened"] > now] == []


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_a_token_that_openssh_cuts_is_refused_with_the_reason(
    way: Road, asker: Asker, provider: Provider, dialogue: str
) -> None:
    token = provider.token("people", groups=["devs", *(f"group-{n}" for n in range(40))])
    assert len(token) > OPENSSH_LONGEST
    done = asker.ssh("billing-bot/web1", token, dialogue, "true")
    assert done.returncode == 255
    assert b"the token is not valid" in done.stderr
    assert b"It came with 1023 characters, and OpenSSH's client cuts passwords there" in done.stderr


@pytest.mark.parametrize("dialogue", DIALOGUES)
def test_paramiko_gets_in_by_a_token(way: Road, provider: Provider, dialogue: str) -> None:
    # longer than OpenSSH's client would take
    token = provider.token(
        "people", jti=f"paramiko by {dialogue}", groups=["devs", *(f"group-{n}" for n in range(300))]
    )
    assert len(token) > 3 * OPENSSH_LONGEST
    transport = paramiko.Transport(("127.0.0.1", way.port))
    try:
        transport.start_client(timeout=30)
        with pytest.raises(paramiko.AuthenticationException):
            login(transport, dialogue, provider.token("people", exp=1))
        assert "the token has expired" in str(transport.get_banner())
        assert login(transport, dialogue, token) == []
        channel = transport.open_session(timeout=30)
        channel.exec_command("echo by paramiko; exit 7")
        assert channel.makefile().read() == b"by paramiko\n"
        assert channel.recv_exit_status() == 7
    finally:
        transport.close()
    run = run_of(way, "ann@people")
    way.gateway.end(stage.Credential(run, "", {}))
    assert [one.only.tag for one in recorded(way.gateway, run)] == ["exit 7"]


def login(transport: paramiko.Transport, dialogue: str, token: str) -> list[str]:
    if dialogue == "password":
        return transport.auth_password("billing-bot/web1", token, fallback=False)
    return transport.auth_interactive("billing-bot/web1", lambda _title, _words, asked: [token] * len(asked))


@pytest.mark.parametrize("dialogue", DIALOGUES)
async def test_asyncssh_gets_in_by_a_token(way: Road, provider: Provider, dialogue: str) -> None:
    token = provider.token("ci", jti=f"asyncssh by {dialogue}")
    async with asyncssh.connect(
        "127.0.0.1", way.port, username="web1", password=token, known_hosts=None, config=None, agent_path=None,
        client_keys=None, preferred_auth=dialogue, login_timeout=30,
    ) as ssh:  # fmt: skip
        done = await ssh.run("echo by asyncssh; exit 8")
    assert (done.exit_status, done.stdout) == (8, "by asyncssh\n")
    run = run_of(way, "job-7@ci")
    way.gateway.end(stage.Credential(run, "", {}))
    assert [one.only.tag for one in recorded(way.gateway, run)] == ["exit 8"]


def test_no_token_and_no_credential_is_anywhere_at_rest(way: Road, asker: Asker, provider: Provider) -> None:
    token = provider.token("ci", jti="at rest")
    assert asker.ssh("web1", token, "keyboard-interactive", "true").returncode == 0
    assert asker.ssh("web1", token[:-4] + "AAAA", "password", "true").returncode == 255
    way.gateway.end(stage.Credential(run_of(way, "job-7@ci"), "", {}))
    _, payload, signature = token.encode().split(b".")
    looked = 0
    for file in way.gateway.folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            looked += 1
            content = file.read_bytes()
            assert payload not in content, file
            assert signature[:40] not in content, file
    assert looked > 10
