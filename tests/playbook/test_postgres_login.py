"""Logins: the client proves itself to the gateway, the gateway to the target, and who is told what."""

import struct
from dataclasses import replace
from typing import Any

import pytest

from bodycam.model.event import Kind
from bodycam.model.identity import Run
from bodycam.model.target import ChannelBinding, Dial, TlsMode
from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.login import SQLSTATES
from bodycam.protocols.postgres.machine import PostgresMachine
from bodycam.session.grant import Challenge, Grant, Method, Refusal, RefusalCode, Wanted
from bodycam.session.link import (
    AskCancel,
    AskChallenge,
    AskDial,
    AskOpen,
    AskRespond,
    CancelPassed,
    DialDone,
    DialFailed,
)
from tests.playbook import wire
from tests.playbook.conftest import log_in
from tests.playbook.play import CHALLENGE_CLEARTEXT, CHALLENGE_SCRAM, DIALLED, GRANT, RUN, Play

STARTUP = wire.startup(user="run_aaaaaaaaaaaaaaaa", database="orders/sales", application_name="psql")
PASSWORD = wire.message(b"p", wire.text("bcr_secret"))
AUTHENTICATED = [wire.AUTH_OK, wire.status("server_version", "16.2"), wire.key_data(), wire.ready()]


def to_dial(play: Play, grant: Grant = GRANT) -> Play:
    """A cleartext login up to the dial."""
    play.client(STARTUP)
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(PASSWORD)
    play.answer(grant)
    assert play.needs == [AskDial(grant.dial)]  # type: ignore[arg-type]
    play.client_gets(), play.recorded()
    return play


def kinds(play: Play) -> list[Kind]:
    return [kind for kind, _, _ in play.journal.entries]


def closed(play: Play) -> tuple[str, str]:
    body = play.journal.entries[-1][2]
    assert play.journal.entries[-1][0] is Kind.CLOSED
    return body["outcome"], body["reason"]


# -- the ways in ---------------------------------------------------------------------------------------


def test_scram_is_relayed_to_who_knows_the_verifier(play: Play) -> None:
    play.client(STARTUP)
    assert play.needs == [AskChallenge("run_aaaaaaaaaaaaaaaa")]
    play.answer(CHALLENGE_SCRAM)
    assert play.client_gets() == backend.authentication_sasl(["SCRAM-SHA-256"])

    play.client(frontend.sasl_initial_message("SCRAM-SHA-256", b"n,,n=,r=abc"))
    assert play.needs == [AskRespond("login-1", b"n,,n=,r=abc")]
    play.answer(b"r=abcdef,s=c2FsdA==,i=4096")
    assert play.client_gets() == backend.authentication_sasl_continue(b"r=abcdef,s=c2FsdA==,i=4096")

    play.client(frontend.sasl_message(b"c=biws,r=abcdef,p=xyz"))
    wanted = Wanted("postgres", "orders", "sales", play.address, {"application_name": "psql"})
    assert play.needs == [AskOpen("login-1", b"c=biws,r=abcdef,p=xyz", wanted)]
    play.answer(replace(GRANT, proof=b"v=signature"))
    assert play.client_gets() == backend.authentication_sasl_final(b"v=signature")

    play.answer(DIALLED)
    play.target(*AUTHENTICATED)
    assert play.client_gets() == (
        wire.AUTH_OK + wire.status("server_version", "16.2") + wire.key_data(play.keys[0]) + wire.ready()
    )
    assert play.is_ready


def test_cleartext(play: Play) -> None:
    play.client(STARTUP)
    play.answer(CHALLENGE_CLEARTEXT)
    assert play.client_gets() == wire.AUTH_CLEARTEXT

    play.client(PASSWORD)
    assert isinstance(play.needs[0], AskOpen)
    assert play.needs[0].proof == b"bcr_secret"
    play.answer(GRANT)
    play.answer(DIALLED)
    play.target(*AUTHENTICATED)

    assert play.client_gets().startswith(wire.AUTH_OK)


