"""Settings of the systems behind the gateway."""

from collections.abc import Mapping

from pydantic import Field

from bodycam.config.secret import SecretSource
from bodycam.config.section import Section
from bodycam.config.types import Address, FilePath, ProtocolName, Text
from bodycam.model.target import TlsMode


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

    @property
    def default_database(self) -> str:
        """The database that a client gets who names only the target."""
        return self.database or self.user
