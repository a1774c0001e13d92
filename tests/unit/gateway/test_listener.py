"""Accepting connections: TLS by request and at once, its application protocol, and the one deadline of a login."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bodycam.gateway.certificate import ListenerCertificate
from bodycam.gateway.link import ProxyLink
from bodycam.gateway.listener import Door, Listener
from bodycam.gateway.strangers import Stranger
from bodycam.net.authority import Authority, request
from bodycam.protocols.postgres.frontend import GSSENC_REQUEST, SSL_REQUEST
from bodycam.protocols.postgres.protocol import PROTOCOL
from bodycam.session.link import Machine
from tests.unit.gateway.played import PlayedJournal, PlayedServices, Relay

OURS = ["postgresql"]


class Heard(Relay):
    """A machine that keeps what the client says, and answers each read with a greeting."""

    def __init__(self, link: ProxyLink) -> None:
        super().__init__(link)
        self.heard = b""
        self.gone = asyncio.Event()

    def from_client(self, data: bytes) -> None:
        self.heard += data
        self._link.send_client(b"hello")

    def client_gone(self) -> None:
        self.gone.set()
        super().client_gone()


@dataclass
class House:
    """A listener with what stands round it."""

    ca: Path
    sock: socket.socket
    links: list[ProxyLink] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)
    shown: list[bytes] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)
    listener: Listener = field(init=False)

    @property
    def port(self) -> int:
        return int(self.sock.getsockname()[1])

    def make_link(
        self, machine: Callable[..., Machine], address: str, secure: bool, certificate: bytes
    ) -> ProxyLink:
        services = PlayedServices(PlayedJournal())
        made = ProxyLink(services, Heard, address=address, secure=secure, message_limit=1024)
        self.links.append(made)
        self.secure.append(secure)
        self.shown.append(certificate)
        return made

    def client_context(self, *alpn: str) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca))
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    def machine(self, number: int = 0) -> Heard:
        machine = self.links[number].machine
        assert isinstance(machine, Heard)
        return machine


@contextlib.asynccontextmanager
async def listening(
    folder: Path, *, tls: bool = True, login_timeout: float = 60.0, clients: Authority | None = None
) -> AsyncIterator[House]:
    authority = Authority.create("listeners")
    ca = folder / "ca.pem"
    ca.write_bytes(authority.certificate_pem)
    trusted = None if clients is None else clients.certificate_pem
    certificate = ListenerCertificate(enabled=tls, clients=trusted)
    if csr := certificate.request():
        certificate.adopt(authority.sign(csr.encode(), names=["127.0.0.1"]).decode())
    with socket.create_server(("127.0.0.1", 0)) as sock:
        house = House(ca, sock)
        door = Door(
            PROTOCOL,
            tls=lambda: certificate.context(PROTOCOL.alpn),
            make_link=house.make_link,
            admit=lambda: None,
            stranger=lambda what, _address: house.strangers.append(what),
            login_timeout=login_timeout,
        )
        house.listener = Listener(sock, door, pending_limit=10)
        house.listener.start()
        try:
            yield house
        finally:
            house.listener.stop()
            for link in house.links:
                house.listener.link_ready(link)
                for transport in (link.client, link.target):
                    if transport is not None:
                        transport.abort()
            await asyncio.sleep(0.05)


async def asked_for_tls(house: House, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(SSL_REQUEST)
    assert await reader.readexactly(1) == b"S"
    await writer.start_tls(context, server_hostname="127.0.0.1")
    return reader, writer


async def at_once(house: House, context: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", house.port, ssl=context, server_hostname="127.0.0.1")


async def greeted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether something is answered, before the connection is closed."""
    writer.write(b"a startup message")
    async with asyncio.timeout(30):
        said = await reader.read(5)
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return said == b"hello"