def test_who_has_shown_a_certificate_is_asked_for_nothing(play: Play) -> None:
    play.client(STARTUP)
    play.answer(Challenge("login-1", Method.CERTIFICATE))
    wanted = Wanted("postgres", "orders", "sales", play.address, {"application_name": "psql"})
    assert play.needs == [AskOpen("login-1", b"", wanted)]
    assert play.client_gets() == b""

    play.answer(GRANT)
    play.answer(DIALLED)
    play.target(*AUTHENTICATED)
    assert play.client_gets() == (
        wire.AUTH_OK + wire.status("server_version", "16.2") + wire.key_data(play.keys[0]) + wire.ready()
    )


def test_a_password_that_nobody_asked_for_is_no_way_past_the_certificate(play: Play) -> None:
    play.client(STARTUP)
    play.answer(Challenge("login-1", Method.CERTIFICATE))
    play.client(PASSWORD)

    assert backend.error_map(play.client_gets())["code"] == "08P01"
    assert play.closed


@pytest.mark.parametrize("at", ["challenge", "open"])
def test_a_certificate_that_proves_nothing_is_told_so(play: Play, at: str) -> None:
    play.client(STARTUP)
    if at == "open":
        play.answer(Challenge("login-1", Method.CERTIFICATE))
    play.answer(Refusal(RefusalCode.BAD_CERTIFICATE, "the client certificate has ended", "get another"))

    said = backend.error_map(play.client_gets())
    assert (said["code"], said["message"]) == ("28000", "the client certificate has ended")
    assert play.closed


def test_one_byte_at_a_time_it_is_the_same_login(play: Play) -> None:
    for byte in STARTUP:
        play.client(bytes((byte,)))
    play.answer(CHALLENGE_CLEARTEXT)
    for byte in PASSWORD:
        play.client(bytes((byte,)))
    play.answer(GRANT)
    play.answer(DIALLED)
    for byte in b"".join(AUTHENTICATED):
        play.target(bytes((byte,)))

    assert play.is_ready
    assert play.client_gets().endswith(wire.ready())


def test_a_database_that_names_no_target_is_left_to_the_control_process(play: Play) -> None:
    play.client(wire.startup(user="token"))
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(PASSWORD)

    assert isinstance(play.needs[0], AskOpen)
    assert (play.needs[0].wanted.target, play.needs[0].wanted.database) == ("", None)


def test_names_that_are_no_utf_8_are_nobodys_and_no_targets(play: Play) -> None:
    play.client(wire.startup(user="t\udcff", database="shop\udcff/x\udcfe", application_name="caf\udce9"))
    assert play.needs == [AskChallenge("t\\xff")]
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(PASSWORD)

    assert isinstance(play.needs[0], AskOpen)
    wanted = play.needs[0].wanted
    assert (wanted.target, wanted.database, wanted.claims) == (
        "shop\\xff",
        "x\\xfe",
        {"application_name": "caf\\xe9"},
    )


def test_the_gateway_logs_in_at_the_target_by_its_own_password(play: Play) -> None:
    to_dial(play).answer(DIALLED)
    startup = frontend.startup(play.target_sees())
    assert isinstance(startup, frontend.Startup)
    assert (startup.parameters["user"], startup.parameters["database"]) == ("app", "orders")

    play.target(wire.AUTH_CLEARTEXT)
    assert play.target_sees() == frontend.password_message("hunter2")


def test_a_query_that_comes_with_the_targets_answer_in_one_read_is_not_lost(play: Play) -> None:
    to_dial(play).answer(DIALLED)
    play.target(*AUTHENTICATED, wire.notice("welcome"))

    assert play.client_gets().endswith(wire.ready() + wire.notice("welcome"))


# -- what the target is told ---------------------------------------------------------------------------


