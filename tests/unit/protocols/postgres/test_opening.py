"""What is said before any login: encryption asked for and answered, on both sides of the gateway."""

import pytest

from bodycam.model.target import TlsMode
from bodycam.net.opening import (
    Begin,
    Fail,
    Look,
    More,
    Plain,
    Refuse,
    Reply,
    Retry,
    StartTls,
    TargetLook,
    Tls,
)
from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.frontend import GSSENC_REQUEST, SSL_REQUEST
from bodycam.protocols.postgres.opening import Opening, TargetOpening

STARTUP = frontend.startup_message({"user": "token", "database": "orders"})
CANCEL = frontend.cancel_request(bytes(8))


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST, STARTUP, CANCEL])
def test_less_than_eight_bytes_tell_nothing(request_: bytes) -> None:
    assert {type(Opening(True).look(request_[:size])) for size in range(1, 8)} == {More}


@pytest.mark.parametrize(
    ("tls", "peeked", "found"),
    [
        (True, SSL_REQUEST, StartTls(8, b"S")),
        (False, SSL_REQUEST, Reply(8, b"N")),
        (True, GSSENC_REQUEST, Reply(8, b"N")),
        (True, STARTUP, Begin()),
        (False, CANCEL, Begin()),
    ],
)
def test_first_request(tls: bool, peeked: bytes, found: Look) -> None:
    assert Opening(tls).look(peeked) == found


def test_gssapi_is_declined_and_tls_still_begins() -> None:
    opening = Opening(True)
    assert opening.look(GSSENC_REQUEST) == Reply(8, b"N")
    assert opening.look(SSL_REQUEST) == StartTls(8, b"S")


@pytest.mark.parametrize("behind", [b"\0", STARTUP])
@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST])
def test_bytes_behind_an_encryption_request_are_refused(request_: bytes, behind: bytes) -> None:
    found = Opening(True).look(request_ + behind)
    assert isinstance(found, Refuse)
    assert backend.error_map(found.reply)["code"] == "08P01"


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST])
def test_the_same_encryption_is_asked_for_once(request_: bytes) -> None:
    opening = Opening(False)
    assert opening.look(request_) == Reply(8, b"N")
    assert isinstance(opening.look(request_), Refuse)


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n", b"\xff", b"\0\xff", b"\x7f\xff\xff\xff\0\3\0\0", bytes(8)]
)
def test_garbage_is_refused_with_an_error_of_the_protocol(garbage: bytes) -> None:
    found = Opening(True).look(garbage)
    assert isinstance(found, Refuse)
    assert backend.error_map(found.reply)["severity"] == "FATAL"


def test_direct_tls_is_closed_without_a_word() -> None:
    found = Opening(True).look(b"\x16\x03\x01")
    assert isinstance(found, Refuse)
    assert found.reply == b""


ENCRYPTED_ONLY = (TlsMode.REQUIRE, TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL)


@pytest.mark.parametrize("mode", TlsMode)
def test_what_each_mode_asks_first(mode: TlsMode) -> None:
    plain = mode in (TlsMode.DISABLE, TlsMode.ALLOW)
    assert TargetOpening(mode).first() == (None if plain else SSL_REQUEST)


@pytest.mark.parametrize("mode", [TlsMode.PREFER, *ENCRYPTED_ONLY])
def test_a_server_with_tls(mode: TlsMode) -> None:
    assert TargetOpening(mode).answered(b"S") == Tls()


@pytest.mark.parametrize("mode", ENCRYPTED_ONLY)
@pytest.mark.parametrize("answer", [b"N", b"", b"E"])
def test_no_mode_that_asks_for_tls_goes_on_without(mode: TlsMode, answer: bytes) -> None:
    found: TargetLook = TargetOpening(mode).answered(answer)
    assert isinstance(found, Fail)


def test_prefer_goes_on_without_tls() -> None:
    assert TargetOpening(TlsMode.PREFER).answered(b"N") == Plain()


def test_prefer_tries_once_more_without_tls_when_the_handshake_fails() -> None:
    opening = TargetOpening(TlsMode.PREFER)
    assert opening.refused() == Retry()
    assert opening.first() is None
    assert isinstance(opening.refused(), Fail)
