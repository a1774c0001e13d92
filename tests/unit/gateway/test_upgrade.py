"""TLS with a client that is connected already, in a host's name: real sockets, real handshakes, both loops."""

import asyncio
import logging
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bodycam.gateway.control import NoLeaf
from bodycam.gateway.interception import Interception
from bodycam.gateway.link import ProxyLink
from bodycam.gateway.side import Side
from bodycam.gateway.upgrade import upgrade
from bodycam.model.event import Kind
from bodycam.net.authority import Authority, request
from bodycam.net.tls import server_context
from bodycam.session.link import Answer, AskUpgrade, Need, Upgraded, UpgradeFailed
from tests.unit.gateway.played import PlayedJournal, PlayedServices

CONNECT, READY = b"connect\n", b"ready\n"
MEGABYTE = 1 << 20
AUTHORITY = Authority.create("interception")
T = TypeVar("T")
Send, Receive = Callable[[bytes], object], Callable[[int], bytes]


ON_BOTH_LOOPS = True


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does, no loop has anything to say about it."""
    yield
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


class Tunnel:
    """A machine: says that it is ready, asks for TLS, and sends back what comes then."""

    def __init__(self, link: ProxyLink, host: str, alpn: tuple[str, ...]) -> None:
        self._link, self._need = link, AskUpgrade(host, alpn)
        self.heard = bytearray()
        self.answers: list[Answer] = []
        self.gone = 0
        self.leaves = asyncio.Event()

    def from_client(self, data: bytes) -> None:
        if not self.answers:
            assert data == CONNECT
            position = self._link.journal.append(0, 0, Kind.NOTE, b"")
            self._link.client_box.append(READY, position)
            self._link.ask(self._need)
            return
        self.heard += data
        self._link.send_client(data)

    def answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def client_gone(self) -> bool:
        self.gone += 1
        self.leaves.set()
        return False

    def cut(self, reason: str) -> None:
        self._link.send_client(b"cut")
        self._link.close()

    def farewell(self, message: str, hint: str) -> bytes:
        return b"farewell"


class InTls:
    """A client's TLS over anything that takes and gives bytes, which decides itself when they leave."""

    def __init__(self, context: ssl.SSLContext, name: str, send: Send, receive: Receive) -> None:
        self._send, self._receive = send, receive
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out, server_hostname=name)
        self._steps(self.tls.do_handshake)

    def say(self, data: bytes) -> None:
        """What is left of the handshake leaves together with `data`."""
        self.tls.write(data)
        self._send(self._out.read())

    def hear(self) -> bytes:
        return self._steps(lambda: self.tls.read(65536))

    def _steps(self, step: Callable[[], T]) -> T:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if waiting := self._out.read():
                    self._send(waiting)
                self._in.write(self._receive(65536))


class Services(PlayedServices):
    """The worker's, with nothing in it but the upgrade."""

    def __init__(self, journal: PlayedJournal, interception: Interception, timeout: float) -> None:
        super().__init__(journal)
        self._interception, self._timeout = interception, timeout
        self.host = ""
        """The host that all ask for from now on, in place of their own."""

    async def fulfil(self, link: ProxyLink, need: Need) -> Answer:
        assert isinstance(need, AskUpgrade)
        need = replace(need, host=self.host or need.host)
        return await upgrade(link, need, self._interception, self._timeout)


@dataclass
class House:
    """A listener whose links have that machine; `links` in the order in which they came."""

    port: int
    journal: PlayedJournal
    services: Services
    links: list[ProxyLink] = field(default_factory=list)

    @property
    def tunnel(self) -> Tunnel:
        machine = self.links[-1].machine
        assert isinstance(machine, Tunnel)
        return machine

    @property
    def answer(self) -> Answer:
        (answer,) = self.tunnel.answers
        return answer


async def sign(host: str, csr: str) -> str:
    return AUTHORITY.sign(csr.encode(), names=[host]).decode()


@asynccontextmanager
async def house(
    host: str = "api.example",
    alpn: tuple[str, ...] = (),
    *,
    strict: bool = False,
    timeout: float = 5.0,
    ask: Callable[..., object] = sign,
    outer: ssl.SSLContext | None = None,
) -> AsyncIterator[House]:
    journal = PlayedJournal(strict=strict)
    services = Services(journal, Interception(ask), timeout)  # type: ignore[arg-type]
    made = House(0, journal, services)
    journal.on_release = lambda: made.links[-1].settle()

    def accepted() -> Side:
        link = ProxyLink(
            services,
            lambda link: Tunnel(link, host, alpn),  # type: ignore[arg-type, return-value]
            address="127.0.0.1:1",
            secure=True,
            message_limit=1024,
        )
        made.links.append(link)
        return Side(link, "client")

    server = await asyncio.get_running_loop().create_server(accepted, "127.0.0.1", 0, ssl=outer)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for link in made.links:
            link.cut("over")
        async with asyncio.timeout(30):
            while services.tasks:
                await asyncio.sleep(0.01)
            await server.wait_closed()


