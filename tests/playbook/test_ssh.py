"""SSH, as a play: what the client asks, what the target runs, what the client gets, and what the record says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncssh
import pytest
from asyncssh.constants import MSG_USERAUTH_REQUEST, MSG_USERAUTH_SUCCESS
from asyncssh.packet import Boolean, String

from bodycam.model.event import Kind
from bodycam.model.operation import Operation
from bodycam.model.verdict import Decision, Terms, Verdict
from bodycam.policy.redaction import Redactor
from bodycam.protocols.ssh import input as standard_input
from bodycam.protocols.ssh.target import TargetConnection
from bodycam.session.approval import ApprovalSaid, ApprovalState
from bodycam.session.grant import Refusal, RefusalCode
from bodycam.session.link import AskApproval, AskChallenge, AskDial, AskOpen, Need
from tests import openssh
from tests.playbook.play import GRANT, Judging
from tests.playbook.ssh_stage import KNOWN_HOSTS, SshPlay, client, grant, stage, target, until


async def program(process: asyncssh.SSHServerProcess[bytes]) -> None:
    """What the target runs: a few commands that say something, in words of a test."""
    match process.command:
        case "hello":
            process.stdout.write(b"hello\n")
            process.stderr.write(b"and an aside\n")
            process.exit(3)
        case "shout":
            while data := await process.stdin.read(4096):
                process.stdout.write(data.upper())
            process.exit(0)
        case "killed":
            process.exit_with_signal("KILL", msg="out of memory")
        case "env":
            process.stdout.write(repr(sorted(process.channel.get_environment_bytes().items())).encode())
            process.exit(0)
        case "wait":
            process.stdout.write(b"waiting\n")
            await process.wait_closed()
        case None:
            size = process.get_terminal_size()
            process.stdout.write(f"{process.get_terminal_type()} {size[0]}x{size[1]}\r\n$ ".encode())
            with contextlib.suppress(asyncssh.TerminalSizeChanged):
                await process.stdin.read(100)
            size = process.get_terminal_size()
            process.stdout.write(f"{size[0]}x{size[1]}\r\n".encode())
            process.exit(0)
        case _:
            process.exit(127)


@contextlib.asynccontextmanager
async def at_target(**more: Any) -> AsyncIterator[tuple[int, list[SshPlay]]]:
    async with target(program) as port, stage(grant(port), **more) as staged:
        yield staged


def denying(text: str, *, terms: Terms | None = None) -> Judging:
    """A policy that lets through all but what asks for this."""

    def judge(operation: Operation) -> Verdict:
        if text not in (operation.text, operation.verb):
            return Verdict(Decision.ALLOW, "access", "p1")
        decision = Decision.DENY if terms is None else Decision.PENDING
        return Verdict(decision, "no-such", "p1", "it is not for agents", "Ask a person.", terms=terms)

    return Judging(judge)


async def story(plays: list[SshPlay]) -> list[str]:
    """What the first connection's record says, once that has ended."""
    await asyncio.wait_for(plays[0].gone.wait(), 30)
    await until(lambda: plays[0].session is None or plays[0].session.closed)
    return plays[0].story()


async def test_a_command_is_recorded_with_its_output_apart_and_its_status() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            done = await ssh.run("hello", encoding=None)
        assert (done.stdout, done.stderr, done.exit_status) == (b"hello\n", b"and an aside\n", 3)
        assert await story(plays) == [
            "opened",
            "1 exec hello",
            "1 <  out hello\n",
            "1 <  err and an aside\n",
            "1 finish error exit 3",
            "closed ended",
        ]
    asked = next(need for need in plays[0].asked if isinstance(need, AskOpen))
    assert (asked.wanted.protocol, asked.wanted.target, asked.wanted.database) == ("ssh", "web1", None)


async def test_what_a_command_reads_is_recorded_and_its_end_reaches_the_target() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            done = await ssh.run("shout", input=b"some words", encoding=None)
        assert (done.stdout, done.exit_status) == (b"SOME WORDS", 0)
        assert await story(plays) == [
            "opened",
            "1 exec shout",
            "1 >  in  some words",
            "1 note eof by=client",
            "1 <  out SOME WORDS",
            "1 finish ok exit 0",
            "closed ended",
        ]


