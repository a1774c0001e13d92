"""What a protocol's machine and the link that carries it ask of each other.

A machine does no I/O: it gets bytes, queues bytes, and says what it needs. The gateway's link does the
waiting; a playbook test can stand in for it.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, final

from bodycam.model.target import Dial
from bodycam.session.approval import ApprovalSaid, ApprovalWanted
from bodycam.session.grant import Challenge, Grant, Refusal, Wanted

if TYPE_CHECKING:
    from bodycam.session.session import Session


@dataclass(frozen=True, slots=True)
class AskChallenge:
    """How is this claimed name to be proved? Answered by Challenge or Refusal."""

    name: str


@dataclass(frozen=True, slots=True)
class AskRespond:
    """The client's next message of a proof; answered by the bytes to send back, or Refusal."""

    login: str
    data: bytes


@dataclass(frozen=True, slots=True)
class AskOpen:
    """The last message of the proof and what is wanted; answered by Grant or Refusal."""

    login: str
    proof: bytes
    wanted: Wanted


@dataclass(frozen=True, slots=True)
class AskDial:
    """Connect to the target; answered by DialDone or DialFailed. Bytes from it then reach `from_target`."""

    dial: Dial


@dataclass(frozen=True, slots=True)
class AskCancel:
    """Hand a cancel request to the link that registered its key, here or at another worker.

    Answered by CancelPassed once the target has it.
    """

    key: bytes


@dataclass(frozen=True, slots=True)
class CancelPassed:
    """The target has taken the cancel request, or nobody knows its key, or it took too long."""


@dataclass(frozen=True, slots=True)
class DialDone:
    """The target's connection stands; `secure` says whether it is encrypted.

    `certificate` is the one that the target showed, in DER: trusted as far as its TLS mode asks, no further.
    """

    secure: bool
    certificate: bytes = b""


@dataclass(frozen=True, slots=True)
class DialFailed:
    """No connection to the target, and why, for people."""

    message: str
    hint: str = ""


class Errand(Protocol):
    """Something of the gateway's own that is done at a target, on a connection of its own, without I/O."""

    @property
    def purpose(self) -> Hashable:
        """What it is for: of errands for the same at the same target one is done, and counts for all."""

    @property
    def over(self) -> bool:
        """Whether it is done, once what it gave last is sent."""

    def begun(self, secure: bool, certificate: bytes) -> bytes:
        """The connection stands, as `DialDone` says; what to send first."""

    def receive(self, data: bytes) -> bytes:
        """Take what the target sent; what to send back.

        Raises:
            ErrandFailed: it can't be done.
        """


class ErrandFailed(Exception):
    """What was to be done at a target can't be done, and why, for people."""


@dataclass(frozen=True, slots=True)
class AskErrand:
    """Do something at the target; answered by ErrandDone. Meanwhile the client is not read."""

    dial: Dial
    errand: Errand


@dataclass(frozen=True, slots=True)
class ErrandDone:
    """An errand is over; `failure` says for people why it failed, if it did.

    `errand` is the one that was done: the one asked for, or another for the same.
    """

    failure: str = ""
    errand: Errand | None = None


@final
class AskApproval:
    """May an operation for which a rule wants a person go on? Answered by ApprovalSaid.

    For up to `wait` seconds the answer is waited for, and `Machine.waits` tells that it is; the client is
    read meanwhile. `over` is set by the machine once it waits no longer: then nothing is consumed for it.
    """

    __slots__ = ("over", "wait", "wanted")

    def __init__(self, wanted: ApprovalWanted, wait: float) -> None:
        self.wanted, self.wait = wanted, wait
        self.over = False

    def given_up(self) -> bool:
        """Whether nobody waits any longer."""
        return self.over


Need = AskChallenge | AskRespond | AskOpen | AskDial | AskCancel | AskApproval | AskErrand
Answer = (
    Challenge | Grant | Refusal | DialDone | DialFailed | CancelPassed | ApprovalSaid | ErrandDone | bytes
)


class Link(Protocol):
    """One proxied connection, as its machine sees it."""

    @property
    def secure(self) -> bool:
        """Whether the client's side is encrypted or on loopback."""

    @property
    def address(self) -> str:
        """Where the client connects from, as `host:port`."""

    @property
    def message_limit(self) -> int:
        """The largest single message that is taken in, in bytes."""

    def send_client(self, data: bytes) -> None:
        """Queue bytes of the login itself, which belong to no session, for the client."""

    def send_target(self, data: bytes) -> None:
        """Queue bytes of the login itself for the target; they may hold secrets and are never recorded."""

    def ask(self, need: Need) -> None:
        """Say what is needed; `Machine.answer` gets the answer. One need at a time."""

    def open(self, grant: Grant, claims: Mapping[str, str]) -> "Session":
        """Begin the session that `grant` allows: journals its opening, with the client's claims."""

    def stranger(self) -> None:
        """Somebody who never proved who they are broke the protocol: counted, and never a session."""

    def ready(self) -> None:
        """The login is over: its deadline no longer holds."""

    def register_cancel(self, key: bytes) -> None:
        """From now on a cancel request with `key`, wherever it arrives, reaches this machine's `cancel`."""

    def knock(self, dial: Dial, data: bytes) -> None:
        """Send `data` to the target on a connection of its own (PostgreSQL's CancelRequest)."""

    def hold_client(self, hold: bool) -> None:
        """Stop reading the client until told otherwise: so much is under way that it would not be bounded."""

    def close(self) -> None:
        """Send what is queued, then close both sides."""


class Machine(Protocol):
    """One protocol's sans-io proxy over one link."""

    def from_client(self, data: bytes) -> None: ...

    def from_target(self, data: bytes) -> None: ...

    def answer(self, answer: Answer) -> None:
        """The answer to the last need."""

    def waits(self, said: ApprovalSaid) -> None:
        """The operation that was asked for waits for a person; the client is to be told where."""

    def client_gone(self) -> bool:
        """The client closed or was lost; nothing more can be sent to it.

        True: the target is still at something that is to be recorded, and the machine closes the link later.
        """

    def target_gone(self) -> None:
        """The target closed or was lost."""

    def cancel(self) -> None:
        """A cancel request for this link arrived."""

    def cut(self, reason: str) -> None:
        """End the session now: revoked, killed, expired, drained. Idempotent."""

    def drain(self, reason: str) -> None:
        """End the session if it is at nothing, and take nothing new: its credential is over.

        A transaction that is open goes on to its end. It is called again and again until the session has
        ended; `cut` comes when that takes too long.
        """

    def farewell(self, message: str, hint: str) -> bytes:
        """The protocol's own fatal error, for when the gateway itself can't go on."""