def test_the_targets_own_log_can_be_joined_to_the_run(play: Play) -> None:
    to_dial(play).answer(DIALLED)
    startup = frontend.startup(play.target_sees())

    assert isinstance(startup, frontend.Startup)
    assert startup.parameters["application_name"] == "bodycam/run_aaaaaaaaaaaaaaaa/billing-bot"


def test_an_agents_name_is_cut_to_what_an_application_name_holds(play: Play) -> None:
    run: Run = replace(RUN, agent="Rechnungs-Prüfer " * 10)
    to_dial(play, replace(GRANT, run=run)).answer(DIALLED)
    startup = frontend.startup(play.target_sees())

    assert isinstance(startup, frontend.Startup)
    name = startup.parameters["application_name"]
    assert name.startswith("bodycam/run_aaaaaaaaaaaaaaaa/Rechnungs-Pr?fer")
    assert len(name.encode()) == 63


def test_the_clients_settings_go_on_and_its_names_do_not(play: Play) -> None:
    play.client(
        wire.startup(user="token", database="orders", client_encoding="LATIN1", options="-c geqo=off")
    )
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(PASSWORD)
    play.answer(GRANT)
    play.answer(DIALLED)
    startup = frontend.startup(play.target_sees())

    assert isinstance(startup, frontend.Startup)
    assert startup.parameters["client_encoding"] == "LATIN1"
    assert startup.parameters["options"] == "-c geqo=off"
    assert startup.parameters["user"] == "app"


# -- refusals ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(RefusalCode))
def test_every_refusal_has_its_sqlstate(play: Play, code: RefusalCode) -> None:
    play.client(STARTUP)
    play.answer(CHALLENGE_CLEARTEXT)
    play.client_gets()
    play.client(PASSWORD)
    play.answer(Refusal(code, "no way in", "knock elsewhere"))

    assert backend.error_map(play.client_gets()) == {
        "severity": "FATAL",
        "code": SQLSTATES[code],
        "message": "no way in",
        "hint": "knock elsewhere",
    }
    assert play.closed
    assert play.journal.entries == []


@pytest.mark.parametrize("step", ["challenge", "respond"])
def test_a_refusal_may_come_at_every_step(play: Play, step: str) -> None:
    refusal = Refusal(RefusalCode.UNAVAILABLE, "the control process is away")
    play.client(STARTUP)
    if step == "respond":
        play.answer(CHALLENGE_SCRAM)
        play.client_gets()
        play.client(frontend.sasl_initial_message("SCRAM-SHA-256", b"n,,n=,r=abc"))
    play.answer(refusal)

    assert backend.error_map(play.client_gets())["code"] == "57P03"
    assert play.closed


def test_a_refusal_of_somebody_known_is_a_failed_session(play: Play) -> None:
    play.client(STARTUP)
    play.answer(CHALLENGE_CLEARTEXT)
    play.client_gets()
    play.client(PASSWORD)
    play.answer(
        Refusal(RefusalCode.NOT_ALLOWED, "billing-bot may not open orders", grant=replace(GRANT, dial=None))
    )

    assert backend.error_map(play.client_gets())["code"] == "42501"
    assert kinds(play) == [Kind.OPENED, Kind.TO_CLIENT, Kind.FINISH, Kind.CLOSED]
    assert closed(play) == ("failed", "billing-bot may not open orders")
    assert play.target_sees() == b""
    assert play.closed


def test_another_mechanism_than_the_offered_one(play: Play) -> None:
    play.client(STARTUP)
    play.answer(CHALLENGE_SCRAM)
    play.client_gets()
    play.client(frontend.sasl_initial_message("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"))

    assert backend.error_map(play.client_gets())["code"] == "28000"
    assert play.closed


@pytest.mark.parametrize("message", [wire.query("select 1"), wire.SYNC, wire.copy_data(b"x")])
def test_a_statement_before_the_proof(play: Play, message: bytes) -> None:
    play.client(STARTUP)
    play.answer(CHALLENGE_CLEARTEXT)
    play.client_gets()
    play.client(message)

    assert backend.error_map(play.client_gets())["code"] == "08P01"
    assert play.closed
    assert play.target_sees() == b""