async def test_a_client_that_closes_at_the_end_of_output_gets_the_status_that_comes_after_it() -> None:
    class Closing(asyncssh.SSHClientSession[bytes]):
        status: int | None = None

        def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
            self.channel = chan

        def eof_received(self) -> bool:
            self.channel.close()  # as OpenSSH's client does once it has sent its own end
            return True

        def exit_status_received(self, status: int) -> None:
            self.status = status

    async def late(process: asyncssh.SSHServerProcess[bytes]) -> None:
        await process.stdin.read()
        process.stdout.write(b"all of it")
        process.stdout.write_eof()
        await asyncio.sleep(0.1)
        process.exit(4)

    async with target(late) as port, stage(grant(port)) as (at, plays):
        async with client(at) as ssh:
            channel, session = await ssh.create_session(Closing, "anything", encoding=None)
            channel.write_eof()
            await channel.wait_closed()
        assert session.status == 4
        assert (await story(plays))[-2:] == ["1 finish error exit 4", "closed ended"]


async def test_a_signal_that_ended_a_command_is_told_and_recorded() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            done = await ssh.run("killed")
        assert done.exit_signal is not None
        assert done.exit_signal[0] == "KILL"
        assert "1 finish error signal KILL" in await story(plays)


async def test_variables_reach_the_target_and_the_record() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            done = await ssh.run("env", env={"LANG": "C.UTF-8", "EMPTY": ""}, encoding=None)
        assert done.stdout == b"[(b'EMPTY', b''), (b'LANG', b'C.UTF-8')]"
        await story(plays)
        facts = plays[0].journal.entries[1][2][3]
        assert facts["ssh.env"] == ["LANG=C.UTF-8", "EMPTY="]


async def test_a_shell_has_its_terminal_and_its_frames() -> None:
    async with at_target() as (port, plays):
        async with (
            client(port) as ssh,
            ssh.create_process(term_type="xterm", term_size=(80, 24), encoding=None) as shell,
        ):
            assert await shell.stdout.readuntil(b"$ ") == b"xterm 80x24\r\n$ "
            shell.change_terminal_size(132, 43)
            assert await shell.stdout.read() == b"132x43\r\n"
        assert await story(plays) == [
            "opened",
            "1 shell ",
            "1 <  scr xterm 80x24\r\n$ ",
            "1 note resized columns=132, rows=43",
            "1 <  scr 132x43\r\n",
            "1 finish ok exit 0",
            "closed ended",
        ]


async def test_channels_of_one_connection_are_recorded_each_by_itself() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            done = await asyncio.gather(*(ssh.run("shout", input=f"{n}\n") for n in range(8)))
        assert [one.stdout for one in done] == [f"{n}\n" for n in range(8)]
        told = await story(plays)
        for number in range(1, 9):
            own = [line for line in told if line.startswith(f"{number} ")]
            said = next(line for line in own if " >  in " in line)[8:]
            assert own[-2:] == [
                f"{number} <  out {said[1:]}".upper().replace("OUT", "out"),
                f"{number} finish ok exit 0",
            ]


async def test_what_a_rule_denies_never_reaches_the_target_and_the_connection_goes_on() -> None:
    async with at_target(policy=denying("shout")) as (port, plays):
        async with client(port) as ssh:
            denied = await ssh.run("shout")
            assert (denied.exit_status, denied.stdout) == (126, "")
            assert denied.stderr == (
                "bodycam: denied by rule no-such: it is not for agents\nbodycam: Ask a person.\n"
            )
            assert (await ssh.run("hello")).exit_status == 3
        told = await story(plays)
        assert told[1:4] == [
            "1 exec shout deny by no-such",
            "1 <  err bodycam: denied by rule no-such: it is not for agents\nbodycam: Ask a person.\n",
            "1 finish denied -: denied by rule no-such: it is not for agents",
        ]