@pytest.mark.parametrize(
    ("offered", "agreed"), [([], None), (OURS, "postgresql"), (["http/1.1", *OURS], "postgresql")]
)
async def test_tls_by_request_agrees_on_the_protocol_where_the_client_offers_it(
    tmp_path: Path, offered: list[str], agreed: str | None
) -> None:
    async with listening(tmp_path) as house:
        reader, writer = await asked_for_tls(house, house.client_context(*offered))
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == agreed
        assert await greeted(reader, writer)
        assert (house.secure, house.machine().heard) == ([True], b"a startup message")


@pytest.mark.parametrize("offered", [OURS, ["http/1.1", *OURS]])
async def test_tls_at_once_with_the_protocols_name(tmp_path: Path, offered: list[str]) -> None:
    async with listening(tmp_path) as house:
        reader, writer = await at_once(house, house.client_context(*offered))
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "postgresql"
        assert await greeted(reader, writer)
        assert (house.secure, house.strangers) == ([True], [])


@pytest.mark.parametrize("offered", [[], ["http/1.1"], ["h2", "http/1.1"]])
async def test_tls_at_once_without_it_gets_no_link_and_no_word(tmp_path: Path, offered: list[str]) -> None:
    async with listening(tmp_path) as house:
        reader, writer = await at_once(house, house.client_context(*offered))

        assert not await greeted(reader, writer)
        assert (house.links, house.strangers, house.listener.refused) == ([], [Stranger.NONSENSE], 1)


async def test_tls_at_once_where_there_is_none_is_closed(tmp_path: Path) -> None:
    async with listening(tmp_path, tls=False) as house:
        with pytest.raises(OSError):  # noqa: PT011 - which one it is, is the system's choice
            await at_once(house, house.client_context(*OURS))
        assert (house.links, house.strangers) == ([], [Stranger.NONSENSE])


async def test_after_gssapi_encryption_was_declined_tls_is_asked_for_and_not_begun(tmp_path: Path) -> None:
    async with listening(tmp_path) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(GSSENC_REQUEST)
        assert await reader.readexactly(1) == b"N"
        writer.write(b"\x16\x03\x01\x02\x00\x01")
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert house.links == []


async def test_plaintext_behind_a_promise_of_tls_never_reaches_a_machine(tmp_path: Path) -> None:
    async with listening(tmp_path) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(SSL_REQUEST)
        assert await reader.readexactly(1) == b"S"
        writer.write(b"\0\0\0\x10\0\3\0\0user\0x\0\0")
        with contextlib.suppress(ConnectionError):
            assert (await reader.read())[:1] in (b"", b"\x15")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert house.links == []


async def test_exactly_the_eight_bytes_of_the_request_are_taken(tmp_path: Path) -> None:
    """The handshake's own first bytes are sent as soon as the answer is there, and none of them is lost."""
    async with listening(tmp_path) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        for byte in SSL_REQUEST:
            writer.write(bytes((byte,)))
            await asyncio.sleep(0.005)
        assert await reader.readexactly(1) == b"S"
        await writer.start_tls(house.client_context(), server_hostname="127.0.0.1")
        assert await greeted(reader, writer)
        assert house.machine().heard == b"a startup message"


async def test_who_was_told_that_the_handshake_failed_is_not_waited_for_longer_than_it_takes_to_read(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path, login_timeout=60) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(SSL_REQUEST)
        assert await reader.readexactly(1) == b"S"
        writer.write(b"not a handshake at all")
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                assert (await reader.read())[:1] in (b"", b"\x15")
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert (house.links, house.strangers) == ([], [])


@pytest.mark.parametrize("how", ["request", "at once"])
async def test_a_handshake_that_never_goes_on_has_the_logins_deadline(tmp_path: Path, how: str) -> None:
    async with listening(tmp_path, login_timeout=0.4) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        if how == "request":
            writer.write(SSL_REQUEST)
            assert await reader.readexactly(1) == b"S"
        else:
            writer.write(b"\x16\x03\x01")
        async with asyncio.timeout(30):
            # nothing in the clear: who waits for a handshake can't tell it from one
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert (house.links, house.strangers) == ([], [Stranger.SILENT])