def test_a_client_that_proves_itself_before_it_is_asked(play: Play) -> None:
    play.client(STARTUP)
    play.client(PASSWORD)

    assert backend.error_map(play.client_gets())["code"] == "08P01"


def test_a_client_that_ends_in_order_before_its_proof(play: Play) -> None:
    play.client(STARTUP)
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(wire.TERMINATE)

    assert play.closed
    assert play.journal.entries == []


# -- the startup packet --------------------------------------------------------------------------------


@pytest.mark.parametrize(("major", "minor"), [(2, 0), (1, 0), (4, 0), (4, 2), (0, 0), (0xFFFF, 0xFFFF)])
def test_a_protocol_version_that_is_not_served(play: Play, major: int, minor: int) -> None:
    play.client(wire.startup_of(minor, {"user": "token"}, major=major))

    error = backend.error_map(play.client_gets())
    assert (error["code"], error["message"]) == ("0A000", f"protocol version {major}.{minor} is not served")
    assert "3.0 to 3.2" in error["hint"]
    assert play.closed
    assert play.needs == []


@pytest.mark.parametrize("value", ["true", "on", "1", "t", "yes", "database", "DATABASE", "maybe"])
def test_replication_is_refused_when_it_is_known_who_asks_for_it(play: Play, value: str) -> None:
    play.client(wire.startup(user="token", database="orders", replication=value))
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(PASSWORD)
    assert play.client_gets() == wire.AUTH_CLEARTEXT
    play.answer(GRANT)

    error = backend.error_map(play.client_gets())
    assert (error["code"], "replication" in error["message"], bool(error["hint"])) == ("0A000", True, True)
    assert (play.needs, play.target_sees(), play.closed) == ([], b"", True)
    assert kinds(play)[0] is Kind.OPENED
    assert closed(play) == ("failed", "replication connections are not served by this gateway")


@pytest.mark.parametrize("value", ["false", "off", "no", "0", "f", "F", "n", "of", ""])
def test_no_replication_is_no_reason_to_refuse(play: Play, value: str) -> None:
    play.client(wire.startup(user="token", replication=value))
    play.answer(CHALLENGE_CLEARTEXT)
    play.client(PASSWORD)
    play.answer(GRANT)

    assert play.needs == [AskDial(GRANT.dial)]  # type: ignore[arg-type]
    play.answer(DIALLED)
    at_target = frontend.startup(play.target_sees())
    assert isinstance(at_target, frontend.Startup)
    assert "replication" not in at_target.parameters


# what the client asks for; which minor version it is told of (None: it is told nothing), and how long its
# cancel key is
VERSIONS = [
    (0, {}, None, 8),
    (1, {}, None, 8),
    (2, {}, None, 36),
    (3, {}, 2, 36),
    (9999, {}, 2, 36),
    (0xFFFF, {}, 2, 36),
    (0, {"_pq_.compression": "on"}, 0, 8),
    (2, {"_pq_.a": "", "_pq_.b": "1"}, 2, 36),
    (9999, {"_pq_.grease": "on"}, 2, 36),
]


@pytest.mark.parametrize(("asked", "options", "told", "size"), VERSIONS)
def test_which_version_is_spoken(
    play: Play, asked: int, options: dict[str, str], told: int | None, size: int
) -> None:
    play.client(wire.startup_of(asked, {"user": "token", "database": "orders", **options}))
    play.answer(CHALLENGE_CLEARTEXT)
    negotiated = b"" if told is None else backend.negotiate_protocol_version(told, list(options))
    assert play.client_gets() == negotiated + wire.AUTH_CLEARTEXT

    play.client(PASSWORD)
    play.answer(GRANT)
    play.answer(DIALLED)
    at_target = frontend.startup(play.target_sees())
    play.target(*AUTHENTICATED)

    assert len(play.keys[0]) == size
    assert wire.key_data(play.keys[0]) in play.client_gets()
    # towards the target it is 3.0, and no option of the client's protocol goes there
    assert isinstance(at_target, frontend.Startup)
    assert (at_target.major, at_target.minor) == (3, 0)
    assert not [name for name in at_target.parameters if name.startswith("_pq_.")]