@pytest.fixture
def trusting(tmp_path: Path) -> ssl.SSLContext:
    """A client that trusts the interception CA."""
    (tmp_path / "ca.pem").write_bytes(AUTHORITY.certificate_pem)
    return ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))


def connected(port: int) -> socket.socket:
    """A client's connection, up to the moment when its handshake may begin."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    raw.sendall(CONNECT)
    assert raw.recv(100) == READY
    return raw


def talk(
    port: int, context: ssl.SSLContext, name: str | None = "api.example", say: bytes = b"hello"
) -> tuple[bytes, ssl.SSLSocket]:
    """What comes back of what is said in TLS."""
    inner = context.wrap_socket(connected(port), server_hostname=name)
    inner.sendall(say)
    back = b""
    while len(back) < len(say):
        back += inner.recv(65536)
    return back, inner


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():
            await asyncio.sleep(0.01)


async def test_a_client_that_trusts_the_authority_speaks_tls_with_the_host(trusting: ssl.SSLContext) -> None:
    trusting.set_alpn_protocols(["h2", "http/1.1"])
    async with house(alpn=("http/1.1",)) as gateway:
        back, inner = await asyncio.to_thread(talk, gateway.port, trusting)
        with inner:
            assert back == b"hello"
            assert inner.selected_alpn_protocol() == "http/1.1"
            assert ("DNS", "api.example") in inner.getpeercert()["subjectAltName"]  # type: ignore[index]
            assert gateway.answer == Upgraded("http/1.1", "api.example")
            assert gateway.links[0].encrypted
            assert gateway.tunnel.heard == b"hello"
        await until(lambda: gateway.tunnel.gone)
    assert gateway.tunnel.gone == 1
    assert gateway.services.gone == gateway.links


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_megabyte_each_way(trusting: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    trusting.maximum_version = version

    def both_ways(port: int) -> bytes:
        inner = trusting.wrap_socket(connected(port), server_hostname="api.example")
        with inner:
            back = b""
            for start in range(0, MEGABYTE, 65536):
                inner.sendall(sent[start : start + 65536])
                while len(back) < start + 65536:
                    back += inner.recv(65536)
            return back

    sent = bytes(range(256)) * (MEGABYTE // 256)
    async with house() as gateway:
        assert await asyncio.to_thread(both_ways, gateway.port) == sent
        assert gateway.tunnel.heard == sent
        assert gateway.answer == Upgraded("", "api.example")


async def test_a_client_that_trusts_another_authority_is_told_from_one_that_left(tmp_path: Path) -> None:
    (tmp_path / "other.pem").write_bytes(Authority.create("other").certificate_pem)
    other = ssl.create_default_context(cafile=str(tmp_path / "other.pem"))
    async with house() as gateway:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(talk, gateway.port, other)
        await until(lambda: gateway.tunnel.gone)

        assert isinstance(gateway.answer, UpgradeFailed)
        assert "does not trust the certificate" in gateway.answer.message
        assert "tlsv1 alert unknown ca" in gateway.answer.message
        assert gateway.services.gone == gateway.links
    assert gateway.tunnel.gone == 1


def leaves(raw: socket.socket) -> None:
    raw.close()


def breaks_off(raw: socket.socket) -> None:
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raw.close()


def speaks_http(raw: socket.socket) -> None:
    raw.sendall(b"GET / HTTP/1.1\r\nHost: api.example\r\n\r\n")
    ended(raw)


def speaks_anything(raw: socket.socket) -> None:
    raw.sendall(bytes(1000))
    ended(raw)


def says_nothing(raw: socket.socket) -> None:
    ended(raw)


def says_half_a_hello(raw: socket.socket) -> None:
    raw.sendall(b"\x16\x03\x01\x02\x00\x01")
    ended(raw)


def ended(raw: socket.socket) -> None:
    """The gateway ends the connection; nothing of it but an alert is heard before."""
    with raw:
        heard = b""
        try:
            while more := raw.recv(1000):
                heard += more
        except ConnectionResetError:
            pass
        assert heard == b"" or heard[:1] == b"\x15"


@pytest.mark.parametrize(
    ("client", "why"),
    [
        (leaves, "the client left in its TLS handshake"),
        (breaks_off, "the client left in its TLS handshake"),
        (speaks_http, "something that is no TLS (http request)"),
        (speaks_anything, "something that is no TLS"),
        (says_nothing, "did not finish its TLS handshake within 1 s"),
        (says_half_a_hello, "did not finish its TLS handshake within 1 s"),
    ],
)
async def test_a_handshake_that_does_not_come_about_ends_the_link_and_says_why(
    client: Callable[[socket.socket], None], why: str
) -> None:
    async with house(timeout=1) as gateway:
        await asyncio.to_thread(lambda: client(connected(gateway.port)))
        await until(lambda: gateway.tunnel.gone)

        assert isinstance(gateway.answer, UpgradeFailed)
        assert why in gateway.answer.message
        assert gateway.services.gone == gateway.links
    assert gateway.tunnel.gone == 1
    assert gateway.tunnel.heard == b""


async def test_a_client_that_asks_for_another_server_in_tls_is_refused_in_its_handshake(
    trusting: ssl.SSLContext,
) -> None:
    async with house() as gateway:
        with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized name"):
            await asyncio.to_thread(talk, gateway.port, trusting, "hidden.example")
        await until(lambda: gateway.tunnel.gone)

        assert gateway.answer == UpgradeFailed(
            "the client asked for another server in TLS, 'hidden.example', than it had asked to reach"
        )


@pytest.mark.parametrize(
    ("host", "name", "heard"),
    [
        ("api.example", None, ""),
        ("api.example", "API.Example.", "API.Example."),
        ("127.0.0.1", None, ""),
        ("::1", "anything.example", "anything.example"),
    ],
)
async def test_no_name_and_any_name_of_an_address_are_taken(
    trusting: ssl.SSLContext, host: str, name: str | None, heard: str
) -> None:
    trusting.check_hostname = False
    async with house(host) as gateway:
        back, inner = await asyncio.to_thread(talk, gateway.port, trusting, name)
        with inner:
            assert back == b"hello"
            assert gateway.answer == Upgraded("", heard)


async def test_what_is_queued_leaves_in_the_clear_once_the_journal_has_it(trusting: ssl.SSLContext) -> None:
    async with house(strict=True) as gateway:
        talking = asyncio.create_task(asyncio.to_thread(talk, gateway.port, trusting))
        await until(lambda: gateway.links and gateway.links[0].waiting)
        await asyncio.sleep(0.1)
        assert (gateway.tunnel.answers, talking.done(), gateway.links[0].encrypted) == ([], False, False)

        gateway.journal.release()
        back, inner = await talking
        with inner:
            assert (back, gateway.answer) == (b"hello", Upgraded("", "api.example"))


async def test_a_client_that_leaves_before_the_journal_has_it_is_gone_once() -> None:
    async with house(strict=True) as gateway:
        raw = socket.create_connection(("127.0.0.1", gateway.port))
        raw.sendall(CONNECT)
        await until(lambda: gateway.links and gateway.links[0].waiting)
        breaks_off(raw)
        gateway.journal.release()
        await until(lambda: gateway.services.gone)
        await until(lambda: not gateway.services.tasks)
    # the machine closed the link at once; a link that is over has no answers to give
    assert (gateway.tunnel.gone, gateway.tunnel.answers) == (1, [])


async def test_bytes_right_behind_the_handshake_are_heard_after_the_answer_and_once(
    trusting: ssl.SSLContext,
) -> None:
    def at_once(port: int) -> bytes:
        with connected(port) as raw:
            inner = InTls(trusting, "api.example", raw.sendall, raw.recv)
            inner.say(b"at once")
            return inner.hear()

    async with house() as gateway:
        assert await asyncio.to_thread(at_once, gateway.port) == b"at once"
        assert (gateway.tunnel.heard, len(gateway.tunnel.answers)) == (b"at once", 1)


async def test_a_client_that_says_something_and_leaves_at_once_is_heard_and_gone_once(
    trusting: ssl.SSLContext,
) -> None:
    def and_leave(port: int) -> None:
        raw = connected(port)
        InTls(trusting, "api.example", raw.sendall, raw.recv).say(b"last words")
        raw.close()

    async with house() as gateway:
        await asyncio.to_thread(and_leave, gateway.port)
        await until(lambda: gateway.tunnel.gone)
        assert isinstance(gateway.answer, Upgraded)
        assert gateway.tunnel.heard == b"last words"
    assert gateway.tunnel.gone == 1


async def test_without_a_certificate_the_connection_stands_in_the_clear() -> None:
    async def away(host: str, csr: str) -> str:
        raise NoLeaf("the gateway's control process is starting again")

    async with house(ask=away) as gateway:
        raw = await asyncio.to_thread(connected, gateway.port)
        with raw:
            await until(lambda: gateway.tunnel.answers)
            assert gateway.answer == UpgradeFailed("the gateway's control process is starting again")
            raw.sendall(b"in the clear")
            assert await asyncio.to_thread(raw.recv, 100) == b"in the clear"


async def test_a_certificate_that_does_not_come_has_its_time() -> None:
    async def never(host: str, csr: str) -> str:
        await asyncio.sleep(30)
        return ""

    async with house(ask=never, timeout=0.2) as gateway:
        raw = await asyncio.to_thread(connected, gateway.port)
        with raw:
            await until(lambda: gateway.tunnel.answers)
            assert gateway.answer == UpgradeFailed("TLS with the client could not begin within 0.2 s")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "_signed" in repr(task):
                task.cancel()


async def test_a_client_that_does_not_read_stops_the_target_and_counts_as_unsent(
    trusting: ssl.SSLContext,
) -> None:
    async with house() as gateway:
        _, inner = await asyncio.to_thread(talk, gateway.port, trusting)
        with inner:
            link = gateway.links[0]
            many = 16 * MEGABYTE
            for _ in range(0, many, 65536):
                link.send_client(bytes(65536))
                link.settle()
            assert "slow peer" in link._paused["target"]
            assert 0 < link.unsent()[0] <= many * 1.01

            def read() -> int:
                left = many
                while left:
                    left -= len(inner.recv(65536))
                return left

            assert await asyncio.to_thread(read) == 0
            await until(lambda: not link._paused["target"])
            await until(lambda: link.unsent() == (0, 0))


async def test_a_link_that_is_cut_in_the_handshake_says_so_in_tls_or_ends_with_it(
    trusting: ssl.SSLContext,
) -> None:
    async with house(timeout=1) as gateway:
        raw = await asyncio.to_thread(connected, gateway.port)
        await until(lambda: gateway.links[0].swap.lent)
        gateway.links[0].cut("revoked")

        def shake_hands() -> bytes:
            with trusting.wrap_socket(raw, server_hostname="api.example") as inner:
                return inner.recv(100)

        assert await asyncio.to_thread(shake_hands) == b"cut"
        silent = await asyncio.to_thread(connected, gateway.port)
        await until(lambda: gateway.links[1].swap.lent)
        gateway.links[1].cut("revoked")
        await asyncio.to_thread(ended, silent)
        await until(lambda: len(gateway.services.gone) == 2)


async def test_tls_inside_the_tls_of_the_gateway_s_own_listener(
    trusting: ssl.SSLContext, tmp_path: Path
) -> None:
    own = Authority.create("listeners")
    made = request("listener")
    outer = server_context(made.key_pem, own.sign(made.csr_pem, names=["127.0.0.1"]))
    (tmp_path / "own.pem").write_bytes(own.certificate_pem)
    to_gateway = ssl.create_default_context(cafile=str(tmp_path / "own.pem"))

    def twice(port: int) -> bytes:
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        with to_gateway.wrap_socket(raw, server_hostname="127.0.0.1") as around:
            around.sendall(CONNECT)
            assert around.recv(100) == READY
            inner = InTls(trusting, "api.example", around.sendall, around.recv)
            inner.say(bytes(100_000))
            back = b""
            while len(back) < 100_000:
                back += inner.hear()
            return back

    async with house(outer=outer) as gateway:
        assert await asyncio.to_thread(twice, gateway.port) == bytes(100_000)
        assert gateway.answer == Upgraded("", "api.example")


async def test_a_hundred_hosts_each_with_a_certificate_of_its_own(trusting: ssl.SSLContext) -> None:
    asked: list[str] = []

    async def counted(host: str, csr: str) -> str:
        asked.append(host)
        return await sign(host, csr)

    interception = Interception(counted)
    async with house() as gateway:
        gateway.services._interception = interception
        serials = set()
        for number in (*range(100), 0, 99):
            name = f"host-{number}.example"
            gateway.services.host = name
            _, inner = await asyncio.to_thread(talk, gateway.port, trusting, name)
            with inner:
                shown: Any = inner.getpeercert()
                assert shown["subjectAltName"] == (("DNS", name),)
                serials.add(shown["serialNumber"])
    assert (len(asked), len(serials)) == (100, 100)


# the standard library says it where nothing can hear it, and goes on to refuse the handshake
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_name_that_is_no_text_is_refused(trusting: ssl.SSLContext) -> None:
    def odd(port: int) -> bytes:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = trusting.wrap_bio(incoming, outgoing, server_hostname="aaaa.example")
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        with connected(port) as raw:
            raw.sendall(outgoing.read().replace(b"aaaa.", b"\xff\xfe\xfd\xfc."))
            return raw.recv(100)

    async with house() as gateway:
        assert (await asyncio.to_thread(odd, gateway.port))[:1] == b"\x15"
        await until(lambda: gateway.tunnel.gone)
        assert gateway.answer == UpgradeFailed(
            "the client asked for a server in TLS by something that is no name"
        )
