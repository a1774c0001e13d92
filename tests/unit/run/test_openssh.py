"""The binding of OpenSSH's clients: what the real ssh makes of the configuration, and the programs in PATH."""

import os
import signal
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from bodycam.protocols.ssh.algorithms import ENCRYPTION
from bodycam.run.binding import Credential, Situation
from bodycam.run.bound import private_home
from bodycam.run.environment import detours
from bodycam.run.failure import RunFailure
from bodycam.run.gateway import Listener, Reachable
from bodycam.run.openssh import BINDING
from bodycam.run.private_folder import PrivateFolder
from bodycam.run.ssh_identity import SshIdentity
from tests.ssh_authority import SshAuthority

AUTHORITY = SshAuthority()
HOST_KEY = AUTHORITY.public_key
GATEWAY = Listener("gateway.internal", 7022, tls=False)
TARGETS = (
    Reachable("web1", "ssh", ("web1.internal:22",)),
    Reachable("odd", "ssh", ("odd.internal:2222",)),
    # two behind one address
    Reachable("left", "ssh", ("10.0.0.9:22",)),
    Reachable("right", "ssh", ("10.0.0.9:2200",)),
    Reachable("orders", "postgres", ("db.internal:5432",)),
)


class Bound:
    """What a binding made, and what a child does with it."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.variables = BINDING.make(situation)
        self.environ = {**situation.environ, **self.variables}

    @property
    def folder(self) -> Path:
        return self.situation.folder.path

    def child(self, *command: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            ["/usr/bin/env", *command],
            env=self.environ,
            capture_output=True,
            timeout=30,
            check=False,
            **options,
        )

    def asked(self, *arguments: str) -> dict[str, str]:
        """What the real ssh would do with these arguments, by its option -G."""
        done = self.child("ssh", "-G", *arguments)
        assert done.returncode == 0, done.stderr
        return dict(line.split(" ", 1) for line in done.stdout.decode().splitlines() if " " in line)


@pytest.fixture
def folder() -> Iterator[PrivateFolder]:
    with PrivateFolder() as folder:
        yield folder


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def situation(folder: PrivateFolder, stack: ExitStack, path: str | None = None) -> Situation:
    identity = SshIdentity()
    line = AUTHORITY.vouch(identity.public_key, "run_x")
    files = identity.put(folder, {"ssh_certificate": {"line": line}}, stack)
    return Situation(
        "bot",
        GATEWAY,
        None,
        Credential("run_x", "bcr_secret"),
        "",
        folder,
        environ={"PATH": os.environ["PATH"] if path is None else path},
        targets=TARGETS,
        ssh=files,
        ssh_host_key=HOST_KEY,
    )


@pytest.fixture
def bound(folder: PrivateFolder, stack: ExitStack) -> Bound:
    return Bound(situation(folder, stack))


DIRECT = ("gateway.internal", "7022", None)


@pytest.mark.parametrize(
    ("arguments", "user", "way"),
    [
        # without an account: at the gateway itself, for the account in the target's settings
        (["web1"], "bodycam@web1", DIRECT),
        (["web1.internal"], "bodycam@web1", DIRECT),
        (["odd"], "bodycam@odd", DIRECT),
        (["10.0.0.9"], "bodycam", ("10.0.0.9", "22", "bodycam-gateway")),
        # with one, or with a port, by the jump host
        (["deploy@web1"], "deploy", ("web1", "22", "bodycam-gateway")),
        (["-l", "deploy", "web1"], "deploy", ("web1", "22", "bodycam-gateway")),
        (["-o", "User=deploy", "web1"], "deploy", ("web1", "22", "bodycam-gateway")),
        (["ssh://deploy@web1.internal"], "deploy", ("web1.internal", "22", "bodycam-gateway")),
        (["web1@web1"], "web1", ("web1", "22", "bodycam-gateway")),
        (["-p", "22", "web1"], "bodycam@web1", ("web1", "22", "bodycam-gateway")),
        (["-p", "2222", "odd.internal"], "bodycam", ("odd.internal", "2222", "bodycam-gateway")),
        (["-p", "2222", "root@odd.internal"], "root", ("odd.internal", "2222", "bodycam-gateway")),
        # what only the gateway can tell
        (["root@10.0.0.9"], "root", ("10.0.0.9", "22", "bodycam-gateway")),
        (["git@nowhere.example"], "git", ("nowhere.example", "22", "bodycam-gateway")),
        (["app@db.internal"], "app", ("db.internal", "22", "bodycam-gateway")),
        # the gateway itself
        (["bodycam-gateway"], "jump", DIRECT),
        (["-p", "7022", "deploy@web1@gateway.internal"], "deploy@web1", DIRECT),
        (["root@gateway.internal"], "root", ("gateway.internal", "22", "bodycam-gateway")),
    ],
)
def test_every_host_leads_to_the_gateway(
    bound: Bound, arguments: list[str], user: str, way: tuple[str, str, str | None]
) -> None:
    asked = bound.asked(*arguments)
    assert asked["user"] == user
    assert (asked["hostname"], asked["port"], asked.get("proxyjump")) == way


@pytest.mark.parametrize("host", ["web1", "deploy@web1", "nowhere.example", "bodycam-gateway"])
def test_nothing_but_the_gateway_s_key_and_the_run_s_identity_counts(bound: Bound, host: str) -> None:
    asked, ssh = bound.asked(host), bound.folder / "ssh"
    expected = {
        "hostkeyalias": "bodycam-gateway",
        "userknownhostsfile": str(ssh / "known_hosts"),
        "globalknownhostsfile": "none",
        "stricthostkeychecking": "true",
        "updatehostkeys": "false",
        "identityagent": str(ssh / "agent"),
        "identityfile": str(ssh / "key.pub"),
        "identitiesonly": "yes",
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "forwardagent": "no",
        "controlmaster": "false",
        "ciphers": ",".join(ENCRYPTION),
    }
    assert {name: asked[name] for name in expected} == expected
    assert not {"sendenv", "certificatefile"} & set(asked)
    assert "controlpath" not in asked


@pytest.mark.parametrize(
    "name", ["bodycam-gateway", "[gateway.internal]:7022", "web1", "web1.internal", "anything.example"]
)
def test_the_gateway_s_key_is_known_under_every_name(bound: Bound, name: str) -> None:
    known = bound.folder / "ssh" / "known_hosts"
    found = bound.child("ssh-keygen", "-F", name, "-f", str(known))
    assert HOST_KEY in found.stdout.decode()
    assert len(known.read_text().splitlines()) == 1


def test_what_starts_ssh_by_itself_is_told_the_real_one_and_the_file(bound: Bound) -> None:
    command = f"/usr/bin/ssh -F {bound.folder}/ssh/config"
    assert {name: value for name, value in bound.variables.items() if value == command} == dict.fromkeys(
        ("GIT_SSH_COMMAND", "RSYNC_RSH", "SVN_SSH"), command
    )
    assert bound.variables["ANSIBLE_SSH_EXECUTABLE"] == "/usr/bin/ssh"
    assert bound.variables["ANSIBLE_SSH_ARGS"] == f"-F {bound.folder}/ssh/config"
    assert bound.variables["SSH_AUTH_SOCK"] == f"{bound.folder}/ssh/agent"
    assert bound.variables["AUTOSSH_PATH"] == f"{bound.folder}/bin/ssh"


def test_no_secret_is_in_a_file_or_a_variable(bound: Bound) -> None:
    files = [one for one in bound.folder.rglob("*") if one.is_file()]
    assert len(files) > 5
    for text in [*(one.read_text() for one in files), *bound.variables.values()]:
        assert "bcr_secret" not in text
        assert "PRIVATE KEY" not in text
    assert {stat.S_IMODE(one.stat().st_mode) for one in files} == {0o600, 0o700}


def test_a_private_home_has_both_files(bound: Bound) -> None:
    home = Path(private_home(bound.situation.folder, [(BINDING, bound.situation)])["HOME"])
    for name in ("config", "known_hosts"):
        assert (home / ".ssh" / name).read_text() == (bound.folder / "ssh" / name).read_text()
    assert stat.S_IMODE((home / ".ssh").stat().st_mode) == 0o700


def test_agents_and_commands_of_the_caller_s_are_named() -> None:
    environ = {
        "SSH_AUTH_SOCK": "/a",
        "SSH_AGENT_PID": "1",
        "GIT_SSH": "x",
        "RSYNC_RSH": "ssh -F mine",
        "PGSERVICE": "x",
    }
    assert detours(environ, ["ssh"]) == ["SSH_AUTH_SOCK", "SSH_AGENT_PID", "GIT_SSH", "RSYNC_RSH"]


# ----------------------------------------------------------------------------------- programs before the real ones


def real(folder: Path, script: str, *names: str) -> str:
    """A PATH whose programs of these names are this script."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text(script)
        (folder / name).chmod(0o755)
    return f"{folder}:/usr/bin:/bin"