@pytest.mark.parametrize("size", [8, 36, 260])
def test_a_cancel_with_a_key_of_any_length_is_passed_on(play: Play, size: int) -> None:
    key = bytes(range(4)) + bytes(size - 4)
    play.client(frontend.cancel_request(key))

    assert play.needs == [AskCancel(key)]


@pytest.mark.parametrize("size", [4, 7, 261, 5000])
def test_a_cancel_with_a_key_that_no_server_gives(play: Play, size: int) -> None:
    play.client(frontend.cancel_request(bytes(size)))

    assert (play.needs, play.closed, play.strangers) == ([], True, 1)


@pytest.mark.parametrize("size", [36, 260])
def test_a_long_cancel_key_of_the_target_is_used_and_not_told(play: Play, size: int) -> None:
    theirs = b"\0\0\0\x2a" + bytes(range(7, 39)).ljust(size - 4, b"z")
    to_dial(play).answer(DIALLED)
    play.target(wire.AUTH_OK, wire.key_data(theirs), wire.ready())

    assert theirs[4:] not in play.client_gets()
    play.machine.cancel()
    assert play.knocks == [(GRANT.dial, frontend.cancel_request(theirs))]
    assert theirs[4:].hex() not in repr(play.journal.entries)


@pytest.mark.parametrize("size", [7, 261, 1000])
def test_a_cancel_key_that_no_server_gives_ends_the_login(play: Play, size: int) -> None:
    to_dial(play).answer(DIALLED)
    play.target(wire.AUTH_OK, wire.key_data(bytes(size)))

    assert backend.error_map(play.client_gets())["code"] == "08P01"
    assert closed(play)[0] == "failed"


def test_a_startup_without_a_user(play: Play) -> None:
    play.client(wire.startup(database="orders"))

    assert backend.error_map(play.client_gets())["code"] == "28000"


@pytest.mark.parametrize("length", [0, 7, 10_001, 2**31 - 1, 2**31, 2**32 - 1])
def test_a_startup_of_a_length_that_can_not_be(play: Play, length: int) -> None:
    play.client(struct.pack(">I", length))

    assert backend.error_map(play.client_gets())["code"] == "08P01"
    assert play.closed


def test_half_a_startup_and_then_nobody(play: Play) -> None:
    play.client(STARTUP[:20])
    play.machine.client_gone()

    assert play.closed
    assert (play.needs, play.journal.entries) == ([], [])


def test_bytes_behind_the_startup_are_nobodys(play: Play) -> None:
    play.client(STARTUP + wire.query("select 1"))

    assert backend.error_map(play.client_gets())["code"] == "08P01"
    assert play.closed


def test_a_cancel_request_is_passed_on_and_then_answered_by_closing(play: Play) -> None:
    play.client(frontend.cancel_request(b"\0\0\0*key!"))

    assert play.needs == [AskCancel(b"\0\0\0*key!")]
    assert not play.closed, "the client would take it for word that no later statement can be hit"

    play.answer(CancelPassed())

    assert play.client_gets() == b""
    assert play.closed


def test_whoever_leaves_before_its_cancel_has_arrived_is_no_trouble(play: Play) -> None:
    play.client(frontend.cancel_request(b"\0\0\0*key!"))
    play.machine.client_gone()
    assert play.closed

    play.answer(CancelPassed())
    assert play.client_gets() == b""


# -- the target ----------------------------------------------------------------------------------------


