"""How a connection begins, with real clients: TLS by request and at once, and what must not come before it."""

import contextlib
import socket
import ssl
from typing import Any

import psycopg
import pytest

from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.frontend import SSL_REQUEST, startup_message
from bodycam.protocols.postgres.reading import message, text
from tests import stage
from tests.interop.raw import Client, error_in
from tests.playbook import wire


def context(gateway: stage.Gateway, *alpn: str) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(gateway.listener_ca))
    if alpn:
        made.set_alpn_protocols(list(alpn))
    return made


def connect(gateway: stage.Gateway, run: stage.Credential, **more: Any) -> psycopg.Connection[Any]:
    """Log in by password, over TLS that is checked in full."""
    return psycopg.connect(
        host="127.0.0.1",
        port=gateway.port,
        user=run.run,
        password=run.secret,
        dbname="shop",
        sslmode="verify-full",
        sslrootcert=str(gateway.listener_ca),
        gssencmode="disable",
        **more,
    )


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_libpq_gets_in_over_tls_whichever_way_it_begins(
    gateway: stage.Gateway, run: stage.Credential, negotiation: str
) -> None:
    with connect(gateway, run, sslnegotiation=negotiation) as connection:
        assert connection.pgconn.ssl_in_use
        assert connection.execute("select 'over TLS'").fetchone() == ("over TLS",)


@pytest.mark.parametrize("offered", [(), ("http/1.1",), ("h2", "http/1.1")])
def test_tls_at_once_without_the_protocols_name_is_closed(
    gateway: stage.Gateway, offered: tuple[str, ...]
) -> None:
    """As PostgreSQL 17 does: the handshake, and then the end, before any byte of the protocol."""
    with (
        socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as sock,
        context(gateway, *offered).wrap_socket(sock, server_hostname="127.0.0.1") as inner,
    ):
        with contextlib.suppress(ConnectionError):
            inner.sendall(startup_message({"user": "token", "database": "shop"}))
        with contextlib.suppress(ConnectionError):
            assert inner.recv(1000) == b""


@pytest.mark.parametrize("behind", [startup_message({"user": "token"}), b"\x16\x03\x01\x02\0", b"\0"])
def test_whatever_is_behind_an_ssl_request_in_the_clear_is_refused(
    gateway: stage.Gateway, behind: bytes
) -> None:
    with Client(gateway) as client:
        client.send(SSL_REQUEST + behind)
        said = error_in(client.rest())

    assert (said["code"], "before its answer" in said["message"]) == ("08P01", True)


def test_nothing_of_an_ssl_request_is_left_over_and_nothing_behind_it_is_lost(
    gateway: stage.Gateway, run: stage.Credential
) -> None:
    with Client(gateway) as client:
        for byte in SSL_REQUEST:
            client.send(bytes((byte,)))
        assert client.socket.recv(10) == b"S"
        with context(gateway, "postgresql").wrap_socket(client.socket, server_hostname="127.0.0.1") as inner:
            assert inner.selected_alpn_protocol() == "postgresql"
            inner.sendall(startup_message({"user": "token", "database": "shop"}))
            assert inner.recv(9) == b"R\0\0\0\x08\0\0\0\x03"


# -- versions of the protocol ------------------------------------------------------------------------


@pytest.mark.parametrize(("newest", "spoken"), [("3.0", 30000), ("3.2", 30002), ("latest", 30002)])
def test_libpq_gets_the_version_that_it_asks_for(
    gateway: stage.Gateway, run: stage.Credential, newest: str, spoken: int
) -> None:
    with psycopg.connect(run.dsn(), max_protocol_version=newest) as connection:
        assert connection.pgconn.full_protocol_version == spoken
        assert connection.execute("select 1").fetchone() == (1,)


def test_libpq_may_insist_on_the_newest(run: stage.Credential) -> None:
    with psycopg.connect(run.dsn(), min_protocol_version="3.2", max_protocol_version="3.2") as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def key_given(gateway: stage.Gateway, run: stage.Credential, startup: bytes) -> tuple[list[bytes], bytes]:
    """What comes before the password is asked for, and the cancel key behind the login."""
    with Client(gateway) as client:
        client.send(startup)
        before = [client.message()]
        while before[-1][:1] != b"R":
            before.append(client.message())
        client.send(message(b"p", text(run.secret)))
        while (said := client.message())[:1] != b"K":
            assert said[:1] in b"RSN", said
        client.send(message(b"X"))
    return before[:-1], backend.backend_key(said)


@pytest.mark.parametrize(
    ("minor", "options", "told", "size"),
    [(0, {}, None, 8), (2, {}, None, 36), (9999, {"_pq_.grease": "1"}, 2, 36), (0, {"_pq_.x": ""}, 0, 8)],
)
def test_newer_versions_and_options_are_negotiated(
    gateway: stage.Gateway,
    run: stage.Credential,
    minor: int,
    options: dict[str, str],
    told: int | None,
    size: int,
) -> None:
    asked = wire.startup_of(minor, {"user": "token", "database": "shop", **options})
    before, key = key_given(gateway, run, asked)

    assert before == ([] if told is None else [backend.negotiate_protocol_version(told, list(options))])
    assert len(key) == size