TELL = '#!/bin/sh\nprintf "%s\\0" "$0" "$@"\n'


@pytest.mark.parametrize("name", ["ssh", "slogin", "scp", "sftp"])
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["host", "echo  two   spaces", "\"quoted\" 'single'", "$HOME `id` $(id) \\ *"],
        ["-o", "ProxyCommand=a b", "--", "host", "--", "-F", ""],
        ["line\nbreak\n", "\ttab", "ünïcode", " "],
    ],
)
def test_arguments_arrive_as_they_were_given(
    folder: PrivateFolder, stack: ExitStack, tmp_path: Path, name: str, arguments: Sequence[str]
) -> None:
    path = real(tmp_path / "it's real", TELL, "ssh", "slogin", "scp", "sftp")
    bound = Bound(situation(folder, stack, path))
    said = bound.child(name, *arguments).stdout.decode().split("\0")[:-1]
    assert said == [str(tmp_path / "it's real" / name), "-F", f"{folder.path}/ssh/config", *arguments]


def test_git_takes_a_real_ssh_with_a_strange_path(
    folder: PrivateFolder, stack: ExitStack, tmp_path: Path
) -> None:
    path = real(
        tmp_path / "it's real", f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/said\nexit 1\n", "ssh"
    )
    bound = Bound(situation(folder, stack, path))
    bound.child("git", "ls-remote", "ssh://git@nowhere.example:2200/a b")
    assert (tmp_path / "said").read_text().splitlines()[:2] == ["-F", f"{folder.path}/ssh/config"]
    assert "git-upload-pack '/a b'" in (tmp_path / "said").read_text()