def test_a_target_that_can_not_be_reached(play: Play) -> None:
    to_dial(play).answer(DialFailed("nothing listens at 127.0.0.1:5432", "Is it running?"))

    error = backend.error_map(play.client_gets())
    assert error["code"] == "08001"
    assert error["message"] == "target orders: nothing listens at 127.0.0.1:5432"
    assert error["hint"] == "Is it running?"
    assert closed(play) == ("failed", "target orders: nothing listens at 127.0.0.1:5432")
    assert Kind.FINISH in kinds(play)


def test_a_target_that_refuses_says_so_in_its_own_words(play: Play) -> None:
    to_dial(play).answer(DIALLED)
    play.target(wire.error("3D000", 'database "orders" does not exist', "FATAL"))

    error = backend.error_map(play.client_gets())
    assert (error["code"], error["message"]) == ("3D000", 'target orders: database "orders" does not exist')
    assert closed(play)[0] == "failed"
    assert play.closed


@pytest.mark.parametrize(
    ("mode", "secure", "then"),
    [
        (TlsMode.ALLOW, False, TlsMode.REQUIRE),
        (TlsMode.PREFER, True, TlsMode.DISABLE),
        (TlsMode.ALLOW, True, None),
        (TlsMode.PREFER, False, None),
        (TlsMode.REQUIRE, True, None),
        (TlsMode.DISABLE, False, None),
        (TlsMode.VERIFY_FULL, True, None),
    ],
)
def test_a_target_that_wants_it_the_other_way_is_dialled_once_more(
    play: Play, mode: TlsMode, secure: bool, then: TlsMode | None
) -> None:
    dial = Dial("127.0.0.1", 5432, "app", "orders", "hunter2", mode)
    to_dial(play, replace(GRANT, dial=dial)).answer(DialDone(secure=secure))
    play.target_sees()
    no_entry = wire.error("28000", "no pg_hba.conf entry for host", "FATAL")
    play.target(no_entry)

    if then is None:
        assert backend.error_map(play.client_gets())["code"] == "28000"
        assert closed(play)[0] == "failed"
        return
    assert play.needs == [AskDial(replace(dial, tls=then))]
    assert play.client_gets() == b""
    play.answer(DialDone(secure=not secure))
    assert isinstance(frontend.startup(play.target_sees()), frontend.Startup)
    play.target(no_entry)
    assert backend.error_map(play.client_gets())["code"] == "28000"


@pytest.mark.parametrize("asked", [wire.AUTH_CLEARTEXT, backend.authentication_sasl(["SCRAM-SHA-256"])])
def test_a_proof_that_was_refused_is_not_tried_again_without_tls(play: Play, asked: bytes) -> None:
    dial = Dial("127.0.0.1", 5432, "app", "orders", "hunter2", TlsMode.PREFER)
    to_dial(play, replace(GRANT, dial=dial)).answer(DialDone(secure=True))
    play.target(asked)
    play.target(wire.error("28000", "SCRAM channel binding check failed", "FATAL"))

    assert play.needs == []
    assert backend.error_map(play.client_gets())["code"] == "28000"


@pytest.mark.parametrize("mode", [TlsMode.ALLOW, TlsMode.PREFER])
def test_what_the_gateway_itself_refuses_is_not_tried_the_other_way(play: Play, mode: TlsMode) -> None:
    dial = Dial("127.0.0.1", 5432, "app", "orders", "hunter2", mode, channel_binding=ChannelBinding.REQUIRE)
    to_dial(play, replace(GRANT, dial=dial)).answer(DialDone(secure=mode is TlsMode.PREFER))
    play.target_sees()
    play.target(wire.AUTH_CLEARTEXT)

    assert (play.needs, play.target_sees()) == ([], b"")
    assert "channel binding is required" in backend.error_map(play.client_gets())["message"]


def test_a_target_that_hangs_up_during_its_login(play: Play) -> None:
    to_dial(play).answer(DIALLED)
    play.machine.target_gone()

    assert backend.error_map(play.client_gets())["code"] == "08006"
    assert closed(play)[0] == "failed"


