"""OpenSSH's client through a real gateway to a real server: what it sees is what it sees without one."""

import asyncio
import contextlib
import fcntl
import hashlib
import os
import random
import select
import socket
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest

from tests import openssh
from tests.interop.raw import until
from tests.interop.ssh_road import EVERYTHING, Recorded, Road, Traveller, forwarding, road, target

BULK = 20_000_000


TARGET_PASSWORD = "target-password-0815"


@contextlib.contextmanager
def by_password(host_key: Path) -> Iterator[int]:
    """A server that lets in by a password alone, asked for by itself or in a dialogue; its port."""
    loop = asyncio.new_event_loop()

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("app", TARGET_PASSWORD)

    def program(process: asyncssh.SSHServerProcess[str]) -> None:
        process.stdout.write(f"{process.get_extra_info('username')} ran {process.command}\n")
        process.exit(5)

    started = asyncssh.listen(
        "127.0.0.1", 0, server_factory=Server, server_host_keys=[str(host_key)], process_factory=program,
        public_key_auth=False, config=[],
    )  # fmt: skip
    server = loop.run_until_complete(started)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.get_port()
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def way(sshd: openssh.OpenSsh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    folder = tmp_path_factory.mktemp("logins")
    settings = [f"TrustedUserCAKeys {folder}/ca.pub", "AuthorizedKeysFile none"]
    with (
        openssh.sshd(folder / "trusting", settings=settings) as trusting,
        by_password(sshd.folder / "host") as port,
    ):
        for kind in ("ecdsa", "rsa"):
            make = ["ssh-keygen", "-q", "-t", kind, "-m", "PEM", "-N", "", "-f", folder / kind]
            subprocess.run(make, stdin=subprocess.DEVNULL, check=True, timeout=60)
            with (sshd.folder / "authorized_keys").open("a") as file:
                file.write((folder / f"{kind}.pub").read_text())
        unkeyed = {"private_key": None}
        targets = {
            "web1": target(sshd),
            "open": target(sshd, address=f"localhost:{sshd.port}", allow=EVERYTHING),
            **{
                f"by-{kind}": target(
                    sshd, address=f"localhost:{sshd.port}", private_key={"file": str(folder / kind)}
                )
                for kind in ("ecdsa", "rsa")
            },
            "issued": {**target(trusting, issued_certificate=True), **unkeyed},
            "password": {
                **target(sshd, address=f"127.0.0.1:{port}", user="app", password={"env": "TARGET_PASSWORD"}),
                **unkeyed,
            },
        }
        named = {
            name: {key: value for key, value in one.items() if value is not None}
            for name, one in targets.items()
        }
        with road(named, environment={"TARGET_PASSWORD": TARGET_PASSWORD}) as one:
            (folder / "ca.pub").write_bytes(
                (one.gateway.folder / "keys" / "public" / "target-ssh-ca.pub").read_bytes()
            )
            yield one


@pytest.fixture
def traveller(way: Road) -> Traveller:
    return way.traveller()


def bulk() -> bytes:
    """Every byte there is, in no order that could be compressed or come about by chance."""
    return bytes(range(256)) + random.Random(7).randbytes(BULK - 512) + bytes(range(256))


# -- programs ------------------------------------------------------------------------------------------

COMMANDS: Sequence[tuple[str, bytes | None]] = [
    ("true", None),
    ("exit 3", None),
    ("exit 255", None),
    ("echo out; echo err >&2", None),
    ("printf 'no end of line'; printf 'none here' >&2; exit 1", None),
    ("kill -TERM $$", None),
    ("kill -KILL $$", None),
    ("echo before; kill -SEGV $$", None),
    ("printf '\\0\\1\\377\\r\\n'", None),
    ("no-such-program-anywhere --flag", None),
    ("echo \"a'b\" 'c\"d' '*' \\\\ \\$HOME", None),
    ("echo \"$GREETING\"", None),
    ("wc -c; echo read", b"x" * 300_000),
    ("head -c 5", b"more than it reads\n" * 10_000),
    ("cat; exit 9", b"in and out"),
    ("seq 1 60000; seq 1 60000 >&2", None),
    ("exec >&-; echo late >&2; exit 5", None),
    ("exec >&- 2>&-; sleep 1; exit 7", None),
    ("exec >&- 2>&- <&-; sleep 1; exit 7", b"x" * 100_000),
    ("exec >&- 2>&-; cat >/dev/null; sleep 1; exit 6", b"x" * 100_000),
    ("exec >&- 2>&-; sleep 1; kill -9 $$", None),
    ("(sleep 3)& exec >&- 2>&-; exit 8", None),
    ("echo héllo wörld ☃; printf '\\351\\n'", None),
    ("tty", None),
    ("", b"echo by a shell that reads it\nexit 4\n"),
]  # fmt: skip


def test_a_table_of_commands_does_the_same_as_without_a_gateway(
    traveller: Traveller, sshd: openssh.OpenSsh
) -> None:
    direct = ["ssh", "-F", str(sshd.config), "-o", "SetEnv=GREETING=hallo", "server"]
    by_us = traveller.command("ssh", "open", SetEnv="GREETING=hallo")

    def both(asked: tuple[str, bytes | None]) -> list[tuple[int, bytes, bytes]]:
        command, said = asked
        done = [traveller.do([*ssh, command] if command else ssh, said) for ssh in (direct, by_us)]
        return [(one.returncode, one.stdout, one.stderr) for one in done]

    with ThreadPoolExecutor(6) as pool:
        for (command, _), (alone, through) in zip(COMMANDS, pool.map(both, COMMANDS), strict=True):
            assert through == alone, command

    told = {session.only.text: session.only for session in traveller.end()}
    assert set(told) == {command for command, _ in COMMANDS}
    assert (told["exit 3"].outcome, told["exit 3"].tag) == ("error", "exit 3")
    assert told["kill -KILL $$"].tag == "signal KILL"
    both_ways = told["echo out; echo err >&2"]
    assert (both_ways.output, both_ways.errors, both_ways.tag) == (b"out\n", b"err\n", "exit 0")
    assert both_ways.facts["ssh.env"] == ["GREETING=hallo"]
    assert told["cat; exit 9"].input == told["cat; exit 9"].output == b"in and out"
    assert told[""].verb == "shell"


def test_twenty_megabytes_both_ways_with_new_keys_at_each(traveller: Traveller) -> None:
    sent = bulk()
    done = traveller.ssh("web1", "cat", said=sent, RekeyLimit="1M")
    assert (done.returncode, done.stderr) == (0, b"")
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(sent).digest()

    (session,) = traveller.end()
    for way in (session.only.input, session.only.output):
        assert hashlib.sha256(way).digest() == hashlib.sha256(sent).digest()


def test_sessions_that_share_a_connection_are_recorded_each_by_itself(traveller: Traveller) -> None:
    socket_path = str(traveller.folder / "mux")
    master = traveller.start("web1", "-N", ControlMaster="yes", ControlPath=socket_path)
    try:
        until(lambda: Path(socket_path).exists(), "the master's socket")
        with ThreadPoolExecutor(3) as pool:
            done = list(pool.map(
                lambda n: traveller.ssh(
                    "web1", f"cat; echo aside {n} >&2; exit {n}", said=b"%d" % n * 100_000, ControlPath=socket_path
                ),
                range(1, 4),
            ))  # fmt: skip
    finally:
        master.kill()
        master.communicate(timeout=30)
    for n, one in enumerate(done, 1):
        assert (one.returncode, one.stdout, one.stderr) == (n, b"%d" % n * 100_000, b"aside %d\n" % n)

    (session,) = traveller.end()
    assert len(session.did) == 3
    for did in session.did.values():
        n = int(did.text[-1])
        assert (did.input, did.output, did.errors) == (
            b"%d" % n * 100_000,
            b"%d" % n * 100_000,
            b"aside %d\n" % n,
        )
        assert did.tag == f"exit {n}"


def test_a_client_goes_through_the_gateway_as_a_jump_host(
    traveller: Traveller, sshd: openssh.OpenSsh
) -> None:
    sent = bulk()[:1_000_000]
    arguments = ["-J", "jump@gateway", "-p", str(sshd.port), f"{sshd.user}@127.0.0.1", "cat; exit 6"]
    done = traveller.do(traveller.command("ssh", *arguments), sent)
    assert (done.returncode, done.stdout == sent, done.stderr) == (6, True, b"")
    (session,) = traveller.end()
    assert (session.target["name"], session.only.tag, session.only.output == sent) == ("web1", "exit 6", True)


@pytest.mark.parametrize(
    ("name", "said", "account"),
    [
        ("by-ecdsa", b"in\n", None),
        ("by-rsa", b"in\n", None),
        ("issued", b"in\n", None),
        ("password", b"app ran echo in; exit 5\n", "app"),
    ],
)
def test_the_gateway_logs_in_to_the_target_by(
    traveller: Traveller, sshd: openssh.OpenSsh, name: str, said: bytes, account: str | None
) -> None:
    done = traveller.ssh(name, "echo in; exit 5")
    assert (done.returncode, done.stdout, done.stderr) == (5, said, b"")
    (session,) = traveller.end()
    assert (session.target["name"], session.account) == (name, account or sshd.user)


# -- terminals -----------------------------------------------------------------------------------------


class Screen:
    """A client on a terminal of its own, which a test types at."""

    def __init__(self, command: list[str], columns: int = 91, rows: int = 33) -> None:
        self._master, slave = os.openpty()
        modes = termios.tcgetattr(slave)
        modes[3] &= ~termios.ECHOK
        modes[6][termios.VKILL] = b"\x0b"
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        self.resize(columns, rows)
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=environment
        )
        os.close(slave)
        self.seen = b""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resized(self, columns: int, rows: int) -> None:
        self.resize(columns, rows)
        self.process.send_signal(28)  # SIGWINCH, as the terminal has no session of its own to tell

    def type(self, text: bytes) -> None:
        os.write(self._master, text)

    def read(self, seconds: float = 0.2) -> bool:
        """Take what comes; False once the terminal is gone."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            self.seen += os.read(self._master, 65536)
        except OSError:
            return False
        return True

    def expect(self, words: bytes) -> None:
        deadline = time.monotonic() + 30
        while words not in self.seen:
            assert self.read(), (words, self.seen)
            assert time.monotonic() < deadline, (words, self.seen)
        self.seen = self.seen.partition(words)[2]

    def end(self) -> tuple[int, bytes]:
        """Wait for its end; its status and what was on the screen last."""
        deadline = time.monotonic() + 30
        while self.read() and self.process.poll() is None:
            assert time.monotonic() < deadline, self.seen
        while select.select([self._master], [], [], 0)[0] and self.read(0):
            pass
        os.close(self._master)
        return self.process.wait(30), self.seen


def test_a_terminal_has_the_size_the_modes_and_the_type_that_it_has_without_a_gateway(
    traveller: Traveller, sshd: openssh.OpenSsh
) -> None:
    asked = 'stty -a; echo "$TERM"; tty >/dev/null && echo on one; exit 12'
    alone = Screen(["ssh", "-F", str(sshd.config), "-tt", "server", asked]).end()
    through = Screen(traveller.command("ssh", "-tt", "web1", asked)).end()
    assert through == alone
    assert through[0] == 12
    assert b"rows 33; columns 91;" in through[1]
    assert b"kill = ^K;" in through[1]
    assert b"-echok " in through[1]

    (session,) = traveller.end()
    assert {name: session.only.facts[f"ssh.{name}"] for name in ("term", "columns", "rows")} == {
        "term": "xterm-256color",
        "columns": 91,
        "rows": 33,
    }
    assert session.only.output == through[1]


def test_a_shell_is_typed_at_resized_interrupted_and_left(traveller: Traveller) -> None:
    screen = Screen(traveller.command("ssh", "open"))
    screen.type(b"PS1='ready''> '\n")
    screen.expect(b"ready> ")
    screen.type(b"echo $((6*7))ish\n")
    screen.expect(b"42ish")
    screen.expect(b"ready> ")
    screen.resized(120, 50)
    screen.type(b"stty size\n")
    screen.expect(b"50 120")
    screen.type(b"sleep 100\n")
    screen.expect(b"sleep 100")
    time.sleep(0.3)
    screen.type(b"\x03")
    screen.expect(b"ready> ")
    screen.type(b"exit 9\n")
    assert screen.end()[0] == 9

    (session,) = traveller.end()
    shell = session.only
    assert (shell.verb, shell.tag) == ("shell", "exit 9")
    assert any(note == {"note": "resized", "columns": 120, "rows": 50} for note in shell.notes)
    assert b"42ish" in shell.output
    assert b"sleep 100\r\x03" in shell.input.replace(b"\n", b"\r")


# -- ways on -------------------------------------------------------------------------------------------


class Greeter:
    """A server that speaks first, then says again in capitals what it is told, to the end."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._one, args=self._listener.accept()[:1], daemon=True).start()

    @staticmethod
    def _one(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError):
            sock.sendall(b"welcome\n")
            while data := sock.recv(65536):
                sock.sendall(data.upper())

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def greeter() -> Iterator[Greeter]:
    made = Greeter()
    yield made
    made.close()


