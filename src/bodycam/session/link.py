"""What a protocol's machine and the link that carries it ask of each other.

A machine does no I/O: it gets bytes, queues bytes, and says what it needs. The gateway's link does the
waiting; a playbook test can stand in for it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, final

from bodycam.model.target import Dial
from bodycam.session.approval import ApprovalSaid, ApprovalWanted
from bodycam.session.errands import Errand
from bodycam.session.grant import Challenge, Grant, Refusal, Wanted
from bodycam.session.nesting import Carrier, Inner
from bodycam.session.renewal import AskRenewal, Renewed

if TYPE_CHECKING:
    from bodycam.session.session import Session


@dataclass(frozen=True, slots=True)
class AskChallenge:
    """How is this claimed name to be proved? Answered by Challenge or Refusal.

    `certificate` is one whose key the client proved to hold in its own protocol (an OpenSSH certificate's
    blob); without it the one counts that was shown in TLS. `encrypted` says that the protocol itself hides
    from others what follows, as TLS would.
    """

    name: str
    certificate: bytes = b""
    encrypted: bool = False


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
class AskGiveUp:
    """Forget a login that was begun and goes no further. Answered by GivenUp, which may come at any time."""

    login: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Nothing is kept of the login."""


@dataclass(frozen=True, slots=True)
class AskHostKey:
    """Which key does this gateway prove itself with to its clients? Answered by HostKey or NoHostKey."""


@dataclass(frozen=True, slots=True)
class HostKey:
    """The private key of the gateway's listeners of this protocol, as the text of an OpenSSH key file."""

    private: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoHostKey:
    """There is no host key to be had, and why, for people."""

    message: str


@dataclass(frozen=True, slots=True)
class AskServed:
    """Which protocol of ours is spoken at `host:port`? Answered by Served; several may be asked at a time.

    `seen_from` is the host from which that would be reached, as the settings name it.
    """

    where: str
    seen_from: str


@dataclass(frozen=True, slots=True)
class Served:
    """The protocol by whose listener the target at `where` is reached; "" where that is none's.

    `at` is that target's `host:port` in the settings.
    """

    where: str
    protocol: str
    at: str = ""


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
    `alpn` is the application protocol that both agreed on in the handshake (RFC 7301), "" for none.
    """

    secure: bool
    certificate: bytes = b""
    alpn: str = ""


@dataclass(frozen=True, slots=True)
class DialFailed:
    """No connection to the target, and why, for people.

    `refused` says that it was the gateway which would not: the host's addresses are none that may be reached.
    """

    message: str
    hint: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class AskLook:
    """Does the client go on with TLS or in the clear? Nothing is taken; answered by Looked or UpgradeFailed.

    What is queued for the client goes out before.
    """


@dataclass(frozen=True, slots=True)
class Looked:
    """What a client begins with, by its first byte: `tls` where that is a handshake's.

    `first` is what has come of it, as far as that could be looked at: maybe not all of its first message.
    """

    tls: bool
    first: bytes = b""


@dataclass(frozen=True, slots=True)
class AskUpgrade:
    """Begin TLS with the client, under a certificate of the interception CA for `host`.

    What is queued for the client goes out before, in the clear. `alpn` are the application protocols that may
    be agreed on, the best first (RFC 7301). Answered by Upgraded or UpgradeFailed; bytes that reach
    `from_client` after that are what TLS carried.
    """

    host: str
    alpn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Upgraded:
    """TLS with the client stands; `server_name` is what it asked for in its handshake, "" for nothing."""

    alpn: str = ""
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class UpgradeFailed:
    """No TLS with the client, and why, for people: it did not trust the certificate, or sent no TLS.

    Nothing more can be said to it: a handshake that failed takes the connection along, and `client_gone`
    follows unless the machine has closed the link.
    """

    message: str


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


Need = (
    AskServed
    | AskChallenge
    | AskRespond
    | AskOpen
    | AskGiveUp
    | AskHostKey
    | AskDial
    | AskLook
    | AskUpgrade
    | AskRenewal
    | AskCancel
    | AskApproval
    | AskErrand
)
Answer = (
    Served
    | Challenge
    | Grant
    | Refusal
    | GivenUp
    | HostKey
    | NoHostKey
    | DialDone
    | DialFailed
    | Renewed
    | Looked
    | Upgraded
    | UpgradeFailed
    | CancelPassed
    | ApprovalSaid
    | ErrandDone
    | bytes
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

    @property
    def message_seconds(self) -> float:
        """How long a message that the client has begun may go without getting on, in seconds."""

    def send_client(self, data: bytes) -> None:
        """Queue bytes of the login itself, which belong to no session, for the client."""

    def send_target(self, data: bytes) -> None:
        """Queue bytes of the login itself for the target; they may hold secrets and are never recorded."""

    def ask(self, need: Need) -> None:
        """Say what is needed; `Machine.answer` gets the answer.

        One need at a time, but for approvals: several may be open, and their answers name the exchange.
        """

    def open(self, grant: Grant, claims: Mapping[str, str]) -> "Session":
        """Begin the session that `grant` allows: journals its opening, with the client's claims."""

    def stranger(self) -> None:
        """Somebody who never proved who they are broke the protocol: counted, and never a session."""

    def ready(self) -> None:
        """The login is over: no deadline of it holds, and a target that is dialled later owes no login."""

    def register_cancel(self, key: bytes) -> None:
        """From now on a cancel request with `key`, wherever it arrives, reaches this machine's `cancel`."""

    def knock(self, dial: Dial, data: bytes) -> None:
        """Send `data` to the target on a connection of its own (PostgreSQL's CancelRequest)."""

    def hold_client(self, hold: bool) -> None:
        """Stop reading the client until told otherwise: so much is under way that it would not be bounded."""

    def hold_target(self, hold: bool) -> None:
        """Stop reading the target until told otherwise, or until there is another connection to it."""

    def alarm(self, seconds: float | None) -> None:
        """Call `Machine.alarm` in so many seconds; a later call replaces this one, None takes it back."""

    def nest(self, machine: Callable[["Link"], "Machine"] | str, carrier: Carrier) -> Inner | None:
        """Begin a link within this one, whose client speaks by `carrier`; None: there are too many.

        With the name of another protocol, that is what the client speaks, as at that protocol's listener.
        """

    def stir(self) -> None:
        """Something was recorded or queued outside a call of the link: it is committed and sent soon."""

    def drop_target(self) -> None:
        """Close the target's side alone; its end is no news, and another may be dialled."""

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

    def alarm(self) -> None:
        """The time that `Link.alarm` was told of is over."""

    def cut(self, reason: str) -> None:
        """End the session now: revoked, killed, expired, drained. Idempotent."""

    def drain(self, reason: str) -> None:
        """End the session if it is at nothing, and take nothing new: its credential is over.

        A transaction that is open goes on to its end. It is called again and again until the session has
        ended; `cut` comes when that takes too long.
        """

    def farewell(self, message: str, hint: str) -> bytes:
        """The protocol's own fatal error, for when the gateway itself can't go on."""
