"""What a look at a connection's first bytes can say: on the client's side, and on the way to a target.

Sans-io and without any protocol's name; each protocol's opening returns these, the gateway acts on them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class More:
    """Too few bytes to tell; look again when there are more."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Take `consume` bytes off the socket, send `data`, and look again."""

    consume: int
    data: bytes


@dataclass(frozen=True, slots=True)
class StartTls:
    """Take `consume` bytes off the socket, send `reply`, then the TLS handshake begins.

    `required_alpn` is the application protocol (RFC 7301) that the handshake has to agree on, "" for none.
    """

    consume: int
    reply: bytes
    required_alpn: str = ""


@dataclass(frozen=True, slots=True)
class Begin:
    """Hand the connection to the protocol's machine, without TLS, with all its bytes still unread."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Send `reply` and close."""

    reply: bytes
    reason: str


Look = More | Reply | StartTls | Begin | Refuse


@dataclass(frozen=True, slots=True)
class Tls:
    """Begin TLS on this connection, and offer these application protocols in it (RFC 7301)."""

    alpn: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plain:
    """Go on without TLS on this connection."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Give this connection up and try again on a new one, with the same opening."""


@dataclass(frozen=True, slots=True)
class Fail:
    """There is no way that the target's TLS mode allows."""

    message: str


TargetLook = Tls | Plain | Retry | Fail
