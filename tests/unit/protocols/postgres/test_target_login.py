"""The gateway's own login at a target, against a server written by the same library that the gateway's is."""

import hashlib
import struct

import pytest
from scramp import ScramMechanism

from bodycam.model.target import Dial
from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.reading import message, text
from bodycam.protocols.postgres.target_login import SCRAM, TargetLogin, TargetLoginFailed

READY = backend.ready_for_query_message(ord("I"))
KEY = b"\0\0\0\x2asecr"


def login(password: str | None = "pencil") -> TargetLogin:
    return TargetLogin(Dial("db", 5432, "gateway", "shop", password), {"application_name": "bodycam"})


def scram(one: TargetLogin, *, password: str = "pencil", forged: bool = False) -> None:
    """A SCRAM exchange with a server that knows `password`; `forged` breaks the server's own proof."""
    mechanism = ScramMechanism(SCRAM)
    server = mechanism.make_server(lambda user: mechanism.make_auth_info(password))
    first = one.receive(backend.authentication_sasl([f"{SCRAM}-PLUS", SCRAM]))
    assert first is not None
    name, data = frontend.sasl_initial_response(first)
    assert name == SCRAM
    server.set_client_first(data.decode())
    final = one.receive(backend.authentication_sasl_continue(server.get_server_first().encode()))
    assert final is not None
    server.set_client_final(frontend.sasl_response(final).decode())
    said = server.get_server_final().encode()
    one.receive(backend.authentication_sasl_final(b"v=" + b"A" * 43 + b"=" if forged else said))


def test_the_startup_message_names_user_database_and_the_rest() -> None:
    assert frontend.startup(login().start()) == frontend.Startup(
        3, 0, {"user": "gateway", "database": "shop", "application_name": "bodycam"}
    )


def test_trust() -> None:
    one = login(None)
    status, notice = message(b"S", text("a"), text("b")), backend.notice_response("NOTICE", "00000", "hi")
    for raw in (backend.authentication_ok(), status, notice, backend.backend_key_data(KEY), READY):
        assert one.receive(raw) is None
    assert (one.ready, one.cancel_key, one.backend_pid) == (True, KEY, 42)
    assert one.status_messages == [status, notice]


def test_cleartext() -> None:
    assert login().receive(backend.authentication_cleartext()) == frontend.password_message("pencil")


def test_md5() -> None:
    inner = hashlib.md5(b"pencilgateway", usedforsecurity=False).hexdigest().encode()
    expected = "md5" + hashlib.md5(inner + b"salt", usedforsecurity=False).hexdigest()
    asked = message(b"R", struct.pack(">i", 5), b"salt")
    assert login().receive(asked) == frontend.password_message(expected)


def test_scram_takes_the_plain_mechanism_and_both_sides_prove_themselves() -> None:
    one = login()
    scram(one)
    one.receive(backend.authentication_ok())
    one.receive(READY)
    assert one.ready


def test_a_server_that_can_not_prove_itself_is_refused() -> None:
    with pytest.raises(TargetLoginFailed, match="proof does not hold"):
        scram(login(), forged=True)


def test_a_server_that_leaves_its_proof_out_is_refused() -> None:
    one = login()
    one.receive(backend.authentication_sasl([SCRAM]))
    with pytest.raises(TargetLoginFailed, match="did not prove"):
        one.receive(backend.authentication_ok())


def test_an_error_of_the_server_keeps_its_sqlstate() -> None:
    with pytest.raises(TargetLoginFailed, match="no such database") as failed:
        login().receive(backend.error_response("FATAL", "3D000", "no such database"))
    assert failed.value.sqlstate == "3D000"
    assert failed.value.hint


@pytest.mark.parametrize("kind", [2, 7, 9, 99])
def test_a_method_that_the_gateway_does_not_have(kind: int) -> None:
    with pytest.raises(TargetLoginFailed, match="doesn't have") as failed:
        login().receive(message(b"R", struct.pack(">i", kind)))
    assert (failed.value.sqlstate, "pg_hba.conf" in failed.value.hint) == ("0A000", True)


def test_a_password_that_is_asked_for_and_not_set() -> None:
    with pytest.raises(TargetLoginFailed, match="the settings give none"):
        login(None).receive(backend.authentication_cleartext())


@pytest.mark.parametrize(
    "raw",
    [
        READY,
        message(b"D", b"\0\0"),
        message(b"R", b"\0"),
        message(b"K", b"\0"),
        backend.authentication_sasl(["OTHER"]),
        backend.authentication_sasl_final(b"v=AAAA"),
    ],
    ids=["ready-too-early", "a-row", "half-a-number", "short-key", "other-mechanism", "proof-unasked"],
)
def test_nonsense_is_a_failed_login(raw: bytes) -> None:
    with pytest.raises(TargetLoginFailed):
        login().receive(raw)