@pytest.mark.parametrize(
    ("state", "status", "said"),
    [
        (ApprovalState.APPROVED, 3, "and an aside\n"),
        (ApprovalState.DENIED, 126, "bodycam: approval apr_1 was denied by ada: not today\n"),
        (ApprovalState.EXPIRED, 126, "bodycam: approval apr_1 was not given in time\nbodycam: Ask again.\n"),
    ],
)
async def test_what_wants_a_person_waits_for_one(state: ApprovalState, status: int, said: str) -> None:
    def decide(need: AskApproval) -> ApprovalSaid:
        assert (need.wanted.verb, need.wanted.text) == ("exec", "hello")
        return ApprovalSaid("apr_1", state, "https://gateway/a", ("ada",), "not today")

    async with at_target(policy=denying("hello", terms=Terms()), decide=decide) as (port, plays):
        async with client(port) as ssh:
            done = await ssh.run("hello")
        assert (done.exit_status, done.stderr) == (status, said)
        told = await story(plays)
        assert "1 exec hello pending by no-such" in told
        assert any(line.startswith(f"1 note approval-{state.value} approval=apr_1") for line in told)


async def test_who_leaves_while_it_waits_for_a_person_gives_it_up() -> None:
    policy = denying("hello", terms=Terms())
    async with at_target(policy=policy, decide=lambda _: ApprovalSaid("", ApprovalState.DENIED)) as (
        port,
        plays,
    ):
        async with client(port) as ssh:
            plays[0]._decide = None  # nobody decides
            plays[0].ask = plays[0].asked.append  # type: ignore[method-assign]
            process = await ssh.create_process("hello")
            await until(lambda: isinstance(plays[0].asked[-1], AskApproval))
            process.close()
            await process.wait_closed()
        told = await story(plays)
        assert "1 note approval-given-up reason=the client closed the channel" in told
        asked = plays[0].asked[-1]
        assert isinstance(asked, AskApproval)
        assert asked.given_up()


async def test_a_forward_carries_a_server_that_speaks_first() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            reader, writer = await ssh.open_connection("db.internal", 5432)
            assert await reader.readline() == b"welcome\n"
            writer.write(b"select 1")
            writer.write_eof()
            assert await reader.read() == b"SELECT 1"
        assert await story(plays) == [
            "opened",
            "1 forward db.internal:5432",
            "1 <  out welcome\n",
            "1 >  in  select 1",
            "1 <  out SELECT 1",
            "1 finish ok -",
            "closed ended",
        ]


async def test_a_forward_to_what_another_protocol_serves_is_a_link_of_that_protocol() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            plays[0].served["db.internal:5432"] = "postgres"
            reader, _ = await ssh.open_connection("db.internal", 5432)
            assert await reader.read() == b""
            assert plays[0].nested == ["postgres"]
        assert await story(plays) == [
            "opened",
            "1 forward db.internal:5432",
            "1 finish ok as postgres",
            "closed ended",
        ]


async def test_a_forward_that_is_denied_is_on_the_record() -> None:
    async with at_target(policy=denying("forward")) as (port, plays):
        async with client(port) as ssh:
            with pytest.raises(asyncssh.ChannelOpenError) as refused:
                await ssh.open_connection("db.internal", 5432)
            assert refused.value.reason == "denied by rule no-such: it is not for agents. Ask a person."
            with pytest.raises(asyncssh.ChannelListenError):
                await ssh.forward_remote_port("", 8080, "127.0.0.1", 80)
        told = await story(plays)
        assert told[1:3] == [
            "1 forward db.internal:5432 deny by no-such",
            "1 finish denied -: denied by rule no-such: it is not for agents",
        ]
        assert told[3] == "2 forward :8080 deny by no-such"


async def test_nothing_at_a_target_reaches_the_client_though_no_rule_denies_it() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            with pytest.raises(asyncssh.ChannelListenError):
                await ssh.forward_remote_port("", 8080, "127.0.0.1", 80)
        why = "nothing at a target can reach a client through this gateway"
        assert (await story(plays))[1:3] == ["1 forward :8080", f"1 finish denied -: {why}"]


async def test_a_command_with_a_nul_is_not_what_the_target_would_run() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            done = await ssh.run("hello\x00; rm -rf /")
        assert done.exit_status == 126
        assert any(line.startswith("1 finish denied") for line in await story(plays))


