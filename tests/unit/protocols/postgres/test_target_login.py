"""The gateway's own login at a target, against servers of every kind; the SCRAM one is scramp's real one."""

import hashlib
import re
import ssl
import struct
from dataclasses import replace

import pytest
from scramp import ScramException, ScramMechanism
from scramp.core import ScramServer

from bodycam.model.target import ChannelBinding, Dial
from bodycam.net.authority import Authority
from bodycam.net.end_point import server_end_point
from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.reading import message
from bodycam.protocols.postgres.target_failure import TargetLoginFailed
from bodycam.protocols.postgres.target_login import TargetLogin
from bodycam.protocols.postgres.target_scram import SCRAM, SCRAM_PLUS, Channel
from tests.playbook import wire

DIAL = Dial("127.0.0.1", 5432, "app", "orders", "hunter2")


def login(dial: Dial = DIAL, channel: Channel | None = None, **parameters: str) -> TargetLogin:
    return TargetLogin(dial, parameters, channel)


def fails(target: TargetLogin, *messages: bytes) -> TargetLoginFailed:
    with pytest.raises(TargetLoginFailed) as failed:
        for raw in messages:
            target.receive(raw)
    assert not target.ready
    assert "hunter2" not in failed.value.message + failed.value.hint
    return failed.value


def md5_request(salt: bytes = b"\1\2\3\4") -> bytes:
    return message(b"R", struct.pack(">i", 5), salt)


class ScramPeer:
    """The server's side of SCRAM-SHA-256; with `binding` it has a certificate, and can tell that it has."""

    def __init__(
        self, password: str = "hunter2", iterations: int = 4096, binding: bytes | None = None
    ) -> None:
        mechanism = ScramMechanism(SCRAM)
        keys = mechanism.make_auth_info(password, iteration_count=iterations)
        bound = None if binding is None else ("tls-server-end-point", binding)
        self._server: ScramServer = mechanism.make_server(lambda _: keys, bound)
        self.header = b""

    def first(self, said: bytes) -> bytes:
        mechanism, first = frontend.sasl_initial_response(said)
        self.header = first.partition(b",")[0]
        assert mechanism == (SCRAM_PLUS if self.header.startswith(b"p=") else SCRAM)
        self._server.set_client_first(first.decode())
        return backend.authentication_sasl_continue(self._server.get_server_first().encode())

    def final(self, said: bytes) -> bytes:
        self._server.set_client_final(frontend.sasl_response(said).decode())
        return backend.authentication_sasl_final(self._server.get_server_final().encode())


def after_scram(target: TargetLogin, peer: ScramPeer, offered: tuple[str, ...] = (SCRAM,)) -> bytes:
    """Up to the server's own proof, which is returned and not yet given to the gateway."""
    opening = target.receive(backend.authentication_sasl(offered))
    assert opening is not None
    answer = target.receive(peer.first(opening))
    assert answer is not None
    assert b"hunter2" not in opening + answer
    return peer.final(answer)


# -- the ways in ---------------------------------------------------------------------------------------


def test_the_startup_message() -> None:
    packet = login(application_name="bodycam/run_a/bot").start()

    assert frontend.startup(packet) == frontend.Startup(
        3, 0, {"user": "app", "database": "orders", "application_name": "bodycam/run_a/bot"}
    )


def test_trust() -> None:
    target = login(replace(DIAL, password=None))
    said = [wire.status("server_version", "16.2"), wire.notice("welcome")]
    for raw in (wire.AUTH_OK, *said, wire.key_data(), wire.ready("I")):
        assert target.receive(raw) is None

    assert target.ready
    assert target.status == ord("I")
    assert target.status_messages == said
    assert (target.cancel_key, target.backend_pid) == (b"\0\0\0\x2atkey", 42)


def test_cleartext() -> None:
    target = login()

    assert target.receive(wire.AUTH_CLEARTEXT) == frontend.password_message("hunter2")
    target.receive(wire.AUTH_OK)
    target.receive(wire.ready())
    assert target.ready


def test_md5() -> None:
    inner = hashlib.md5(b"hunter2app").hexdigest()  # the server stores this, after "md5"
    proof = "md5" + hashlib.md5(inner.encode() + b"\1\2\3\4").hexdigest()

    assert login().receive(md5_request()) == frontend.password_message(proof)


@pytest.mark.parametrize("iterations", [4096, 20_000])
def test_scram(iterations: int) -> None:
    target = login()

    assert target.receive(after_scram(target, ScramPeer(iterations=iterations))) is None
    target.receive(wire.AUTH_OK)
    target.receive(wire.ready())
    assert target.ready


def test_scram_with_names_and_passwords_beyond_ascii() -> None:
    target = login(replace(DIAL, user="bücher\u0007", password="pässwörter €"))

    target.receive(after_scram(target, ScramPeer("pässwörter €")))
    target.receive(wire.AUTH_OK)


