"""Settings of where audit events go besides the catalog: files, syslog, webhooks."""

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from bodycam.config.approvals import WebhookUrl
from bodycam.config.secret import SecretSource
from bodycam.config.section import Section
from bodycam.config.types import Address, FilePath, Name

MAX_SINKS = 20


class SinkType(StrEnum):
    """What takes events."""

    FILE = "file"
    SYSLOG = "syslog"
    WEBHOOK = "webhook"


# the keys that one of each must have, or has instead of others
_KEYS = {
    SinkType.FILE: {"path"},
    SinkType.SYSLOG: {"address", "ca_file"},
    SinkType.WEBHOOK: {"url", "url_from", "secret", "ca_file"},
}


class Sink(Section):
    """One place that gets every audit event, at least once and in order."""

    name: Name = Field(description="What the log calls it, and its place in the trail goes by.")
    type: SinkType = Field(
        description="`file`: a line of JSON for each; `syslog`: RFC 5424 over TCP or TLS; `webhook`: signed "
        "JSON."
    )
    path: FilePath | None = Field(
        default=None, description="Of a file: where it is. Who rotates it may move it away."
    )
    address: Address | None = Field(default=None, description="Of a syslog server: host and port.")
    tls: bool = Field(
        default=True,
        description="Whether a syslog server is spoken to in TLS and has to prove itself; without it only on "
        "this machine.",
    )
    url: WebhookUrl | None = Field(
        default=None,
        description="Of a webhook: where it is: https, or http to this machine.",
    )
    url_from: SecretSource | None = Field(
        default=None, description="Where the URL comes from instead, for one that is itself a secret."
    )
    secret: SecretSource | None = Field(
        default=None, description="Where the key of the signature comes from; a webhook must have one."
    )
    ca_file: FilePath | None = Field(
        default=None, description="The CAs, in PEM, that vouch for it; absent: the system's."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        # by their values: settings that were written down and read again have every key
        for key in ("path", "address", "url", "url_from", "secret", "ca_file"):
            if getattr(self, key) is not None and key not in _KEYS[self.type]:
                raise ValueError(f"expected no {key}: a {self.type.value} has none")
        match self.type:
            case SinkType.FILE if self.path is None:
                raise ValueError("expected a path, of a file")
            case SinkType.SYSLOG if self.address is None:
                raise ValueError("expected an address, of a syslog server")
            case SinkType.SYSLOG if not self.tls and self.address is not None and not self.address.loopback:
                raise ValueError("expected tls, or an address of this machine")
            case SinkType.WEBHOOK if (self.url is None) == (self.url_from is None):
                raise ValueError("expected either url or url_from, of a webhook")
            case SinkType.WEBHOOK if self.secret is None:
                raise ValueError("expected a secret, which webhooks are signed with")
        return self


class Audit(Section):
    """Where audit events go besides the catalog."""

    sinks: tuple[Sink, ...] = Field(
        default=(), max_length=MAX_SINKS, description="Who gets every audit event, at least once."
    )

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [one.name for one in self.sinks]
        if len(set(names)) != len(names):
            raise ValueError("expected another name for each of the sinks")
        return self