async def test_a_target_that_leaves_in_mid_command_is_told_and_recorded() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            process = await ssh.create_process("wait")
            assert await process.stdout.readline() == "waiting\n"
            assert plays[0]._target is not None
            plays[0]._target.transport.abort()
            done = await process.wait()
            assert done.exit_status == 255
            assert done.stderr == "bodycam: the target closed the connection\n"
        told = await story(plays)
        assert told[-2:] == ["1 finish unknown -", "closed broken: the target closed the connection"]


async def test_a_client_that_leaves_in_mid_command_ends_it_at_the_target() -> None:
    async with at_target() as (port, plays):
        ssh = await client(port)
        process = await ssh.create_process("wait")
        assert await process.stdout.readline() == "waiting\n"
        ssh.abort()
        told = await story(plays)
        assert told[-2:] == ["1 finish cancelled -", "closed ended"]
        await until(lambda: plays[0]._target is None or plays[0]._target.is_closing())


@pytest.mark.parametrize(("command", "told"), [("exec 1>&- 2>&-; sleep 0.3; exit 7", 7), ("kill -9 $$", -1)])
async def test_a_client_that_closes_its_channel_first_learns_how_its_program_ended(
    sshd: openssh.OpenSsh, command: str, told: int
) -> None:
    # OpenSSH's client closes once neither side says more, before it knows the status
    at_server = grant(sshd.port, client_key=sshd.key.read_text())
    assert at_server.dial is not None
    known = f"* {' '.join(sshd.host_key.split()[:2])}"
    dial = replace(at_server.dial, user=sshd.user, password=None, known_hosts=known)
    at_server = replace(at_server, dial=dial)
    async with stage(at_server) as (port, plays), client(port) as ssh:
        process = await ssh.create_process(command)
        process.stdin.write_eof()
        assert await process.stdout.read() == ""
        process.channel._close_send()  # `close` would take nothing more
        done = await asyncio.wait_for(process.wait(), 30)
        assert done.returncode == (told if told > 0 else -9)
        await until(lambda: any(" finish " in line for line in plays[0].story()))


async def test_a_client_that_closes_its_channel_leaves_a_program_that_ended_untold() -> None:
    async with at_target() as (port, plays):
        ssh = await client(port)
        process = await ssh.create_process("wait")
        assert await process.stdout.readline() == "waiting\n"
        process.channel._close_send()  # `close` would take nothing more
        await asyncio.wait_for(process.channel.wait_closed(), 30)
        ssh.close()
        told = await story(plays)
        assert told[-2:] == ["1 finish cancelled -", "closed ended"]


async def test_a_session_that_is_cut_tells_its_commands_why() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            process = await ssh.create_process("wait")
            assert await process.stdout.readline() == "waiting\n"
            plays[0].machine.cut("the run was revoked")
            done = await process.wait()
            assert (done.exit_status, done.stderr) == (255, "bodycam: the run was revoked\n")
        assert (await story(plays))[-3:] == [
            "1 note signal name=TERM, by=gateway",
            "1 finish unknown -",
            "closed cut: the run was revoked",
        ]


async def test_what_runs_in_a_session_that_is_cut_is_ended_at_the_target() -> None:
    heard: list[str] = []

    async def stubborn(process: asyncssh.SSHServerProcess[bytes]) -> None:
        process.stdout.write(b"waiting\n")
        try:
            await process.stdin.read()
        except asyncssh.SignalReceived as signal:
            heard.append(signal.signal)

    async with target(stubborn) as port, stage(grant(port)) as (at, plays), client(at) as ssh:
        process = await ssh.create_process("anything")
        assert await process.stdout.readline() == "waiting\n"
        plays[0].machine.cut("enough")
        await until(lambda: heard)
        assert heard == ["TERM"]


async def test_a_session_that_drains_ends_with_its_last_command() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            process = await ssh.create_process("shout")
            plays[0].machine.drain("the lease is over")
            assert plays[0].session is not None
            assert not plays[0].session.closed
            refused = await ssh.run("hello")
            assert refused.exit_status == 126
            process.stdin.write("last words")
            process.stdin.write_eof()
            assert (await process.wait()).stdout == "LAST WORDS"
            await until(lambda: plays[0].machine.drain("the lease is over") or plays[0].closed)
        assert (await story(plays))[-1] == "closed cut: the lease is over"