@pytest.mark.parametrize(
    "nonsense", [b"HTTP/1.1 400 Bad Request\r\n\r\n", wire.row(b"1"), wire.ready(), b"R\0\0\0\2"]
)
def test_a_target_that_speaks_something_else(play: Play, nonsense: bytes) -> None:
    to_dial(play).answer(DIALLED)
    play.target(nonsense)

    assert backend.error_map(play.client_gets())["code"] in ("08P01", "54000")
    assert closed(play)[0] == "failed"


def test_a_target_that_speaks_before_it_was_asked(play: Play) -> None:
    to_dial(play)
    play.target(wire.AUTH_OK)

    assert backend.error_map(play.client_gets())["code"] == "08001"


def test_a_login_that_is_cut(play: Play) -> None:
    to_dial(play).answer(DIALLED)
    play.machine.cut("the run was revoked")
    play.machine.cut("again")
    play.target(*AUTHENTICATED)

    error = backend.error_map(play.client_gets())
    assert (error["code"], error["message"]) == ("57P01", "the run was revoked")
    assert closed(play) == ("failed", "the run was revoked")
    assert not play.is_ready


def test_a_client_that_leaves_during_the_dial(play: Play) -> None:
    to_dial(play)
    play.machine.client_gone()
    play.answer(DIALLED)

    assert closed(play)[0] == "failed"
    assert play.target_sees() == b""


# -- what is recorded ----------------------------------------------------------------------------------


def test_the_login_is_recorded_as_an_aside_with_its_claims(play: Play) -> None:
    log_in(play)
    opened, asked = play.journal.entries[0][2], play.journal.entries[1][2]

    assert opened["claims"] == {"application_name": "psql"}
    assert asked[:2] == ["connect", ""]
    assert asked[3] == {"user": "token", "database": "orders", "application_name": "psql"}
    assert asked[4] == "aside"
    assert {"note": "target", "backend_pid": 42} in [
        body for kind, _, body in play.journal.entries if kind is Kind.NOTE
    ]


@pytest.mark.parametrize("target", ["cleartext", "trust"])
def test_no_secret_of_anybody_is_in_the_record(play: Play, target: str) -> None:
    to_dial(play, replace(GRANT, proof=b"v=gateways-own-proof")).answer(DIALLED)
    play.target(*([wire.AUTH_CLEARTEXT] if target == "cleartext" else []), *AUTHENTICATED)
    play.client(wire.query("select 1"), wire.TERMINATE)
    record: Any = play.journal.entries

    assert len(record) > 5
    for secret in (b"bcr_secret", b"hunter2", b"gateways-own-proof", b"tkey", play.keys[0]):
        text = repr(record)
        assert repr(secret)[2:-1] not in text
        assert secret.hex() not in text


def test_the_client_gets_a_cancel_key_of_the_gateways_and_never_the_targets(play: Play) -> None:
    other = Play(PostgresMachine)
    for one in (play, other):
        log_in(one)

    sent = play.client_gets()
    assert wire.key_data() not in sent
    assert wire.key_data(play.keys[0]) in sent
    assert play.keys[0] != other.keys[0]
    assert play.keys[0][:4] == b"\0\0\0\x2a", "notifications come with the number of the target's process"
    play.machine.cancel()
    assert play.knocks == [(GRANT.dial, frontend.cancel_request(b"\0\0\0\x2atkey"))]


def test_a_login_of_a_method_is_asked_only_once(play: Play) -> None:
    play.client(STARTUP)
    play.answer(Challenge("login-1", Method.CLEARTEXT))
    play.client(PASSWORD)
    play.client(PASSWORD)

    assert backend.error_map(play.client_gets()[len(wire.AUTH_CLEARTEXT) :])["code"] == "08P01"
    assert play.closed


def test_nonsense_before_anybody_is_known_is_counted_and_opens_no_session(play: Play) -> None:
    play.client(b"\x7f\xff\xff\xff" + b"x" * 20)

    assert play.strangers == 1
    assert play.session is None
    assert b"C08P01\0" in play.client_gets()
