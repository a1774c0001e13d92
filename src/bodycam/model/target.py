"""The named systems behind the gateway."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Target:
    """A system behind the gateway, as policy and the record name it."""

    name: str
    protocol: str
    labels: Mapping[str, str] = field(default_factory=dict)


class TlsMode(StrEnum):
    """How the gateway meets a target, with the meaning that libpq gives `sslmode`.

    https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
    """

    DISABLE = "disable"
    ALLOW = "allow"
    PREFER = "prefer"
    REQUIRE = "require"
    VERIFY_CA = "verify-ca"
    VERIFY_FULL = "verify-full"


class ChannelBinding(StrEnum):
    """Whether a proof has to be bound to the TLS connection it is given on, as libpq means `channel_binding`.

    https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-CHANNEL-BINDING
    """

    DISABLE = "disable"
    PREFER = "prefer"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Dial:
    """All that a worker needs to open one connection to a target; it lives as long as the session.

    `client_cert` and `client_key` are PEM, both or neither.
    """

    host: str
    port: int
    user: str
    database: str
    password: str | None = field(default=None, repr=False)
    tls: TlsMode = TlsMode.PREFER
    ca_file: str | None = None
    connect_timeout: float = 10.0
    channel_binding: ChannelBinding = ChannelBinding.PREFER
    client_cert: str | None = None
    client_key: str | None = field(default=None, repr=False)
