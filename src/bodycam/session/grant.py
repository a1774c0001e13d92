"""What a worker and the control process say to each other about a login: challenge, respond, open.

The worker, which parses hostile bytes, holds no verifier: it carries the client's proof to the control
process and gets back who it is, what they may use, and the secret of that one target.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from bodycam.model.identity import Grade, Principal, PrincipalKind, Run
from bodycam.model.target import ChannelBinding, Dial, Reach, Target, TlsMode


class Method(StrEnum):
    """How a client is asked to prove the name it claims."""

    SCRAM_SHA_256 = "scram-sha-256"  # RFC 5802, RFC 7677
    CLEARTEXT = "cleartext"  # over TLS or loopback only
    CERTIFICATE = "certificate"  # proved by the TLS handshake already: there is nothing left to ask


class RefusalCode(StrEnum):
    """Why a login or an opening was refused; each protocol has its own error for each."""

    BAD_CREDENTIAL = "bad-credential"  # unknown, wrong, revoked or expired: said alike to who is not known
    BAD_CERTIFICATE = "bad-certificate"  # a client certificate that is over, somebody else's, or not ours
    RUN_ENDED = "run-ended"
    UNKNOWN_TARGET = "unknown-target"
    NOT_ALLOWED = "not-allowed"
    INSECURE = "insecure"
    LIMIT = "limit"
    STORE_FULL = "store-full"  # sealed recordings take all that storage.quota gives them
    UNAVAILABLE = "unavailable"  # the gateway itself can't: journal full, control process away, draining


@dataclass(frozen=True, slots=True)
class Challenge:
    """How the claimed name is to be proved; `login` names this attempt in the calls that follow."""

    login: str
    method: Method


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; design section 7, promise 5.

    `drain` is for how many seconds its sessions may go on with what they are at when its lease runs out.
    """

    connections: int = 100
    journal_bytes: int = 0  # 0: no bound of its own
    drain: float = 0.0


@dataclass(frozen=True, slots=True)
class Grant:
    """An authorised use of a target: the session to record, and how to reach the target.

    `proof` is what the client is to be sent as the server's own proof (SCRAM's server-final-message).
    `dial` is None in a refusal whose principal is known.
    """

    session: str
    run: Run
    target: Target
    database: str
    policy: str
    dial: Dial | None = None
    proof: bytes = b""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A login that does not become a usable session; with `grant` where it is known who failed."""

    code: RefusalCode
    message: str
    hint: str = ""
    grant: Grant | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client wants to open: protocol, target, what is chosen behind it, and its claims.

    `host` is `host:port` where the client names an address instead of a target, as a proxy's client does;
    then `target` is "", and it is found out which target the address belongs to; `named` says that a target's
    name may stand in the place of its host.
    """

    protocol: str
    target: str
    database: str | None
    address: str
    claims: Mapping[str, str] = field(default_factory=dict)
    host: str = ""
    named: bool = False


class Gatekeeper(Protocol):
    """Decides logins. In a worker it is a client of the control process.

    Every method raises `net.channel.ChannelClosed` or `TimeoutError` when the control process is away; the
    caller fails closed.
    """

    async def challenge(
        self, name: str, *, secure: bool, address: str, certificate: bytes = b"", encrypted: bool = False
    ) -> Challenge | Refusal: ...

    async def respond(self, login: str, data: bytes) -> bytes | Refusal: ...

    async def open(self, login: str, proof: bytes, wanted: Wanted) -> Grant | Refusal: ...


def grant_to_wire(grant: Grant) -> dict[str, Any]:
    """A grant as plain values for the channel."""
    plain = asdict(grant)
    plain["run"]["principal"]["groups"] = sorted(grant.run.principal.groups)
    return plain


def grant_from_wire(plain: Mapping[str, Any]) -> Grant:
    """The grant that `grant_to_wire` made plain."""
    run, principal, dial = plain["run"], plain["run"]["principal"], plain["dial"]
    return Grant(
        session=plain["session"],
        run=Run(
            id=run["id"],
            principal=Principal(
                principal["issuer"],
                principal["subject"],
                PrincipalKind(principal["kind"]),
                frozenset(principal["groups"]),
            ),
            agent=run["agent"],
            expires=run["expires"],
            grade=Grade(run["grade"]),
            labels=run["labels"],
            trace=run["trace"],
        ),
        target=Target(**plain["target"]),
        database=plain["database"],
        policy=plain["policy"],
        dial=None if dial is None else dial_from_wire(dial),
        proof=plain["proof"],
        limits=Limits(**plain["limits"]),
    )


def dial_from_wire(plain: Mapping[str, Any]) -> Dial:
    """A way to a target as `asdict` made it plain."""
    words: dict[str, Any] = {
        "tls": TlsMode(plain["tls"]),
        "channel_binding": ChannelBinding(plain["channel_binding"]),
        "reach": Reach(plain["reach"]),
        "alpn": tuple(plain["alpn"]),
    }
    return Dial(**{**plain, **words})