async def test_more_channels_than_a_connection_may_have_are_refused_and_it_goes_on() -> None:
    async with at_target() as (port, plays):
        async with client(port) as ssh:
            waiting = [await ssh.create_process("wait") for _ in range(64)]
            for _ in range(40):
                with pytest.raises(asyncssh.ChannelOpenError):
                    await ssh.create_process("wait")
            waiting[0].close()
            await waiting[0].wait_closed()
            assert (await ssh.run("hello")).exit_status == 3
        told = await story(plays)
        why = "0 note refused why=64 channels of this connection are open already"
        assert [line for line in told if "refused" in line] == [why, f"{why}, times=40"]


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry a connection on to a port of loopback."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)

    async def carry(one: asyncio.StreamReader, other: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await one.read(65536):
                other.write(data)
        other.close()
        with contextlib.suppress(ConnectionError):
            await other.wait_closed()

    await asyncio.gather(carry(reader, far_writer), carry(far_reader, writer))


class Banner(asyncssh.SSHClient):
    """A client that keeps what it is told before its login."""

    said = ""

    def auth_banner_received(self, msg: str, lang: str) -> None:
        Banner.said += msg


class Again(asyncssh.SSHClient):
    """A client that gives its password again where it was refused."""

    def password_auth_requested(self) -> str:
        return "bcr_secret"


@pytest.fixture
def banner() -> type[Banner]:
    Banner.said = ""
    return Banner


async def test_who_may_not_is_told_why_before_its_login_ends(banner: type[Banner]) -> None:
    why = Refusal(RefusalCode.NOT_ALLOWED, "agent bot may not open target web1", "It may open: web2", GRANT)
    async with stage(why) as (port, plays):
        with pytest.raises(asyncssh.PermissionDenied):
            await client(port, client_factory=banner, preferred_auth="password")
        assert banner.said == "bodycam: agent bot may not open target web1\nbodycam: It may open: web2\n"
        told = await story(plays)
        assert told[:2] == ["opened", "closed failed: agent bot may not open target web1"]


async def test_a_target_with_another_host_key_gets_no_credential(banner: type[Banner]) -> None:
    async with target(program) as port:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        given = grant(port)
        assert given.dial is not None
        async with stage(replace(given, dial=replace(given.dial, known_hosts=f"* {other}"))) as (at, plays):
            with pytest.raises(asyncssh.PermissionDenied):
                await client(at, client_factory=banner, preferred_auth="password")
            assert "its host key is none that the settings know: ssh-ed25519 SHA256:" in banner.said
            assert (await story(plays))[1].startswith("closed failed: target web1: its host key is none that")


async def test_a_target_that_has_a_name_is_known_by_it() -> None:
    async with target(program) as port:
        given = grant(port)
        assert given.dial is not None
        known = given.dial.known_hosts.replace("*", f"[localhost]:{port}", 1)
        dial = replace(given.dial, host="localhost", known_hosts=known)
        async with stage(replace(given, dial=dial)) as (at, plays):
            async with client(at) as ssh:
                assert (await ssh.run("hello")).exit_status == 3
            assert (await story(plays))[-1] == "closed ended"


async def test_a_fault_of_the_gateways_own_is_not_put_down_to_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(*_: object) -> None:
        raise KeyError("ours")

    heard: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context["message"]))
    monkeypatch.setattr(TargetConnection, "log_in", fails)
    async with at_target() as (port, plays):
        with pytest.raises(asyncssh.ConnectionLost):
            await client(port)
        why = "the gateway failed inside (KeyError)"
        assert (await story(plays))[-1] == f"closed broken: {why}"
    assert heard == [why]


async def test_a_target_that_refuses_the_gateways_login_is_told(banner: type[Banner]) -> None:
    async with target(program) as port:
        given = grant(port)
        assert given.dial is not None
        async with stage(replace(given, dial=replace(given.dial, password="wrong"))) as (at, plays):
            with pytest.raises(asyncssh.PermissionDenied):
                await client(at, client_factory=banner, preferred_auth="password")
            assert "it refused the gateway's login as app" in banner.said
            assert all("wrong" not in line for line in await story(plays))


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-other\r\n", b"Too many connections\r\n"])
async def test_a_target_that_closes_in_the_login_is_told_before_the_clients_ends(
    banner: type[Banner], greeting: bytes
) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server, stage(grant(server.sockets[0].getsockname()[1])) as (port, plays):
        with pytest.raises(asyncssh.PermissionDenied):
            await client(port, client_factory=banner, preferred_auth="password")
        assert "bodycam: target web1: SSH with it failed: " in banner.said
        assert (await story(plays))[1].startswith("closed failed: target web1: SSH with it failed: ")


