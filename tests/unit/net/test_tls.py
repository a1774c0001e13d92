"""Each TLS mode meets real servers over loopback as libpq would."""

import socket
import ssl
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bodycam.model.target import TlsMode
from bodycam.net.authority import Authority, AuthorityError, Usage, request
from bodycam.net.key_files import KeyFileError
from bodycam.net.tls import TlsError, client_context, server_context

M = TlsMode


@dataclass(frozen=True)
class World:
    """An authority and its file, a stranger's authority file, and a server's key."""

    ours: Authority
    ca: Path
    stranger: Path
    key: bytes
    csr: bytes

    def server(self, *names: str, **more: object) -> ssl.SSLContext:
        return server_context(self.key, self.ours.sign(self.csr, names=names, **more), alpn=["x"])  # type: ignore[arg-type]


@pytest.fixture
def world(tmp_path: Path) -> World:
    ours, other = Authority.create("ours"), Authority.create("theirs")
    ours.save(tmp_path / "ca.key", tmp_path / "ca.pem")
    other.save(tmp_path / "other.key", tmp_path / "other.pem")
    asked = request("worker")
    return World(ours, tmp_path / "ca.pem", tmp_path / "other.pem", asked.key_pem, asked.csr_pem)


def shake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str | None:
    """One handshake over loopback; the TLS version."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            sock, _ = listening.accept()
            sock.settimeout(10)
            try:
                with server.wrap_socket(sock, server_side=True) as secure:
                    secure.sendall(b"hello")
            except OSError:
                sock.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            with (
                socket.create_connection(listening.getsockname(), timeout=10) as sock,
                client.wrap_socket(sock, server_hostname=host) as secure,
            ):
                assert secure.recv(5) == b"hello"
                return secure.version()
        finally:
            thread.join(10)


# mode, which ca_file, host asked for -> accepted? The certificate is for db.test and 127.0.0.1.
CASES = [
    (M.ALLOW, None, "other.test", True),
    (M.PREFER, None, "other.test", True),
    (M.REQUIRE, None, "other.test", True),
    (M.REQUIRE, "ca", "other.test", True),
    (M.REQUIRE, "stranger", "db.test", False),
    (M.PREFER, "stranger", "db.test", False),
    (M.VERIFY_CA, "ca", "other.test", True),
    (M.VERIFY_CA, "stranger", "db.test", False),
    (M.VERIFY_FULL, "ca", "db.test", True),
    (M.VERIFY_FULL, "ca", "127.0.0.1", True),
    (M.VERIFY_FULL, "ca", "127.0.0.2", False),
    (M.VERIFY_FULL, "ca", "other.test", False),
    (M.VERIFY_FULL, "stranger", "db.test", False),
    (M.VERIFY_FULL, None, "db.test", False),
    (M.VERIFY_FULL, "system", "db.test", False),
]


@pytest.mark.parametrize(("mode", "trusted", "host", "accepted"), CASES)
def test_each_mode_accepts_what_libpq_accepts(
    world: World, mode: TlsMode, trusted: str | None, host: str, accepted: bool
) -> None:
    file = {"ca": world.ca, "stranger": world.stranger, "system": "system", None: None}[trusted]
    try:
        context = client_context(mode, file)
    except TlsError as error:
        # a machine without any authorities says so before it connects
        if accepted or "no certificate authorities" not in str(error):
            raise
        return
    server = world.server("db.test", "127.0.0.1")
    if accepted:
        assert shake(server, context, host) in ("TLSv1.2", "TLSv1.3")
    else:
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(server, context, host)


def test_a_certificate_that_ended_or_is_for_clients_is_not_accepted(world: World) -> None:
    past = datetime.now(UTC) - timedelta(days=3)
    context = client_context(M.VERIFY_CA, world.ca)
    for server in (world.server("db.test", now=past), world.server("db.test", usage=Usage.CLIENT)):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake(server, context, "db.test")


def test_tls_1_1_is_refused(world: World) -> None:
    context = client_context(M.REQUIRE)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert world.server("db.test").minimum_version is ssl.TLSVersion.TLSv1_2


def test_contexts_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for mode, file, said in [
        (M.DISABLE, None, "no TLS at all"),
        (M.VERIFY_CA, None, "needs a ca_file"),
        (M.VERIFY_CA, "system", "too weak"),
        (M.REQUIRE, "system", "too weak"),
        (M.REQUIRE, tmp_path / "absent.pem", r"absent\.pem can't be read"),
        (M.VERIFY_FULL, tmp_path / "absent.pem", r"absent\.pem can't be read"),
    ]:
        with pytest.raises(TlsError, match=said):
            client_context(mode, file)


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n"])
def test_a_bad_ca_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pem").write_bytes(content)
    with pytest.raises(TlsError, match=r"bad\.pem holds no"):
        client_context(M.VERIFY_FULL, tmp_path / "bad.pem")


def test_a_key_that_does_not_fit_is_refused(world: World) -> None:
    chain = world.ours.sign(world.csr, names=["x"])
    with pytest.raises(TlsError, match="not usable together"):
        server_context(request("other").key_pem, chain)
    with pytest.raises(TlsError, match="not usable together"):
        server_context(b"", b"")


def test_an_authority_is_saved_private_and_loaded_again(world: World, tmp_path: Path) -> None:
    assert (tmp_path / "ca.key").stat().st_mode & 0o777 == 0o600
    again = Authority.load(tmp_path / "ca.key", tmp_path / "ca.pem")
    server = server_context(world.key, again.sign(world.csr, names=["db.test"]))
    assert shake(server, client_context(M.VERIFY_FULL, world.ca), "db.test")
    with pytest.raises(KeyFileError, match="File exists"):
        again.save(tmp_path / "ca.key", tmp_path / "ca.pem")
    with pytest.raises(AuthorityError, match="does not belong"):
        Authority.load(tmp_path / "ca.key", tmp_path / "other.pem")
    with pytest.raises(KeyFileError, match="can't be read"):
        Authority.load(tmp_path / "absent", tmp_path / "ca.pem")
    with pytest.raises(AuthorityError, match="no private key"):
        Authority.load(tmp_path / "ca.pem", tmp_path / "ca.pem")
    with pytest.raises(AuthorityError, match="no certificate"):
        Authority.load(tmp_path / "ca.key", tmp_path / "ca.key")


def test_requests_and_names_that_are_bad_are_refused(world: World) -> None:
    with pytest.raises(AuthorityError, match="can't be read"):
        world.ours.sign(b"nonsense", names=["x"])
    with pytest.raises(AuthorityError, match="at least one name"):
        world.ours.sign(world.csr, names=[])
    with pytest.raises(AuthorityError, match="neither a host name"):
        world.ours.sign(world.csr, names=["a" * 70 + ".test"])
    ended = Authority.create("old", now=datetime.now(UTC) - timedelta(days=2), lifetime=timedelta(days=1))
    with pytest.raises(AuthorityError, match="has ended"):
        ended.sign(world.csr, names=["x"])
