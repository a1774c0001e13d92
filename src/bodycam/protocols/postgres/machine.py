"""The PostgreSQL machine: login first, then the two halves of the proxy, and every way that it can end."""

from collections.abc import Callable

from bodycam.model.event import SessionOutcome
from bodycam.protocols.postgres import backend, frontend
from bodycam.protocols.postgres.approval import Approvals
from bodycam.protocols.postgres.client_half import QUEUE_MOST, WAITING_MOST, ClientHalf
from bodycam.protocols.postgres.codec import ProtocolViolation, TooLong
from bodycam.protocols.postgres.conversation import Conversation
from bodycam.protocols.postgres.login import ClientLeft, Login, LoginFailed
from bodycam.protocols.postgres.masked_columns import MaskedColumns
from bodycam.protocols.postgres.target_half import TargetHalf
from bodycam.session.approval import ApprovalSaid
from bodycam.session.link import Answer, ErrandDone, Link
from bodycam.session.session import Session

IDLE = ord("I")
"""The transaction status of a server that is in none."""

SENT_ON = f"the client sent more than {WAITING_MOST} bytes behind it and did not wait for the answer"

LESS = (
    "Move less at once: rows that masks look into are held whole, and so is all but rows and COPY data. "
    "For the gateway's operator: limits.message_size is the bound."
)

UNWANTED_MOST = 1024 * 1024
"""Bytes of a result that are still taken from the target after its client has said goodbye and gone."""