def test_a_cancel_key_of_a_newer_server_is_longer() -> None:
    target = login()
    target.receive(wire.AUTH_OK)
    target.receive(wire.key_data(b"\0\0\0\x2a" + bytes(32)))

    assert target.cancel_key == b"\0\0\0\x2a" + bytes(32)
    assert target.backend_pid == 42


def test_a_server_that_knows_only_an_older_minor_version_is_followed() -> None:
    target = login()

    assert target.receive(backend.negotiate_protocol_version(0, [])) is None
    target.receive(wire.AUTH_OK)


# -- servers that may be somebody else -----------------------------------------------------------------


def test_a_server_whose_proof_is_wrong() -> None:
    target = login()
    proof = after_scram(target, ScramPeer())
    forged = re.sub(rb"v=..", b"v=xx", proof)
    assert forged != proof

    assert fails(target, forged).sqlstate == "28000"


def test_a_server_that_skips_its_proof() -> None:
    target = login()
    after_scram(target, ScramPeer())

    assert "did not prove" in fails(target, wire.AUTH_OK).message


def test_a_server_that_lets_the_gateway_in_before_it_saw_any_proof() -> None:
    target = login()
    target.receive(backend.authentication_sasl([SCRAM]))

    assert "did not prove" in fails(target, wire.AUTH_OK).message


def test_a_server_with_another_nonce() -> None:
    target = login()
    target.receive(backend.authentication_sasl([SCRAM]))
    stranger = b"r=somebody-elses-nonce,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4096"

    assert fails(target, backend.authentication_sasl_continue(stranger)).sqlstate == "28000"


@pytest.mark.parametrize("iterations", [b"2000000", b"9999999", b"99999999999"])
def test_a_server_that_asks_for_too_much_computing(iterations: bytes) -> None:
    target = login()
    opening = target.receive(backend.authentication_sasl([SCRAM]))
    assert opening is not None
    nonce = opening.partition(b"r=")[2]
    first = b"r=" + nonce + b"srv,s=c2FsdHNhbHRzYWx0c2FsdA==,i=" + iterations

    assert fails(target, backend.authentication_sasl_continue(first)).sqlstate == "28000"


# -- channel binding -----------------------------------------------------------------------------------

DER = ssl.PEM_cert_to_DER_cert(Authority.create("a target").certificate_pem.decode())
TLS = Channel(secure=True, certificate=DER)
PLAIN = Channel()
BOTH, ONE = (SCRAM_PLUS, SCRAM), (SCRAM,)
NEVER, MAYBE, ALWAYS = ChannelBinding.DISABLE, ChannelBinding.PREFER, ChannelBinding.REQUIRE


@pytest.mark.parametrize(
    ("wanted", "channel", "offered", "header"),
    [
        (MAYBE, TLS, BOTH, b"p=tls-server-end-point"),
        (ALWAYS, TLS, BOTH, b"p=tls-server-end-point"),
        (MAYBE, TLS, (SCRAM_PLUS,), b"p=tls-server-end-point"),
        (MAYBE, TLS, ONE, b"y"),
        (NEVER, TLS, BOTH, b"n"),
        (NEVER, TLS, ONE, b"n"),
        (MAYBE, PLAIN, ONE, b"n"),
        (NEVER, PLAIN, ONE, b"n"),
    ],
)
def test_what_the_proof_says_of_its_binding(
    wanted: ChannelBinding, channel: Channel, offered: tuple[str, ...], header: bytes
) -> None:
    target = login(replace(DIAL, channel_binding=wanted), channel)
    peer = ScramPeer(binding=server_end_point(DER) if SCRAM_PLUS in offered else None)

    target.receive(after_scram(target, peer, offered))
    assert peer.header == header
    target.receive(wire.AUTH_OK)
    target.receive(wire.ready())
    assert target.ready


@pytest.mark.parametrize(
    ("wanted", "channel", "offered", "said"),
    [
        (ALWAYS, TLS, ONE, "offers no SCRAM-SHA-256-PLUS"),
        (ALWAYS, PLAIN, ONE, "has no TLS"),
        (ALWAYS, PLAIN, BOTH, "has no TLS"),
        (MAYBE, PLAIN, BOTH, "took TLS off"),
        (NEVER, PLAIN, BOTH, "took TLS off"),
        (NEVER, TLS, (SCRAM_PLUS,), "offers no SCRAM-SHA-256,"),
        (MAYBE, Channel(True, b"no certificate"), BOTH, "can't be read"),
        (ALWAYS, Channel(True, b""), BOTH, "can't be read"),
    ],
)
def test_what_is_offered_and_will_not_do(
    wanted: ChannelBinding, channel: Channel, offered: tuple[str, ...], said: str
) -> None:
    failed = fails(
        login(replace(DIAL, channel_binding=wanted), channel), backend.authentication_sasl(offered)
    )

    assert said in failed.message
    assert failed.sqlstate in ("28000", "0A000")


