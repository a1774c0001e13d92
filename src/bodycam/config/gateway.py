"""Settings of the gateway's own doors: where it listens, under which certificate, within which limits."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from bodycam.config.section import Section, written
from bodycam.config.types import Address, Duration, FilePath, HostPort, Size, Text


class Listen(Section):
    """One address for each protocol that is served, by the protocol's name, and the control API's own."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Address] = Field(init=False)

    control: Address = Field(
        default=written("127.0.0.1:7888"),
        description="Where the control API listens: the command line's only door.",
    )

    @property
    def protocols(self) -> Mapping[str, HostPort]:
        """Where each protocol listens, by its name."""
        return dict(self.__pydantic_extra__)


class Tls(Section):
    """What clients see of the gateway when they speak TLS to it."""

    enabled: bool = Field(default=True, description="Whether the listeners and the control API speak TLS.")
    required: bool = Field(
        default=True,
        description="Whether a client that is not on this machine must speak TLS to log in at all.",
    )
    names: tuple[Text, ...] = Field(
        default=(),
        description="Host names and IP addresses by which clients reach the gateway; "
        "its own CA certifies them, beside those of loopback.",
    )
    certificate: FilePath | None = Field(
        default=None,
        description="A certificate chain of your own, in PEM, instead of one of the gateway's CA.",
    )
    key: FilePath | None = Field(default=None, description="The private key of `certificate`, in PEM.")

    @model_validator(mode="after")
    def _both_or_neither(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("expected both certificate and key, or neither")
        return self


class Limits(Section):
    """Bounds that keep one client from starving the others."""

    login_timeout: Duration = Field(
        default=written("10s"), description="From a connection's first byte to its opened session."
    )
    pending_logins: int = Field(
        default=200,
        ge=1,
        le=100_000,
        description="Logins that may be under way at once in the whole gateway.",
    )
    connections: int = Field(
        default=2000, ge=1, le=1_000_000, description="Connections that one worker keeps open at once."
    )
    connections_per_run: int = Field(
        default=100, ge=1, le=100_000, description="Sessions that one run may have open at once."
    )
    journal_per_run: Size = Field(
        default=written("0B"),
        description="Bytes that one run may move through one worker, both ways, requests as they are "
        "recorded; then its sessions there end. 0B is no bound.",
    )
    message_size: Size = Field(
        default=written("32MiB"),
        ge=64 * 1024,
        le=60 * 1024 * 1024,
        description="The largest single protocol message that is taken in: 64KiB to 60MiB.",
    )
    message_timeout: Duration = Field(
        default=written("60s"),
        ge=1,
        description="Over HTTP/1.1: how long the body of a request may take for each further KiB before it "
        "is answered.",
    )
    connect_timeout: Duration = Field(
        default=written("10s"), description="From dialling a target to the end of the login there."
    )
    drain_timeout: Duration = Field(
        default=written("30s"), description="How long a stop waits for sessions to end before it cuts them."
    )


class Level(StrEnum):
    """The least serious kind of line that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Format(StrEnum):
    """How a log line is written."""

    JSON = "json"
    TEXT = "text"


class Logging(Section):
    """The gateway's own log, on standard error."""

    level: Level = Field(default=Level.INFO, description="The least serious kind of line that is written.")
    format: Format = Field(
        default=Format.TEXT, description="`text` for people, `json` for a log collector, one object a line."
    )
