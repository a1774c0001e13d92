"""Settings of the systems behind the gateway."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from bodycam.config.allowing import MOST_ENTRIES, Allowed, some
from bodycam.config.credentials import MOST_ADDED, HeaderSource, OAuth, checked_header
from bodycam.config.host_keys import MOST_ACCOUNTS, MOST_KEYS, Account, HostKeyLine, PrivateKeySource
from bodycam.config.masking import Capture
from bodycam.config.secret import SecretSource
from bodycam.config.section import Section
from bodycam.config.types import Address, FilePath, Host, ProtocolName, Text
from bodycam.model.target import ChannelBinding, TlsMode

MOST_HOSTS = 1000


class TargetTls(Section):
    """TLS towards a target, with libpq's meanings of sslmode."""

    sslmode: TlsMode | None = Field(
        default=None,
        description="How much of TLS is wanted, with the meaning that libpq gives each word; absent: what "
        "the protocol's own clients do.",
    )
    ca_file: FilePath | None = Field(
        default=None,
        description="The CAs, in PEM, that verify-ca and verify-full trust; absent: the system's.",
    )
    client_cert: FilePath | None = Field(
        default=None,
        description="The gateway's own certificate chain, in PEM, for a target that asks for one.",
    )
    client_key: FilePath | None = Field(
        default=None,
        description="The private key of `client_cert`, in PEM, readable by its owner only.",
    )
    channel_binding: ChannelBinding = Field(
        default=ChannelBinding.PREFER,
        description="Whether the proof of a password is bound to the TLS connection, with libpq's meanings.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("expected both client_cert and client_key, or neither")
        if self.sslmode is TlsMode.DISABLE and self.client_cert is not None:
            raise ValueError("expected no client_cert where sslmode is disable")
        if self.sslmode is TlsMode.DISABLE and self.channel_binding is ChannelBinding.REQUIRE:
            raise ValueError("expected an sslmode with TLS where channel_binding is require")
        return self


class TargetSettings(Section):
    """One system behind the gateway."""

    protocol: ProtocolName = Field(description="The protocol that it speaks.")
    address: Address | None = Field(
        default=None, description="Where it is: one place that is trusted, at whatever address."
    )
    hosts: tuple[Host, ...] | None = Field(
        default=None,
        max_length=MOST_HOSTS,
        description="Instead of `address`, a set of hosts: `example.com`, `*.example.com` (all below it) "
        "or `*`, each with `:port`, or without it at 80 and 443.",
    )
    private: bool = Field(
        default=False, description="Whether its `hosts` may be at addresses of private networks too."
    )
    user: Text | None = Field(default=None, description="The name that the gateway logs in with.")
    password: SecretSource | None = Field(
        default=None, description="Where the password comes from; absent: the target asks for none."
    )
    users: tuple[Account, ...] | None = Field(
        default=None,
        max_length=MOST_ACCOUNTS,
        description="Further accounts that a client may choose, as `account@target`; absent: `user` alone.",
    )
    private_key: PrivateKeySource | None = Field(
        default=None,
        description="Where the private key comes from that the gateway logs in with, without a passphrase.",
    )
    issued_certificate: bool = Field(
        default=False,
        description="Whether the gateway logs in with a key and a certificate of its own SSH CA, made for "
        "each session; the target has to trust `public/target-ssh-ca.pub` of the keys folder.",
    )
    known_hosts: FilePath | None = Field(
        default=None,
        description="A file with the target's host keys, in the format of OpenSSH's `known_hosts`.",
    )
    host_keys: tuple[HostKeyLine, ...] | None = Field(
        default=None,
        max_length=MOST_KEYS,
        description="The target's host keys themselves: lines as those of its `/etc/ssh/*.pub`.",
    )
    headers: Mapping[str, HeaderSource] = Field(
        default_factory=dict,
        max_length=MOST_ADDED,
        description="Headers that the gateway sets in each request, instead of the client's.",
    )
    query: Mapping[Text, SecretSource] = Field(
        default_factory=dict,
        max_length=MOST_ADDED,
        description="Parameters that the gateway sets in the query of each request.",
    )
    oauth: OAuth | None = Field(
        default=None, description="How the gateway gets tokens for itself, which it sends as `Authorization`."
    )
    intercept: bool = Field(
        default=True,
        description="Whether TLS between client and target is read; false: it is passed "
        "through, and recorded as such.",
    )
    allow: tuple[Allowed, ...] | None = Field(
        default=None,
        max_length=MOST_ENTRIES,
        description="What may be asked of it; the rest is denied, as `target-allow`. Absent: everything, but "
        "what the protocol leaves out by itself.",
    )
    database: Text | None = Field(
        default=None,
        description="The database of a client that names only the target; absent: the one named like `user`.",
    )
    tls: TargetTls = Field(default_factory=TargetTls, description="TLS towards it.")
    labels: Mapping[str, Text] = Field(default_factory=dict, description="What `access` can select it by.")
    capture: Capture = Field(
        default_factory=Capture, description="What of its data is kept in recordings at all."
    )

    @model_validator(mode="before")
    @classmethod
    def _protocols_own(cls, value: Any, info: ValidationInfo) -> Any:
        """Put what the protocol means where nothing stands, so that whoever reads the settings has it."""
        wants = ((info.context or {}).get("protocols") or {}).get(_text(value, "protocol"))
        if wants is None:
            return value
        if "users" in wants.takes and value.get("users") is None:
            value = {**value, "users": ()}
        tls = value.get("tls", {})
        if not isinstance(tls, Mapping) or tls.get("sslmode") is not None:
            return value
        return {**value, "tls": {**tls, "sslmode": wants.sslmode.value}}

    @field_validator("hosts", "allow", "host_keys")
    @classmethod
    def _some(cls, value: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return some(value)

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: Mapping[str, HeaderSource]) -> Mapping[str, HeaderSource]:
        if len({checked_header(name).lower() for name in value}) != len(value):
            raise ValueError("expected each header once, whatever its capitals")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.address is None) == (self.hosts is None):
            raise ValueError("expected exactly one of address and hosts")
        if self.private and self.hosts is None:
            raise ValueError("expected private with hosts only: an address is trusted wherever it is")
        return self

    @model_validator(mode="after")
    def _one_proof(self) -> Self:
        named = any(name.lower() == "authorization" for name in self.headers)
        if named + (self.oauth is not None) + (self.password is not None) > 1:
            raise ValueError("expected only one of password, oauth and headers.Authorization")
        if (self.password is not None) + (self.private_key is not None) + self.issued_certificate > 1:
            raise ValueError("expected only one of password, private_key and issued_certificate")
        return self

    @model_validator(mode="after")
    def _unread(self) -> Self:
        if not self.intercept and (self.allow or self.headers or self.query or self.oauth or self.password):
            raise ValueError(
                "expected no allow, headers, query, oauth or password where intercept is false: what is not "
                "read can't be judged or added to"
            )
        return self

    @property
    def accounts(self) -> tuple[str, ...] | None:
        """The accounts that a client may choose from, `user` first; None where there is no such choice."""
        return None if self.users is None else tuple(dict.fromkeys((self.user or "", *self.users)))

    @property
    def default_database(self) -> str:
        """The database that a client gets who names only the target; "" for a protocol that has none."""
        return self.database or self.user or ""


def _text(value: Any, key: str) -> str:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if isinstance(found, str) else ""