class PostgresMachine:
    """One connection's proxy, without I/O (`session.link.Machine`)."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._login = Login(link, self._proxy)
        self._client: ClientHalf | None = None
        self._target: TargetHalf | None = None
        self._over = self._held = self._leaving = self._lingers = self._deciding = False
        self._unwanted = 0
        self._draining = ""
        self._columns = MaskedColumns(link)
        self._by_name = False
        self._kept: list[bytes] = []

    @property
    def _session(self) -> Session | None:
        return self._login.session

    def from_client(self, data: bytes) -> None:
        """Bytes from the client."""
        if self._over or self._leaving:
            return
        try:
            if self._client is None:
                self._login.from_client(data)
                return
            if self._by_name and self._looks_up(data):
                return
            if self._draining and self._session is not None:
                self._refuse_new(self._session)
            self._client.receive(data)
        except LoginFailed as error:
            self._login_failed(error)
        except ClientLeft:
            self.client_gone()
        except ProtocolViolation as error:
            self._violated("client", error)
        self._after_client()

    def _after_client(self) -> None:
        """What follows from what the client sent."""
        if self._over or self._client is None:
            return
        if self._client.terminated:
            if self._conversation.busy:
                # a server finishes what it was asked before it reads the goodbye, and so it is recorded
                self._leaving = True
            else:
                self._end(SessionOutcome.ENDED, "")
        elif self._client.waiting is not None:
            self._await_approval()
        elif len(self._conversation.queue) > QUEUE_MOST:
            self._hold(True)

    def from_target(self, data: bytes) -> None:
        """Bytes from the target."""
        if self._over:
            return
        try:
            if self._target is None:
                data = self._login.from_target(data)
            if self._target is not None and data:
                self._target.receive(data)
                if self._leaving:
                    self._linger(len(data))
                elif self._held and self._may_let_go:
                    self._hold(False)
        except LoginFailed as error:
            self._login_failed(error)
        except ProtocolViolation as error:
            self._violated("target", error)

    def answer(self, answer: Answer) -> None:
        """The answer to the last need."""
        if self._over:
            return
        if isinstance(answer, ApprovalSaid):
            self._settled(lambda: self._approval.answered(answer))
            return
        if isinstance(answer, ErrandDone) and self._columns.asking:
            self._looked_up(answer)
            return
        try:
            self._login.answer(answer)
        except LoginFailed as error:
            self._login_failed(error)
        if self._target is not None and self._login.behind:
            behind, self._login.behind = self._login.behind, b""
            self.from_target(behind)

    def waits(self, said: ApprovalSaid) -> None:
        """What the client asked for waits for a person."""
        self._approval.waits(said)

    def client_gone(self) -> bool:
        """The client was lost; True: it had said goodbye, and the target is still at what it was asked."""
        if self._over:
            return False
        if self._client is not None and self._client.terminated:
            self._lingers = True
            return True
        if self._client is not None:
            self._approval.drop()
            self._cancel_at_target()
            self._link.send_target(frontend.terminate())
            self._end(SessionOutcome.ENDED, "the client closed its connection")
        else:
            self._end(SessionOutcome.FAILED, "the client left before its login was over")
        return False

    def target_gone(self) -> None:
        """The target closed, or was lost."""
        if self._client is None:
            name = self._session.grant.target.name if self._session is not None else "?"
            self._login_failed(
                LoginFailed(
                    "08006",
                    f"target {name} closed the connection during its login",
                    "The target's own log says why.",
                )
            )
            return
        message = "the target closed the connection"
        if self._target is None or not self._target.said_farewell:
            # a second fatal error behind the target's own is an answer too many for libpq
            self._say_fatal("08006", message, "The target's own log says why.")
        self._end(SessionOutcome.BROKEN, message)

    def cancel(self) -> None:
        """A cancel request for this connection: recorded, and passed to the target under its own key."""
        if self._session is not None and not self._session.closed:
            self._session.note("cancel")
            if self._client is not None and self._client.waiting is not None:
                self._settled(lambda: self._approval.give_up("the client cancelled it"))
                return
            self._cancel_at_target(idle_too=True)

    def alarm(self) -> None:
        """Nothing here waits for a time of its own."""

    def cut(self, reason: str) -> None:
        """End the session now; what runs at the target is cancelled there too."""
        if self._over:
            return
        if self._client is None:
            self._login_failed(LoginFailed("57P01", reason, "Connect again; the gateway's log says more."))
            return
        self._cancel_at_target()
        self._say_fatal("57P01", f"the gateway ended this session: {reason}", "")
        self._end(SessionOutcome.CUT, reason)

    def drain(self, reason: str) -> None:
        """End the session if it is at nothing; a transaction goes on to its end, new work is refused."""
        session = self._session
        if self._over:
            return
        if self._client is None or session is None:
            self.cut(reason)
            return
        if not self._draining:
            # a person's words, which go into the record as the reason of each denial too
            self._draining = session.redaction.redact(reason)[0] or "its credential is over"
            session.note("draining", reason=self._draining)
            self._refuse_new(session)
            if self._client.waiting is not None:
                self._settled(lambda: self._approval.give_up(self._draining))
        talk = self._conversation
        at_work = talk.busy or talk.status != IDLE or talk.working or talk.skipping
        if not at_work and not self._columns.asking and not self._over:
            self._say_fatal("57P01", f"the gateway ended this session: {self._draining}", "")
            self._end(SessionOutcome.CUT, self._draining)

    def _refuse_new(self, session: Session) -> None:
        """While it drains: only what belongs to a transaction that is open may still be asked for."""
        talk = self._conversation
        session.refusing = "" if talk.status != IDLE or talk.working else self._draining

    def farewell(self, message: str, hint: str) -> bytes:
        """A fatal error of the gateway itself."""
        return backend.error_response("FATAL", "57P02", message, hint=hint)

    def _looks_up(self, data: bytes) -> bool:
        """Whether what the client sent has to wait until it is known again what is masked."""
        session, dial = self._session, self._login.dial
        assert session is not None
        assert dial is not None
        if self._columns.asking or self._columns.begin(session, dial):
            # no more than what was read already: the client is not read meanwhile
            self._kept.append(data)
            return True
        return False

    def _looked_up(self, answer: ErrandDone) -> None:
        assert self._session is not None
        failure = self._columns.answered(self._session, answer)
        if failure:
            self.cut(failure)
            return
        kept, self._kept = b"".join(self._kept), []
        if kept:
            self.from_client(kept)

    def _linger(self, came: int) -> None:
        """Answers for a client that has said goodbye."""
        if not self._conversation.busy:
            self._end(SessionOutcome.ENDED, "")
        elif self._lingers:
            self._unwanted += came
            if self._unwanted > UNWANTED_MOST:
                # a server that writes to nobody gives up as well
                self._cancel_at_target()
                self._end(SessionOutcome.ENDED, "the client left in the middle of a result")

    def _proxy(self, session: Session, status: int) -> None:
        conversation = Conversation(session, status=status, dialect=self._login.dialect)
        self._by_name = session.masks is not None and session.masks.by_name
        self._client = ClientHalf(conversation, limit=self._link.message_limit)
        self._target = TargetHalf(conversation, limit=self._link.message_limit)
        self._conversation = conversation
        self._approval = Approvals(self._link, self._client, conversation, self._approval_settled)

    def _settled(self, settle: Callable[[], object]) -> None:
        """Go on behind what waited; what the client sent meanwhile may be nonsense."""
        try:
            settle()
        except ProtocolViolation as error:
            self._violated("client", error)

    def _await_approval(self) -> None:
        """Have a person asked for what waits, or refuse it where the client sends on and on behind it."""
        client = self._client
        if self._deciding or client is None:
            return
        self._deciding = True
        try:
            while client.waiting is not None:
                if client.kept_size <= WAITING_MOST:
                    self._approval.ask()
                    return
                # to read no further would hide that the client leaves, and nothing may be executed late
                self._settled(lambda: self._approval.give_up(SENT_ON))
        finally:
            self._deciding = False

    def _approval_settled(self) -> None:
        """What waited was forwarded or refused, and the client is read on."""
        if self._held and self._may_let_go:
            self._hold(False)
        self._after_client()

    def _hold(self, hold: bool) -> None:
        self._held = hold
        self._link.hold_client(hold)

    @property
    def _may_let_go(self) -> bool:
        return len(self._conversation.queue) <= QUEUE_MOST // 2

    def _violated(self, who: str, error: ProtocolViolation) -> None:
        if isinstance(error, TooLong) and self._client is not None:
            self._broken(f"the {who} sent more at once than the gateway holds: {error}", error.sqlstate, LESS)
            return
        # what a target does wrong is no matter of what its client may do
        sqlstate = error.sqlstate if who == "client" else "08P01"
        self._broken(f"the {who} broke the protocol: {error}", sqlstate)

    def _broken(self, message: str, sqlstate: str, hint: str = "") -> None:
        if self._client is None:
            if self._session is None:
                self._link.stranger()
            self._login_failed(
                LoginFailed(sqlstate, message, "The gateway speaks PostgreSQL's protocol 3 here.")
            )
            return
        self._say_fatal(sqlstate, message, hint)
        self._cancel_at_target()
        self._end(SessionOutcome.BROKEN, message)

    def _login_failed(self, error: LoginFailed) -> None:
        if self._over:
            return
        self._over = True
        self._login.failed(error)
        self._link.close()

    def _say_fatal(self, sqlstate: str, message: str, hint: str) -> None:
        session = self._session
        if self._target is not None and not self._target.between:
            # in the middle of a row there is no place for a message: that the connection ends says enough
            return
        if session is not None and not session.closed:
            session.ambient.to_client(backend.error_response("FATAL", sqlstate, message, hint=hint))

    def _cancel_at_target(self, *, idle_too: bool = False) -> None:
        """Closing a connection does not stop a statement that runs; a cancel request does."""
        key, session = self._login.cancel_key, self._session
        if key is None or session is None or session.grant.dial is None:
            return
        if idle_too or self._conversation.busy:
            self._link.knock(session.grant.dial, frontend.cancel_request(key))

    def _end(self, outcome: SessionOutcome, reason: str) -> None:
        self._over = True
        if self._client is not None:
            self._approval.drop()
        if self._session is not None:
            self._session.close(outcome, reason)
        self._link.close()
