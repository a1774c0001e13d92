"""Settings of the systems behind the gateway."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from bodycam.config.masking import Capture
from bodycam.config.secret import SecretSource
from bodycam.config.section import Section
from bodycam.config.types import Address, FilePath, ProtocolName, Text
from bodycam.model.target import ChannelBinding, TlsMode


class TargetTls(Section):
    """TLS towards a target, with libpq's meanings of sslmode."""

    sslmode: TlsMode = Field(
        default=TlsMode.PREFER,
        description="How much of TLS is wanted, with the meaning that libpq gives each word.",
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
    address: Address = Field(description="Where it is.")
    user: Text = Field(description="The name that the gateway logs in with.")
    password: SecretSource | None = Field(
        default=None, description="Where the password comes from; absent: the target asks for none."
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

    @property
    def default_database(self) -> str:
        """The database that a client gets who names only the target."""
        return self.database or self.user