def test_a_server_that_could_bind_finds_out_that_somebody_took_the_offer_away() -> None:
    target = login(channel=TLS)
    opening = target.receive(backend.authentication_sasl(ONE))
    assert opening is not None

    with pytest.raises(ScramException, match="channel binding"):
        ScramPeer(binding=server_end_point(DER)).first(opening)


def test_a_proof_given_to_somebody_with_another_certificate_is_worth_nothing() -> None:
    other = ssl.PEM_cert_to_DER_cert(Authority.create("in between").certificate_pem.decode())
    target = login(channel=Channel(True, other))

    with pytest.raises(ScramException, match="channel bindings"):
        after_scram(target, ScramPeer(binding=server_end_point(DER)), BOTH)


@pytest.mark.parametrize(
    "raw",
    [wire.AUTH_OK, wire.AUTH_CLEARTEXT, md5_request(), message(b"R", struct.pack(">i", 7))],
    ids=["trust", "cleartext", "md5", "gss"],
)
def test_where_binding_is_required_nothing_else_will_do_and_no_password_leaves(raw: bytes) -> None:
    for channel in (TLS, PLAIN):
        failed = fails(login(replace(DIAL, channel_binding=ALWAYS), channel), raw)
        assert failed.message.startswith("channel binding is required")
        assert "channel_binding" in failed.hint


def test_a_second_exchange_is_no_way_to_a_weaker_one() -> None:
    target = login(channel=TLS)
    target.receive(backend.authentication_sasl(BOTH))

    assert fails(target, backend.authentication_sasl(ONE)).sqlstate == "08P01"


# -- refusals and nonsense -----------------------------------------------------------------------------


def test_what_the_server_says_is_what_is_told() -> None:
    failed = fails(login(), wire.error("28P01", 'password authentication failed for user "app"', "FATAL"))

    assert (failed.sqlstate, failed.message) == ("28P01", 'password authentication failed for user "app"')
    assert "settings" in failed.hint


@pytest.mark.parametrize(
    ("kind", "name"),
    [(2, "KERBEROS"), (7, "GSS"), (9, "SSPI"), (8, "GSS_CONTINUE"), (99, "number 99"), (-1, "number -1")],
)
def test_methods_that_the_gateway_has_not(kind: int, name: str) -> None:
    failed = fails(login(), message(b"R", struct.pack(">i", kind)))

    assert failed.sqlstate == "0A000"
    assert failed.message.endswith(name)


def test_a_server_with_other_sasl_mechanisms() -> None:
    failed = fails(login(), backend.authentication_sasl(["OAUTHBEARER"]))

    assert (failed.sqlstate, "OAUTHBEARER" in failed.message) == ("0A000", True)


@pytest.mark.parametrize("raw", [wire.AUTH_CLEARTEXT, md5_request(), backend.authentication_sasl([SCRAM])])
def test_a_password_that_the_settings_do_not_give(raw: bytes) -> None:
    failed = fails(login(replace(DIAL, password=None)), raw)

    assert failed.sqlstate == "28P01"
    assert "`password`" in failed.hint


@pytest.mark.parametrize("password", ["a\0b", "a\u0007b"])
def test_a_password_that_can_not_be_sent(password: str) -> None:
    dial = replace(DIAL, password=password)
    raw = wire.AUTH_CLEARTEXT if "\0" in password else backend.authentication_sasl([SCRAM])

    assert fails(login(dial), raw).sqlstate == "28P01"


@pytest.mark.parametrize(
    "messages",
    [
        [wire.ready()],
        [wire.row(b"1")],
        [wire.AUTH_OK, wire.AUTH_CLEARTEXT],
        [backend.authentication_sasl_continue(b"r=1")],
        [backend.authentication_sasl_final(b"v=1")],
        [backend.authentication_sasl([SCRAM]), backend.authentication_sasl_final(b"v=1")],
        [backend.authentication_sasl([SCRAM]), backend.authentication_sasl_continue(b"\xff\xff")],
        [backend.authentication_sasl([SCRAM]), backend.authentication_sasl_continue(b"")],
        [md5_request(b"\1\2")],
        [message(b"R", b"\0\0")],
        [message(b"E", b"Sno end")],
        [message(b"K", b"short")],
        [wire.AUTH_OK, message(b"Z")],
    ],
)
def test_a_login_that_makes_no_sense(messages: list[bytes]) -> None:
    assert fails(login(), *messages).sqlstate in ("08P01", "28000")


def test_a_server_that_never_stops_talking() -> None:
    target = login()
    target.receive(wire.AUTH_OK)
    with pytest.raises(TargetLoginFailed, match="more in its login") as failed:
        for _ in range(200):
            target.receive(wire.notice("x" * 10_000))

    assert failed.value.sqlstate == "54000"


def test_no_password_in_what_a_person_or_a_log_may_print() -> None:
    assert "hunter2" not in repr(DIAL)