async def test_a_login_after_one_that_failed_at_the_target_is_not_disturbed_by_it() -> None:
    tries = 0

    async def twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        if tries > 1:
            await pipe(reader, writer, port)
        writer.close()
        done.append(True)

    done: list[bool] = []
    async with target(program) as port:
        server = await asyncio.start_server(twice, "127.0.0.1", 0)
        async with server, stage(grant(server.sockets[0].getsockname()[1])) as (at, plays):
            again: dict[str, Any] = {"password": None, "preferred_auth": "password"}
            async with client(at, client_factory=Again, **again) as ssh:
                assert (await ssh.run("hello")).exit_status == 3
            told = await story(plays)
            await until(lambda: len(done) == 2)
        assert told[0] == "opened"
        assert told[1].startswith("closed failed: target web1: SSH with it failed: ")
        assert told[2:4] == ["opened", "1 exec hello"]
        assert told[-2:] == ["1 finish error exit 3", "closed ended"]


class Pipelining(asyncssh.SSHClient):
    """A client that does not wait for what becomes of its login before it begins the next."""

    connection: asyncssh.SSHClientConnection

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        Pipelining.connection = conn

    @classmethod
    def log_in(cls, user: str = "web1") -> None:
        """Send one more request."""
        words = (user, "ssh-connection", "password")
        said = (*map(String, words), Boolean(False), String("bcr_secret"))
        cls.connection.send_packet(MSG_USERAUTH_REQUEST, *said)


@pytest.mark.parametrize("held", [AskChallenge, AskOpen, AskDial])
async def test_what_was_asked_for_a_login_that_its_client_gave_up_is_taken_back(held: type[Need]) -> None:
    async with at_target(hold=held) as (port, plays):
        connecting = asyncio.ensure_future(client(port, client_factory=Pipelining, preferred_auth="password"))
        await until(lambda: plays and any(isinstance(need, held) for need in plays[0].asked))
        Pipelining.log_in()
        Pipelining.log_in()
        await asyncio.sleep(0.1)
        # the next waits until it is known what became of the one before
        assert sum(isinstance(need, held) for need in plays[0].asked) == 1
        plays[0].go_on.set()
        async with await connecting as ssh:
            assert (await ssh.run("hello")).exit_status == 3
        told = await story(plays)
        assert told[-6:] == [
            "opened",
            "1 exec hello",
            "1 <  out hello\n",
            "1 <  err and an aside\n",
            "1 finish error exit 3",
            "closed ended",
        ]
        given_up = ["opened", "closed failed: the client began another login, or left"]
        assert told[:-6] == ([] if held is AskChallenge else given_up)
        assert plays[0].given_up == (["login-1"] if held is AskChallenge else [])
        opened = sum(isinstance(need, AskOpen) for need in plays[0].asked)
        assert opened == told.count("opened") == sum(line.startswith("closed") for line in told)


async def test_a_grant_that_comes_when_its_client_has_left_is_on_the_record_and_closed() -> None:
    async with at_target(hold=AskOpen) as (port, plays):
        connecting = asyncio.ensure_future(client(port, client_factory=Pipelining, preferred_auth="password"))
        await until(lambda: plays and any(isinstance(need, AskOpen) for need in plays[0].asked))
        Pipelining.log_in()
        await asyncio.sleep(0.05)
        # what breaks the protocol ends the machine, and what it had asked for is answered all the same
        Pipelining.connection.send_packet(MSG_USERAUTH_SUCCESS)
        with pytest.raises((asyncssh.Error, OSError)):
            await connecting
        plays[0].go_on.set()
        await until(lambda: plays[0].session is not None and plays[0].session.closed)
        assert plays[0].story() == ["opened", "closed failed: the client began another login, or left"]


