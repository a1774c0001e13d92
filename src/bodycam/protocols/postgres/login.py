"""The login: startup message, proof of who it is, the session's opening, then the login at the target.

The control process decides; this half only carries the client's proof there and the answers back.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum, auto

from bodycam.model.event import Outcome, SessionOutcome
from bodycam.model.operation import Operation, Weight
from bodycam.model.target import Dial, TlsMode
from bodycam.protocols.postgres import backend, frontend, version
from bodycam.protocols.postgres.codec import Framer, ProtocolViolation
from bodycam.protocols.postgres.dialect import Dialect
from bodycam.protocols.postgres.masked_columns import HINT, MaskedColumns
from bodycam.protocols.postgres.reading import readable
from bodycam.protocols.postgres.target_failure import TargetLoginFailed
from bodycam.protocols.postgres.target_login import TargetLogin
from bodycam.protocols.postgres.target_scram import Channel
from bodycam.session.grant import Challenge, Grant, Method, Refusal, RefusalCode, Wanted
from bodycam.session.link import (
    Answer,
    AskCancel,
    AskChallenge,
    AskDial,
    AskOpen,
    AskRespond,
    CancelPassed,
    DialDone,
    DialFailed,
    ErrandDone,
    Link,
)
from bodycam.session.session import Exchange, Session

STARTUP_LIMIT = 10_000  # MAX_STARTUP_PACKET_LENGTH of PostgreSQL's own pqcomm.h
PROOF_LIMIT = 64 * 1024
SCRAM = "SCRAM-SHA-256"

SQLSTATES = {
    RefusalCode.BAD_CREDENTIAL: "28P01",
    RefusalCode.BAD_CERTIFICATE: "28000",
    RefusalCode.RUN_ENDED: "28000",
    RefusalCode.UNKNOWN_TARGET: "3D000",
    RefusalCode.NOT_ALLOWED: "42501",
    RefusalCode.INSECURE: "28000",
    RefusalCode.LIMIT: "53300",
    RefusalCode.STORE_FULL: "53100",
    RefusalCode.UNAVAILABLE: "57P03",
}

# what PostgreSQL reads as false, and nothing at all
_NO = frozenset({"", "0", *("false"[:size] for size in range(1, 6)), "n", "no", "of", "off"})

# what the gateway sets itself, or must never pass on
_OURS = frozenset({"user", "database", "application_name", "replication"})


class LoginFailed(Exception):
    """The login ends here; what the client is told."""

    def __init__(self, sqlstate: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.sqlstate, self.message, self.hint = sqlstate, message, hint


class ClientLeft(Exception):
    """The client said goodbye in the middle of its login."""


class Stage(Enum):
    """Whose turn it is."""

    STARTUP = auto()
    CHALLENGE = auto()  # waiting for the control process
    PASSWORD = auto()
    SASL_INITIAL = auto()
    SASL_RESPONDED = auto()  # waiting for the control process
    SASL_FINAL = auto()
    OPENING = auto()  # waiting for the control process
    DIALLING = auto()
    TARGET = auto()
    COLUMNS = auto()  # logged in at the target; waiting until it is known what is masked there
    CANCELLING = auto()  # waiting until the target has the cancel request; there is no login
    OVER = auto()


class Login:
    """One connection's login. `done(session, status)` is called when both sides are ready for queries."""

    def __init__(self, link: Link, done: Callable[[Session, int], None]) -> None:
        self._link, self._done = link, done
        self.stage = Stage.STARTUP
        self._buffer = b""
        self._framer = Framer(limit=PROOF_LIMIT, streamed=frozenset())
        self._target_framer = Framer(limit=1024 * 1024, streamed=frozenset())
        self._parameters: Mapping[str, str] = {}
        self._spoken = version.Spoken(0, b"")
        self._login = ""
        self._at_target: TargetLogin | None = None
        self._dial: Dial | None = None
        self._channel = Channel()
        self._exchange: Exchange | None = None
        self._columns = MaskedColumns(link)
        self.behind = b""
        """What the target sent behind its login while something was looked up."""
        self.dialect = Dialect()
        self.session: Session | None = None

    # -- the client ------------------------------------------------------------------------------

    def from_client(self, data: bytes) -> None:
        """Take bytes from the client.

        Raises:
            ProtocolViolation: they are not what a client may send here.
            LoginFailed: the login can't go on.
        """
        if self.stage is Stage.STARTUP:
            self._buffer += data
            self._startup_packet()
            return
        buffer, frames = self._framer.feed(data)
        for tag, start, end, _ in frames:
            if tag == ord("X"):
                raise ClientLeft
            if tag != ord("p"):
                raise ProtocolViolation("08P01", "expected a password or SASL message")
            self._proof(buffer[start:end])

    def _startup_packet(self) -> None:
        if len(self._buffer) < 4:
            return
        length = int.from_bytes(self._buffer[:4], "big")
        if not 8 <= length <= STARTUP_LIMIT:
            raise ProtocolViolation("08P01", f"a startup packet can't have a length of {length} bytes")
        if len(self._buffer) < length:
            return
        packet, rest = self._buffer[:length], self._buffer[length:]
        self._buffer = b""
        match frontend.startup(packet):
            case frontend.CancelRequest(key=key):
                # a client takes the end of this connection as word that its cancel has arrived
                self.stage = Stage.CANCELLING
                self._link.ask(AskCancel(key))
            case frontend.Startup() as startup:
                self._startup(startup)
                if rest:
                    raise ProtocolViolation("08P01", "bytes behind the startup packet, before its answer")
            case _:
                raise ProtocolViolation("08P01", "an encryption request in the wrong place")

    def _startup(self, startup: frontend.Startup) -> None:
        if not version.served(startup):
            raise LoginFailed(
                "0A000",
                f"protocol version {startup.major}.{startup.minor} is not served",
                f"Use protocol 3.0 to 3.{version.NEWEST_MINOR}, that of clients since PostgreSQL 7.4.",
            )
        parameters = startup.parameters
        if not parameters.get("user"):
            raise LoginFailed("28000", "the startup message names no user", "Set PGUSER to the run's user.")
        self._spoken = version.agreed(startup)
        if self._spoken.told:
            self._link.send_client(self._spoken.told)
        self._parameters = parameters
        self.stage = Stage.CHALLENGE
        self._link.ask(AskChallenge(readable(parameters["user"])))

    def _proof(self, raw: bytes) -> None:
        match self.stage:
            case Stage.PASSWORD:
                self.stage = Stage.OPENING
                self._link.ask(AskOpen(self._login, frontend.password(raw), self._wanted()))
            case Stage.SASL_INITIAL:
                mechanism, first = frontend.sasl_initial_response(raw)
                if mechanism != SCRAM:
                    raise LoginFailed("28000", f"SASL mechanism {mechanism} was not offered", f"Use {SCRAM}.")
                self.stage = Stage.SASL_RESPONDED
                self._link.ask(AskRespond(self._login, first))
            case Stage.SASL_FINAL:
                self.stage = Stage.OPENING
                self._link.ask(AskOpen(self._login, frontend.sasl_response(raw), self._wanted()))
            case _:
                raise ProtocolViolation("08P01", "a password or SASL message out of turn")

    def _wanted(self) -> Wanted:
        # libpq sends no database when it is the same as the user
        name, _, database = readable(self._parameters.get("database", "")).partition("/")
        return Wanted("postgres", name, database or None, self._link.address, self._claims())

    # -- the control process and the dial ----------------------------------------------------------

    def answer(self, answer: Answer) -> None:
        """Take the answer to the last need.

        Raises:
            LoginFailed: the login can't go on.
        """
        match answer:
            case Refusal():
                self._refused(answer)
            case Challenge(login=login, method=method):
                self._login = login
                self._challenged(method)
            case CancelPassed():
                self._link.close()
            case bytes():
                self.stage = Stage.SASL_FINAL
                self._link.send_client(backend.authentication_sasl_continue(answer))
            case Grant():
                self._granted(answer)
            case ErrandDone():
                self._looked_up(answer)
            case DialDone(secure=secure, certificate=certificate):
                self._channel = Channel(secure, certificate)
                self._dialled()
            case DialFailed(message=message, hint=hint):
                raise LoginFailed("08001", f"target {self._target()}: {message}", hint)

    def _challenged(self, method: Method) -> None:
        match method:
            case Method.CLEARTEXT:
                self.stage = Stage.PASSWORD
                self._link.send_client(backend.authentication_cleartext())
            case Method.SCRAM_SHA_256:
                self.stage = Stage.SASL_INITIAL
                self._link.send_client(backend.authentication_sasl([SCRAM]))
            case Method.CERTIFICATE:
                self.stage = Stage.OPENING
                self._link.ask(AskOpen(self._login, b"", self._wanted()))

    def _refused(self, refusal: Refusal) -> None:
        if refusal.grant is not None:
            self.session = self._link.open(refusal.grant, self._claims())
        raise LoginFailed(SQLSTATES[refusal.code], refusal.message, refusal.hint)

    def _granted(self, grant: Grant) -> None:
        if grant.dial is None:
            raise LoginFailed("XX000", "the gateway granted a session without a target", "Report this fault.")
        self.session = self._link.open(grant, self._claims())
        if self._parameters.get("replication", "").lower() not in _NO:
            # said only now, so that it is on the record who asked for it
            raise LoginFailed(
                "0A000",
                "replication connections are not served by this gateway",
                "Replicate from the database directly; the gateway records queries.",
            )
        if grant.proof:
            self._link.send_client(backend.authentication_sasl_final(grant.proof))
        facts: dict[str, str | int | bool] = {
            name: self.session.redaction.redact(value)[0] for name, value in self._parameters.items()
        }
        self._exchange = self.session.request(Operation("connect", "", facts=facts, weight=Weight.ASIDE))
        if not self._exchange.allowed:
            verdict = self._exchange.verdict
            assert verdict is not None
            raise LoginFailed("42501", f"denied by rule {verdict.rule}: {verdict.message}", verdict.hint)
        self.stage = Stage.DIALLING
        self._dial = grant.dial
        self._link.ask(AskDial(grant.dial))

    def _dialled(self) -> None:
        session = self._opened()
        grant = session.grant
        assert self._dial is not None
        passed = {
            name: value
            for name, value in self._parameters.items()
            if name not in _OURS and not version.is_option(name)
        }
        passed["application_name"] = application_name(grant.run.id, grant.run.agent)
        self._at_target = TargetLogin(self._dial, passed, self._channel)
        self.stage = Stage.TARGET
        self._link.send_target(self._at_target.start())

    # -- the target --------------------------------------------------------------------------------

    def from_target(self, data: bytes) -> bytes:
        """Take bytes from the target; returns what follows the end of its login.

        Raises:
            LoginFailed: the target refused, or spoke nonsense.
        """
        login, session = self._at_target, self._opened()
        if self.stage is Stage.COLUMNS:
            self.behind += data
            return b""
        if login is None:
            raise LoginFailed("08001", f"target {self._target()} spoke before it was asked")
        buffer, frames = self._target_framer.feed(data)
        for _, start, end, _ in frames:
            try:
                reply = login.receive(buffer[start:end])
            except TargetLoginFailed as error:
                if self._other_way(error):
                    return b""
                message = f"target {self._target()}: {error.message}"
                raise LoginFailed(error.sqlstate, message, error.hint) from error
            if reply:
                self._link.send_target(reply)
            if login.ready:
                assert self._dial is not None
                if self._columns.begin(session, self._dial):
                    self.stage, self.behind = Stage.COLUMNS, buffer[end:]
                    return b""
                self._ready(session, login)
                return buffer[end:]
        return b""

    def _looked_up(self, answer: ErrandDone) -> None:
        login, session = self._at_target, self._opened()
        assert login is not None
        failure = self._columns.answered(session, answer)
        if failure:
            raise LoginFailed("57P03", f"target {self._target()}: {failure}", HINT)
        self._ready(session, login)

    def _other_way(self, error: TargetLoginFailed) -> bool:
        """What libpq's `allow` and `prefer` do when pg_hba.conf refuses: once more, the other way."""
        dial = self._dial
        if dial is None or error.sqlstate != "28000" or not error.outright:
            # what failed for a proof's sake must not be tried again on a weaker channel
            return False
        if dial.tls is TlsMode.ALLOW and not self._channel.secure:
            again = replace(dial, tls=TlsMode.REQUIRE)
        elif dial.tls is TlsMode.PREFER and self._channel.secure:
            again = replace(dial, tls=TlsMode.DISABLE)
        else:
            return False
        self._dial, self._at_target = again, None
        self._target_framer = Framer(limit=1024 * 1024, streamed=frozenset())
        self.stage = Stage.DIALLING
        self._link.ask(AskDial(again))
        return True

    def _ready(self, session: Session, login: TargetLogin) -> None:
        exchange = self._exchange
        assert exchange is not None
        key = self._spoken.new_cancel_key(login.backend_pid)
        self._link.send_client(backend.authentication_ok())
        if login.status_messages:
            exchange.to_client(b"".join(login.status_messages))
            for raw in login.status_messages:
                if raw[:1] == b"S":
                    self.dialect.reported(*backend.parameter_status(raw))
        if login.backend_pid:
            session.note("target", backend_pid=login.backend_pid)
        # a cancel key is a credential, so it goes by the record; what the target sent stays with the gateway
        self._link.send_client(backend.backend_key_data(key))
        self._link.register_cancel(key)
        exchange.to_client(backend.ready_for_query_message(login.status))
        exchange.finish(Outcome.OK)
        self.stage = Stage.OVER
        self._link.ready()
        self._done(session, login.status)

    @property
    def dial(self) -> Dial | None:
        """How the target was reached."""
        return self._dial

    @property
    def cancel_key(self) -> bytes | None:
        """The target's own cancel key, once it has given one."""
        return None if self._at_target is None else self._at_target.cancel_key

    def failed(self, error: LoginFailed) -> None:
        """Tell the client, and close the session's record if one was opened."""
        self.stage = Stage.OVER
        if self._exchange is not None:
            self._exchange.finish(
                Outcome.ERROR, None, {"code": error.sqlstate, "message": error.message, "hint": error.hint}
            )
        message = backend.error_response("FATAL", error.sqlstate, error.message, hint=error.hint)
        if self.session is not None:
            self.session.ambient.to_client(message)
            self.session.close(SessionOutcome.FAILED, error.message)
        else:
            self._link.send_client(message)

    def _claims(self) -> dict[str, str]:
        hint = self._parameters.get("application_name")
        return {"application_name": readable(hint)} if hint else {}

    def _opened(self) -> Session:
        assert self.session is not None
        return self.session

    def _target(self) -> str:
        return self._opened().grant.target.name


def application_name(run: str, agent: str) -> str:
    """What the target sees as application_name, so that its own log can be joined: at most 63 bytes."""
    return f"bodycam/{run}/{agent}".encode("ascii", "replace")[:63].decode()