def test_input_and_exit_codes_pass(folder: PrivateFolder, stack: ExitStack, tmp_path: Path) -> None:
    bound = Bound(situation(folder, stack, real(tmp_path / "real", "#!/bin/sh\ncat\nexit 37\n", "ssh")))
    done = bound.child("ssh", "x", input=b"\0in\xff")
    assert (done.returncode, done.stdout) == (37, b"\0in\xff")
    assert Bound.child(bound, "sh", "-c", "ssh x; echo $?").stdout == b"37\n"


def test_a_signal_reaches_the_real_program_itself(
    folder: PrivateFolder, stack: ExitStack, tmp_path: Path
) -> None:
    script = f"#!/bin/sh\ntrap 'exit 9' TERM\ntouch {tmp_path}/ready\nwhile :; do sleep 0.05; done\n"
    bound = Bound(situation(folder, stack, real(tmp_path / "real", script, "ssh")))
    with subprocess.Popen(["/usr/bin/env", "ssh"], env=bound.environ) as process:
        deadline = time.monotonic() + 30
        while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 9


def test_only_programs_that_are_there_are_stood_before(
    folder: PrivateFolder, stack: ExitStack, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    bound = Bound(situation(folder, stack, str(empty)))
    assert list(bound.variables) == ["SSH_AUTH_SOCK"]
    assert not (folder.path / "bin").exists()


@pytest.mark.parametrize("name", ["with space", "with'quote", "with%h", "with$HOME"])
def test_a_folder_whose_path_clients_would_misread_is_told(
    stack: ExitStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / name))
    with PrivateFolder() as folder, pytest.raises(RunFailure) as caught:
        Bound(situation(folder, stack))
    assert "TMPDIR" in caught.value.hint


def test_a_folder_from_which_no_program_starts_is_told(
    folder: PrivateFolder, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as a file system that is mounted noexec answers
    ready = situation(folder, stack)
    monkeypatch.setattr("os.access", lambda path, mode: not str(path).startswith(str(folder.path)))
    with pytest.raises(RunFailure, match="no program can be started") as caught:
        BINDING.make(ready)
    assert "noexec" in caught.value.hint