async def test_a_client_that_leaves_in_its_login_ends_it_at_the_target_too() -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()
        ended.set()

    ended = asyncio.Event()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    async with server, stage(grant(server.sockets[0].getsockname()[1])) as (port, plays):
        connecting = asyncio.ensure_future(client(port, preferred_auth="password"))
        await until(lambda: plays and plays[0].session is not None)
        connecting.cancel()
        await asyncio.gather(connecting, return_exceptions=True)
        assert (await story(plays))[:2] == ["opened", "closed ended"]
        await asyncio.wait_for(ended.wait(), 30)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"SSH-1.5-old\r\n",
        b"x" * 1_000_000,
        b"SSH-2.0-x\r\n" + b"\xff" * 64,
        b"SSH-2.0-x\r\n" + bytes(100_000),
    ],
)
async def test_a_stranger_that_speaks_no_ssh_is_counted_and_closed(said: bytes) -> None:
    async with at_target() as (port, plays):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            writer.write(said)
            await asyncio.wait_for(reader.read(), 30)
        writer.close()
        await until(lambda: plays[0].closed)
        assert plays[0].session is None
        assert plays[0].strangers == 1


async def test_a_jump_opens_a_link_within_the_link_and_nothing_else() -> None:
    async with at_target() as (port, plays):
        key = asyncssh.generate_private_key("ssh-ed25519")
        authority = asyncssh.generate_private_key("ssh-ed25519")
        certificate = authority.generate_user_certificate(key, "run_a", principals=["run_aaaaaaaaaaaaaaaa"])
        own: dict[str, Any] = {"client_keys": [(key, certificate)], "password": None}
        async with client(port, user="jump", **own) as jump:
            with pytest.raises(asyncssh.ChannelOpenError):
                await jump.run("hello")
            with pytest.raises(asyncssh.ChannelListenError):
                await jump.forward_remote_port("", 8080, "127.0.0.1", 80)
            inner = await asyncssh.connect(
                "web1",
                22,
                tunnel=jump,
                username="deploy",
                config=[],
                agent_path=None,
                known_hosts=KNOWN_HOSTS,
                **own,
            )
            assert (await inner.run("hello")).exit_status == 3
            inner.close()
            await inner.wait_closed()
        outer, within = plays
        assert outer.session is None
        assert outer.given_up == ["login-1"]
        asked = next(need for need in within.asked if isinstance(need, AskOpen))
        assert (asked.wanted.target, asked.wanted.host, asked.wanted.named) == ("", "web1:22", True)
        assert asked.wanted.database == "deploy"
        await until(lambda: within.session is not None and within.session.closed)
        assert within.story()[-2:] == ["1 finish error exit 3", "closed ended"]


async def test_a_jump_to_nothing_that_speaks_ssh_is_a_stranger_within() -> None:
    async with at_target() as (port, plays):
        key = asyncssh.generate_private_key("ssh-ed25519")
        certificate = key.generate_user_certificate(key, "run_a", principals=["run_aaaaaaaaaaaaaaaa"])
        async with client(port, user="jump", client_keys=[(key, certificate)], password=None) as jump:
            reader, writer = await jump.open_connection("db.internal", 5432)
            assert await reader.readline() == b"SSH-2.0-bodycam\r\n"
            writer.write(b"\x00\x00\x00\x08\x04\xd2\x16\x2f\r\n")
            await asyncio.wait_for(reader.read(), 30)
        assert plays[1].strangers == 1
        assert plays[1].session is None


async def test_secrets_that_a_client_sends_reach_the_program_and_not_the_record(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(standard_input, "PATIENCE", 0.5)
    async with at_target(redaction=Redactor()) as (port, plays):
        async with client(port) as ssh:
            process = await ssh.create_process("shout", encoding=None)
            # cut within the word, and without an end of line
            process.stdin.write(b"password=hun")
            await asyncio.sleep(0.02)
            process.stdin.write(b"ter2secret and")
            await until(
                lambda: any(kind is Kind.TO_TARGET and body[2] for kind, _, body in plays[0].journal.entries)
            )
            process.stdin.write_eof()
            assert (await process.wait()).stdout == b"PASSWORD=HUNTER2SECRET AND"
        kept = "".join(line for line in await story(plays) if " >  in " in line)
        assert "hunter2secret" not in kept
        assert "and" in kept


async def test_what_a_client_sends_waits_until_it_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "PATIENCE", 3600)
    async with at_target(redaction=Redactor()) as (port, plays), client(port) as ssh:
        process = await ssh.create_process("shout", encoding=None)
        process.stdin.write(b"one\nhalf a")
        assert await process.stdout.read(100) == b"ONE\n"
        assert given(plays) == b"one\n"
        process.stdin.write(b" line\nand")
        assert await process.stdout.read(100) == b"HALF A LINE\n"
        assert given(plays) == b"one\nhalf a line\n"
        process.stdin.write_eof()
        assert (await process.wait()).stdout == b"AND"
        assert given(plays) == b"one\nhalf a line\nand"