async def test_a_client_that_stops_sending_in_the_middle_of_its_handshake_leaves_nothing(
    tmp_path: Path,
) -> None:
    async with listening(tmp_path) as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(b"\x16\x03\x01\x02\x00")
        writer.write_eof()
        async with asyncio.timeout(30):
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        assert (house.links, house.listener._waiting) == ([], {})


async def test_the_end_of_a_client_that_was_let_in_reaches_its_machine(tmp_path: Path) -> None:
    async with listening(tmp_path) as house:
        reader, writer = await at_once(house, house.client_context(*OURS))
        assert await greeted(reader, writer)
        async with asyncio.timeout(30):
            await house.machine().gone.wait()


# -- certificates of clients ---------------------------------------------------------------------------

RUNS = Authority.create("Bodycam runs")
NOW = datetime.now(UTC)


def certified(
    house: House, folder: Path, *, by: Authority = RUNS, end: datetime = NOW + timedelta(hours=1)
) -> tuple[ssl.SSLContext, bytes]:
    """A client's context that shows a certificate, and that certificate in DER."""
    made = request("a client")
    pem = by.vouch(
        made.csr_pem, name="run_a", unit="bot", uris=["urn:x"], end=end, now=end - timedelta(hours=2)
    )
    (folder / "client.pem").write_bytes(made.key_pem + pem)
    context = house.client_context(*OURS)
    context.load_cert_chain(folder / "client.pem")
    return context, ssl.PEM_cert_to_DER_cert(pem.decode())


@pytest.mark.parametrize("begins", [asked_for_tls, at_once])
async def test_a_certificate_that_the_client_shows_goes_with_its_link(tmp_path: Path, begins: Any) -> None:
    async with listening(tmp_path, clients=RUNS) as house:
        context, der = certified(house, tmp_path)
        assert await greeted(*await begins(house, context))
        assert (house.shown, house.secure) == ([der], [True])


async def test_none_has_to_be_shown(tmp_path: Path) -> None:
    async with listening(tmp_path, clients=RUNS) as house:
        assert await greeted(*await at_once(house, house.client_context(*OURS)))
        assert (house.shown, house.strangers) == ([b""], [])


async def test_where_none_is_asked_for_none_comes(tmp_path: Path) -> None:
    async with listening(tmp_path) as house:
        context, _ = certified(house, tmp_path)
        assert await greeted(*await at_once(house, context))
        assert house.shown == [b""]


async def test_one_that_is_over_is_passed_on_for_others_to_say_so(tmp_path: Path) -> None:
    async with listening(tmp_path, clients=RUNS) as house:
        context, der = certified(house, tmp_path, end=NOW - timedelta(hours=1))
        assert await greeted(*await at_once(house, context))
        assert house.shown == [der]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_one_of_another_authority_ends_the_handshake_and_is_counted(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    async with listening(tmp_path, clients=RUNS) as house:
        # the name is the same, the key is not
        context, _ = certified(house, tmp_path, by=Authority.create("Bodycam runs"))
        context.maximum_version = version
        try:
            let_in = await greeted(*await at_once(house, context))
        except (ssl.SSLError, ConnectionError):
            let_in = False
        assert not let_in
        async with asyncio.timeout(30):
            while not house.strangers:
                await asyncio.sleep(0.01)
        assert (house.links, house.strangers) == ([], [Stranger.UNTRUSTED])


async def test_each_connection_proves_the_key_anew(tmp_path: Path) -> None:
    async with listening(tmp_path, clients=RUNS) as house:
        context, _ = certified(house, tmp_path)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context.maximum_version = version
            reader, writer = await at_once(house, context)
            assert await greeted(reader, writer)
            session = writer.get_extra_info("ssl_object").session
            assert session is None or not session.has_ticket
