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


class Reach(StrEnum):
    """At which IP addresses a target may be connected to."""

    ANY = "any"  # one trusted place, named by the settings: wherever that is
    PRIVATE = "private"  # at addresses of private networks and of the Internet
    PUBLIC = "public"  # at addresses that all the Internet can reach


@dataclass(frozen=True, slots=True)
class TargetWants:
    """What one protocol makes of a target's settings.

    `needs` and `takes` are keys of `targets.NAME` that must be there and that may be. All other keys are
    refused, but for those that every target has (`protocol`, `labels`, `tls`, `capture`). `sslmodes` are the
    modes that mean something to the protocol, and `sslmode` is that of a target that says none. `host_keys`
    says that targets prove themselves by keys that the settings have to name. `allows` are the methods that a
    target allows whose `allow` is absent; None for all. `reserved_targets` and `reserved_accounts` are names
    that mean something else where the protocol's clients say which target and account they want.
    """

    needs: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset()
    sslmode: TlsMode = TlsMode.VERIFY_FULL
    sslmodes: frozenset[TlsMode] = frozenset(TlsMode)
    allows: frozenset[str] | None = None
    host_keys: bool = False
    reserved_targets: frozenset[str] = frozenset()
    reserved_accounts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Dial:
    """All that a worker needs to open one connection to a target; it lives as long as the session.

    `client_cert` and `client_key` are PEM, both or neither. `headers` and `query` are what the gateway adds
    to each request of a protocol that has such, and hold secrets; `reach` says which addresses may be
    connected to. Where `intercept` is false, TLS between client and target is passed through unread. `alpn`
    is offered to the target instead of what its protocol has offered otherwise. Of a target that proves
    itself by a host key, `known_hosts` says which it may have, in the format of OpenSSH's file of that name;
    there `client_key` is the text of an OpenSSH key file and `client_cert`, if it has one, a certificate's
    line. `lasts` is for how many seconds what is added is to be used, from when it was put together; None
    where that has no end.
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
    headers: Mapping[str, str] = field(hash=False, default_factory=dict, repr=False)
    query: Mapping[str, str] = field(hash=False, default_factory=dict, repr=False)
    reach: Reach = Reach.ANY
    intercept: bool = True
    alpn: tuple[str, ...] = ()
    known_hosts: str = ""
    lasts: float | None = None