async def test_what_a_client_said_before_a_signal_comes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standard_input, "PATIENCE", 3600)
    async with at_target(redaction=Redactor()) as (port, plays), client(port) as ssh:
        process = await ssh.create_process("wait", encoding=None)
        process.stdin.write(b"half")
        process.send_signal("HUP")
        entries = plays[0].journal.entries
        await until(lambda: any(kind is Kind.NOTE and body["note"] == "signal" for kind, _, body in entries))
        kinds = [
            kind
            for kind, _, body in entries
            if kind is Kind.TO_TARGET or (kind is Kind.NOTE and body["note"] == "signal")
        ]
        assert kinds == [Kind.TO_TARGET, Kind.NOTE]
        assert given(plays) == b"half"


async def test_half_a_line_goes_on_after_a_moment() -> None:
    async with at_target(redaction=Redactor()) as (port, plays), client(port) as ssh:
        process = await ssh.create_process("shout", encoding=None)
        process.stdin.write(b"half")
        assert await asyncio.wait_for(process.stdout.read(100), 30) == b"HALF"
        assert given(plays) == b"half"
        process.stdin.write_eof()
        await process.wait()


def given(plays: list[SshPlay]) -> bytes:
    """What the record has of standard input."""
    return b"".join(body[2] for kind, _, body in plays[0].journal.entries if kind is Kind.TO_TARGET)


def packet(content: bytes) -> bytes:
    """A packet before there are keys (RFC 4253, section 6)."""
    padding = 8 - (5 + len(content)) % 8 + 8
    return (1 + len(content) + padding).to_bytes(4, "big") + bytes([padding]) + content + bytes(padding)


def key_exchange(*more: str) -> bytes:
    """A client's KEXINIT (RFC 4253, section 7.1)."""
    lists = [",".join(("curve25519-sha256", *more)), "ssh-ed25519", *["aes128-gcm@openssh.com"] * 2]
    lists += [*["hmac-sha2-256"] * 2, *["none"] * 2, "", ""]
    named = b"".join(len(one).to_bytes(4, "big") + one.encode() for one in lists)
    return packet(b"\x14" + bytes(16) + named + bytes(5))


IGNORE = packet(b"\x02\x00\x00\x00\x00")
STRICT = "kex-strict-c-v00@openssh.com"


@pytest.mark.parametrize(
    ("said", "broken"),
    [
        ((IGNORE, key_exchange(STRICT)), True),
        ((key_exchange(STRICT), IGNORE), True),
        ((key_exchange(STRICT),), False),
        ((IGNORE, key_exchange()), False),
    ],
    ids=["before", "within", "nothing", "not strict"],
)
async def test_what_is_put_among_the_packets_of_a_strict_key_exchange_ends_it(
    said: tuple[bytes, ...], broken: bool
) -> None:
    """CVE-2023-48795: whoever cuts packets off later has to put others in before, so that the numbers fit."""
    async with at_target() as (port, plays):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"SSH-2.0-x\r\n" + b"".join(said))
        greeting = await reader.readline()
        if broken:
            assert b"kex-strict-s-v00@openssh.com" in await asyncio.wait_for(reader.read(), 30)
            await until(lambda: plays[0].closed)
        else:
            await asyncio.sleep(0.2)
        assert greeting == b"SSH-2.0-bodycam\r\n"
        assert (plays[0].closed, plays[0].strangers) == (broken, int(broken))
        writer.close()
        await writer.wait_closed()
        await asyncio.wait_for(plays[0].gone.wait(), 30)
