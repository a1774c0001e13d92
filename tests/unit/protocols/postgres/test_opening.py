"""Before the login: who asks for encryption, and what the answer means."""

import pytest

from bodycam.model.target import TlsMode
from bodycam.net.opening import Begin, Fail, Look, More, Plain, Refuse, Reply, Retry, StartTls, Tls
from bodycam.protocols.postgres import backend
from bodycam.protocols.postgres.frontend import GSSENC_REQUEST, SSL_REQUEST, cancel_request, startup_message
from bodycam.protocols.postgres.opening import Opening, TargetOpening, refusal

STARTUP = startup_message({"user": "token"})


def refused(look: Look) -> str:
    assert isinstance(look, Refuse)
    if look.reply:
        said = backend.error_map(look.reply)
        assert (said["severity"], said["code"]) == ("FATAL", "08P01")
        assert said["message"] == look.reason
    return look.reason


# -- the client ----------------------------------------------------------------------------------------


def test_an_ssl_request_begins_tls_where_there_is_tls() -> None:
    assert Opening(tls=True).look(SSL_REQUEST) == StartTls(8, b"S")


def test_without_tls_the_client_may_go_on_without() -> None:
    opening = Opening(tls=False)

    assert opening.look(SSL_REQUEST) == Reply(8, b"N")
    assert opening.look(STARTUP) == Begin()


@pytest.mark.parametrize("tls", [True, False])
def test_gssapi_encryption_is_declined_and_something_else_may_follow(tls: bool) -> None:
    opening = Opening(tls)

    assert opening.look(GSSENC_REQUEST) == Reply(8, b"N")
    assert opening.look(SSL_REQUEST) == (StartTls(8, b"S") if tls else Reply(8, b"N"))
    assert opening.look(STARTUP) == Begin()


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST])
@pytest.mark.parametrize("behind", [b"\0", STARTUP, b"\x16\x03\x01"])
def test_bytes_behind_an_encryption_request_are_refused(request_: bytes, behind: bytes) -> None:
    assert "before its answer" in refused(Opening(tls=True).look(request_ + behind))


@pytest.mark.parametrize("request_", [SSL_REQUEST, GSSENC_REQUEST])
def test_the_same_request_twice_is_refused(request_: bytes) -> None:
    opening = Opening(tls=False)
    opening.look(request_)

    assert "asked for twice" in refused(opening.look(request_))


@pytest.mark.parametrize("packet", [STARTUP, cancel_request(b"\0\0\0*key!"), STARTUP[:8], STARTUP + b"more"])
def test_what_is_no_encryption_request_is_the_machines(packet: bytes) -> None:
    assert Opening(tls=True).look(packet) == Begin()


HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"


@pytest.mark.parametrize("size", [1, 5, 9])
def test_tls_at_once_needs_the_protocols_own_name_in_it(size: int) -> None:
    assert Opening(tls=True).look(HELLO[:size]) == StartTls(0, b"", required_alpn="postgresql")


def test_tls_at_once_where_there_is_none_is_refused_without_a_word() -> None:
    assert refused(Opening(tls=False).look(HELLO))
    assert Opening(tls=False).look(HELLO).reply == b""  # type: ignore[union-attr]


def test_tls_behind_an_answer_of_no_is_nobodys() -> None:
    opening = Opening(tls=True)
    assert opening.look(GSSENC_REQUEST) == Reply(8, b"N")

    assert refused(opening.look(HELLO))


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"G",
        b"\0\xff",
        b"\xff" * 8,
        b"\0\0\0\7\0\3\0\0",
        b"\0\0\x27\x11\0\3\0\0",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x80\0\0\0\0\0\0\0",
    ],
)
def test_another_protocol_is_told_so_at_its_first_byte_that_shows_it(data: bytes) -> None:
    assert "not PostgreSQL's protocol" in refused(Opening(tls=True).look(data))


@pytest.mark.parametrize("packet", [SSL_REQUEST, GSSENC_REQUEST, STARTUP])
def test_one_byte_at_a_time(packet: bytes) -> None:
    opening = Opening(tls=True)

    assert [opening.look(packet[:size]) for size in range(1, 8)] == [More()] * 7
    assert opening.look(packet[:8]) == Opening(tls=True).look(packet[:8])


def test_a_refusal_before_any_login_is_postgresqls_own() -> None:
    said = backend.error_map(refusal("the gateway is full", "Try again."))

    assert said == {
        "severity": "FATAL",
        "code": "57P03",
        "message": "the gateway is full",
        "hint": "Try again.",
    }


# -- the target ----------------------------------------------------------------------------------------

FAIL = "fail"
YES = Tls(alpn=("postgresql",))


@pytest.mark.parametrize(
    ("mode", "asks", "yes", "no", "hung_up"),
    [
        (TlsMode.DISABLE, False, YES, FAIL, FAIL),
        (TlsMode.ALLOW, False, YES, FAIL, FAIL),
        (TlsMode.PREFER, True, YES, Plain(), Retry()),
        (TlsMode.REQUIRE, True, YES, FAIL, FAIL),
        (TlsMode.VERIFY_CA, True, YES, FAIL, FAIL),
        (TlsMode.VERIFY_FULL, True, YES, FAIL, FAIL),
    ],
)
def test_what_a_target_answers(mode: TlsMode, asks: bool, yes: object, no: object, hung_up: object) -> None:
    assert TargetOpening(mode).first() == (SSL_REQUEST if asks else None)
    for byte, meant in ((b"S", yes), (b"N", no), (b"", hung_up), (b"E", FAIL), (b"\x15", FAIL)):
        look = TargetOpening(mode).answered(byte)
        assert isinstance(look, Fail) if meant == FAIL else look == meant


def test_prefer_goes_without_tls_the_second_time_and_then_ends() -> None:
    opening = TargetOpening(TlsMode.PREFER)
    assert opening.first() == SSL_REQUEST

    assert opening.refused() == Retry()
    assert opening.first() is None
    assert isinstance(opening.refused(), Fail)


@pytest.mark.parametrize("mode", [mode for mode in TlsMode if mode is not TlsMode.PREFER])
def test_no_other_mode_ever_gives_up_on_what_it_demands(mode: TlsMode) -> None:
    assert isinstance(TargetOpening(mode).refused(), Fail)