def exchange(port: int, said: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        heard = b""
        while not heard.endswith(b"\n"):
            data = sock.recv(100)
            if not data:
                return heard
            heard += data
        sender = threading.Thread(target=lambda: (sock.sendall(said), sock.shutdown(socket.SHUT_WR)))
        sender.start()
        while data := sock.recv(65536):
            heard += data
        sender.join(30)
        return heard


def test_forwards_beside_each_other_carry_a_server_that_speaks_first(
    traveller: Traveller, greeter: Greeter
) -> None:
    with forwarding(traveller, "open", f"127.0.0.1:{greeter.port}") as port, ThreadPoolExecutor(6) as pool:
        said = [bytes([97 + n]) * 400_000 for n in range(6)]
        assert list(pool.map(lambda one: exchange(port, one), said)) == [
            b"welcome\n" + one.upper() for one in said
        ]
    (session,) = traveller.end()
    carried = [one for one in session.did.values() if one.input]
    assert {(one.verb, one.text) for one in session.did.values()} == {
        ("forward", f"127.0.0.1:{greeter.port}")
    }
    assert sorted(one.input for one in carried) == said
    assert all(one.output == b"welcome\n" + one.input.upper() and one.outcome == "ok" for one in carried)


def test_a_database_by_a_forward_is_refused_by_default_and_on_the_record(
    traveller: Traveller, greeter: Greeter
) -> None:
    with forwarding(traveller, "web1", f"127.0.0.1:{greeter.port}") as port:
        assert exchange(port, b"select 1") == b""
    done = traveller.do(traveller.command("ssh", "-W", f"127.0.0.1:{greeter.port}", "web1", LogLevel="INFO"))
    assert (done.returncode, done.stdout) == (255, b"")
    assert b"denied by rule target-allow" in done.stderr
    told = [did for session in traveller.end() for did in session.did.values()]
    assert len(told) >= 2
    assert {(one.verb, one.text, one.outcome) for one in told} == {
        ("forward", f"127.0.0.1:{greeter.port}", "denied")
    }
    assert all(one.input == one.output == b"" for one in told)


@pytest.mark.parametrize("name", ["web1", "open"])
def test_agent_display_and_ways_back_are_refused_the_command_runs_and_all_of_it_is_recorded(
    traveller: Traveller, name: str
) -> None:
    held = traveller.folder / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", held], stdout=subprocess.DEVNULL)
    try:
        until(held.exists, "the client's agent")
        asked = "echo agent=${SSH_AUTH_SOCK:-none} display=${DISPLAY:-none}"
        command = traveller.command(
            "ssh", "-A", "-Y", "-R", "0:127.0.0.1:9", name, asked,
            IdentityAgent=str(held), XAuthLocation="/nonexistent", LogLevel="INFO",
        )  # fmt: skip
        done = traveller.do(["env", "DISPLAY=127.0.0.1:77", *command])
    finally:
        agent.terminate()
        agent.wait(30)
    assert (done.returncode, done.stdout) == (0, b"agent=none display=none\n"), done.stderr
    assert b"remote port forwarding failed" in done.stderr
    (session,) = traveller.end()
    kinds = {one.facts["ssh.kind"]: one.outcome for one in session.did.values()}
    assert kinds == {"reverse-forward": "denied", "agent": "denied", "x11": "denied", "exec": "ok"}


async def test_a_tunnel_and_a_socket_are_refused_and_recorded(traveller: Traveller) -> None:
    connection = await asyncssh.connect(
        "127.0.0.1", traveller.road.port, username="open", known_hosts=None, agent_path=None,
        client_keys=[str(traveller.folder / "key")], config=None,
    )  # fmt: skip
    async with connection:
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_tun()
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_unix_connection("/var/run/docker.sock")
        with pytest.raises(asyncssh.ChannelListenError):
            await connection.start_unix_server(lambda *_: None, "/tmp/never")
        done = await connection.run("echo goes on")
        assert done.stdout == "goes on\n"
    session: Recorded = traveller.end()[0]
    assert [(one.facts["ssh.kind"], one.outcome) for one in session.did.values()] == [
        ("tunnel", "denied"),
        ("socket-forward", "denied"),
        ("reverse-forward", "denied"),
        ("exec", "ok"),
    ]
