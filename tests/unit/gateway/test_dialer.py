"""Connections to targets: small servers that say yes, no, nothing or nonsense to the request for TLS."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from bodycam.gateway import dialer
from bodycam.gateway.link import ProxyLink
from bodycam.model.target import Dial, TlsMode
from bodycam.net.authority import Authority, Usage, request
from bodycam.net.tls import server_context
from bodycam.protocols.postgres.frontend import SSL_REQUEST
from bodycam.protocols.postgres.opening import TargetOpening
from bodycam.session.link import DialDone, DialFailed
from tests.unit.gateway.played import PlayedJournal, PlayedServices, Relay

END = "-----END CERTIFICATE-----"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Heard(Relay):
    """A machine that keeps what the target says."""

    def __init__(self, link: ProxyLink) -> None:
        super().__init__(link)
        self.heard = b""
        self.told = asyncio.Event()

    def from_target(self, data: bytes) -> None:
        self.heard += data
        self.told.set()


@dataclass
class Server:
    """What a small target got on each of its connections."""

    port: int = 0
    got: list[bytes] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)


@contextlib.asynccontextmanager
async def serving(talk: Talk) -> AsyncIterator[Server]:
    """A server whose connections are each handled by `talk`."""
    made, tasks = Server(), set[asyncio.Task[Any]]()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (OSError, asyncio.IncompleteReadError) as error:
            made.failures.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def link() -> ProxyLink:
    return ProxyLink(
        PlayedServices(PlayedJournal()), Heard, address="127.0.0.1:1", secure=True, message_limit=1024
    )


async def dial(port: int, mode: TlsMode, **more: Any) -> tuple[DialDone | DialFailed, ProxyLink]:
    made = link()
    wanted = Dial("127.0.0.1", port, "app", "db", None, mode, **{"connect_timeout": 5.0, **more})
    return await dialer.dial(made, wanted, TargetOpening(mode)), made


async def heard(made: ProxyLink) -> bytes:
    machine = made.machine
    assert isinstance(machine, Heard)
    await asyncio.wait_for(machine.told.wait(), 30)
    made.drop_target()
    return machine.heard


@dataclass
class Certificates:
    """A server's context and its certificate in DER, the file of the authority behind it, and a stranger's."""

    context: ssl.SSLContext
    shown: bytes
    ca: Path
    stranger: Path
    authority: Authority


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    ours, other = Authority.create("ours"), Authority.create("theirs")
    (tmp_path / "ca.pem").write_bytes(ours.certificate_pem)
    (tmp_path / "other.pem").write_bytes(other.certificate_pem)
    asked = request("target")
    chain = ours.sign(asked.csr_pem, names=["127.0.0.1"])
    context = server_context(asked.key_pem, chain, alpn=["postgresql"])
    shown = ssl.PEM_cert_to_DER_cert(chain.decode().partition("-----END CERTIFICATE-----")[0] + END)
    return Certificates(context, shown, tmp_path / "ca.pem", tmp_path / "other.pem", ours)


def answering(answer: bytes, context: ssl.SSLContext | None = None) -> Talk:
    """Answers an SSLRequest, goes over to TLS if it has a context, and says hello."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == SSL_REQUEST
        writer.write(answer)
        if context is not None:
            await writer.start_tls(context)
        writer.write(b"hello")
        await reader.read()

    return talk


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says hello at once."""
    writer.write(b"hello")
    await reader.read()
    writer.close()


@pytest.mark.parametrize("mode", [TlsMode.DISABLE, TlsMode.ALLOW])
async def test_plain_modes_ask_for_nothing(mode: TlsMode) -> None:
    async with serving(greet) as server:
        outcome, made = await dial(server.port, mode)
        assert (outcome, await heard(made)) == (DialDone(secure=False), b"hello")


async def test_prefer_goes_on_without_tls_where_there_is_none() -> None:
    async with serving(answering(b"N")) as server:
        outcome, made = await dial(server.port, TlsMode.PREFER)
        assert (outcome, await heard(made)) == (DialDone(secure=False), b"hello")


@pytest.mark.parametrize("mode", [TlsMode.PREFER, TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL])
async def test_tls_where_there_is_some(mode: TlsMode, certificates: Certificates) -> None:
    async with serving(answering(b"S", certificates.context)) as server:
        outcome, made = await dial(server.port, mode, ca_file=str(certificates.ca))
        assert (outcome, await heard(made)) == (DialDone(True, certificates.shown, "postgresql"), b"hello")


async def test_the_protocols_name_is_offered(certificates: Certificates) -> None:
    agreed = list[str | None]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.start_tls(certificates.context)
        agreed.append(writer.get_extra_info("ssl_object").selected_alpn_protocol())
        writer.write(b"hello")
        await reader.read()

    async with serving(talk) as server:
        _, made = await dial(server.port, TlsMode.REQUIRE)
        await heard(made)
    assert agreed == ["postgresql"]


@pytest.mark.parametrize("own", ["ours", "a stranger's", "none"])
async def test_the_gateways_own_certificate_is_shown_to_a_server_that_asks(
    certificates: Certificates, own: str
) -> None:
    certificates.context.verify_mode = ssl.CERT_REQUIRED
    certificates.context.load_verify_locations(certificates.ca)
    signed_by = certificates.authority if own == "ours" else Authority.create("somebody")
    made = request("gateway")
    chain = signed_by.sign(made.csr_pem, names=["gateway.internal"], usage=Usage.CLIENT)
    pair = {"client_cert": chain.decode(), "client_key": made.key_pem.decode()}
    async with serving(answering(b"S", certificates.context)) as server:
        outcome, link = await dial(server.port, TlsMode.REQUIRE, **({} if own == "none" else pair))
        if own == "ours":
            assert await heard(link) == b"hello"
        elif isinstance(outcome, DialDone):
            # with TLS 1.3 the client's side of the handshake is over before the server has looked
            async with asyncio.timeout(30):
                while link.target is not None:
                    await asyncio.sleep(0.01)
            assert isinstance(link.machine, Heard)
            assert link.machine.heard == b""


@pytest.mark.parametrize("broken", ["another key", "no certificate", "a key under a passphrase"])
async def test_a_key_and_certificate_that_can_not_be_used_are_named(
    certificates: Certificates, broken: str
) -> None:
    made = request("gateway")
    chain = certificates.authority.sign(made.csr_pem, names=["g"], usage=Usage.CLIENT).decode()
    key = serialization.load_pem_private_key(made.key_pem, None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hunter2"),
    ).decode()
    pairs = {
        "another key": (chain, request("other").key_pem.decode()),
        "no certificate": ("", made.key_pem.decode()),
        "a key under a passphrase": (chain, locked),
    }
    cert, own = pairs[broken]
    async with serving(answering(b"S", certificates.context)) as server:
        outcome, _ = await dial(server.port, TlsMode.REQUIRE, client_cert=cert, client_key=own)

    assert isinstance(outcome, DialFailed)
    assert "key" in outcome.message
    assert "`tls`" in outcome.hint


@pytest.mark.parametrize("answer", [b"N", b"E", b"?", b""])
@pytest.mark.parametrize("mode", [TlsMode.REQUIRE, TlsMode.VERIFY_FULL])
async def test_a_mode_that_insists_takes_no_other_answer(
    mode: TlsMode, answer: bytes, certificates: Certificates
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(answer)

    async with serving(talk) as server:
        outcome, _ = await dial(server.port, mode, ca_file=str(certificates.ca))
    assert isinstance(outcome, DialFailed)
    assert "TLS" in outcome.message
    assert outcome.hint


async def test_prefer_comes_back_without_tls_when_the_server_hangs_up() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await reader.readexactly(8)
            return
        await greet(reader, writer)

    async with serving(talk) as server:
        outcome, made = await dial(server.port, TlsMode.PREFER)
        assert (outcome, await heard(made), connections) == (DialDone(secure=False), b"hello", 2)


async def test_a_stranger_s_certificate_is_refused(certificates: Certificates) -> None:
    async with serving(answering(b"S", certificates.context)) as server:
        outcome, made = await dial(server.port, TlsMode.VERIFY_FULL, ca_file=str(certificates.stranger))
    assert isinstance(outcome, DialFailed)
    assert "certificate verify failed" in outcome.message
    assert "ca_file" in outcome.hint
    assert made.target is None


async def test_words_put_before_the_handshake_never_reach_the_login() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S" + b"R\0\0\0\x08\0\0\0\0")
        await reader.read()

    async with serving(talk) as server:
        outcome, made = await dial(server.port, TlsMode.REQUIRE)
    assert isinstance(outcome, DialFailed)
    assert isinstance(made.machine, Heard)
    assert made.machine.heard == b""


@pytest.mark.parametrize("mode", [TlsMode.REQUIRE, TlsMode.PREFER])
@pytest.mark.parametrize("answer", [b"", b"S"], ids=["no answer", "no handshake"])
async def test_a_silent_target_costs_its_timeout_and_no_more(mode: TlsMode, answer: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.readexactly(8)
        await asyncio.sleep(30)

    async with serving(talk) as server:
        began = asyncio.get_running_loop().time()
        outcome, _ = await dial(server.port, mode, connect_timeout=0.3)
        took = asyncio.get_running_loop().time() - began
    assert isinstance(outcome, DialFailed)
    assert "did not answer within 0.3 s" in outcome.message
    assert took < 1


async def test_a_port_that_nobody_listens_on_is_said_plainly() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        outcome, _ = await dial(unused.getsockname()[1], TlsMode.DISABLE)
    assert isinstance(outcome, DialFailed)
    assert outcome.message.startswith("the target can't be reached: Conne")
    assert outcome.hint


async def test_a_name_that_does_not_resolve_is_said_plainly() -> None:
    wanted = Dial("no-such-host.invalid", 5432, "app", "db", None, TlsMode.DISABLE)
    outcome = await dialer.dial(link(), wanted, TargetOpening(TlsMode.DISABLE))
    assert isinstance(outcome, DialFailed)
    assert "can't be reached" in outcome.message


async def test_a_unix_socket_is_a_target_too(tmp_path: Path) -> None:
    path = tmp_path / "s"
    server = await asyncio.start_unix_server(greet, str(path))
    try:
        made = link()
        wanted = Dial(str(path), 0, "app", "db", None, TlsMode.DISABLE)
        assert await dialer.dial(made, wanted, TargetOpening(TlsMode.DISABLE)) == DialDone(secure=False)
        assert await heard(made) == b"hello"
        await asyncio.sleep(0.05)
    finally:
        server.close()


@pytest.mark.parametrize("secure", [False, True])
async def test_a_knock_arrives_on_a_connection_of_its_own(secure: bool, certificates: Certificates) -> None:
    got = asyncio.Queue[bytes]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if secure:
            await reader.readexactly(8)
            writer.write(b"S")
            await writer.start_tls(certificates.context)
        got.put_nowait(await reader.readexactly(6))

    mode = TlsMode.REQUIRE if secure else TlsMode.DISABLE
    async with serving(talk) as server:
        wanted = Dial("127.0.0.1", server.port, "app", "db", None, mode)
        await dialer.knock(wanted, TargetOpening(mode), b"cancel")
        assert await asyncio.wait_for(got.get(), 30) == b"cancel"

    await dialer.knock(replace(wanted, connect_timeout=1.0), TargetOpening(mode), b"nobody is there")


async def test_a_knock_lasts_until_the_target_has_taken_it_and_no_longer_than_its_timeout() -> None:
    taken, silent = asyncio.Event(), asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(6)
        if silent.is_set():
            await reader.read()  # until the knock gives up
        else:
            await taken.wait()

    async with serving(talk) as server:
        wanted = Dial("127.0.0.1", server.port, "app", "db", None, TlsMode.DISABLE, connect_timeout=0.5)
        knock = asyncio.create_task(dialer.knock(replace(wanted, connect_timeout=10), opened(), b"cancel"))
        await asyncio.sleep(0.1)
        assert not knock.done()
        taken.set()
        await asyncio.wait_for(knock, 30)

        silent.set()
        await asyncio.wait_for(dialer.knock(wanted, opened(), b"cancel"), 30)


def opened() -> TargetOpening:
    return TargetOpening(TlsMode.DISABLE)
