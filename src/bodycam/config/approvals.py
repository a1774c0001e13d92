"""Settings of approvals: where people find them, and who is told that one waits."""

from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from bodycam.config.secret import SecretSource
from bodycam.config.section import Section, written
from bodycam.config.types import Duration, FilePath, HostPort, Name

MAX_WEBHOOKS = 20


class WebhookFormat(StrEnum):
    """What a webhook's body looks like."""

    GENERIC = "generic"
    SLACK = "slack"


def webhook_url(value: str) -> str:
    """The URL, if a webhook may be sent there.

    Raises:
        ValueError: it is no such URL; the text says what was expected, and never what it is.
    """
    wrong = ValueError("expected https://host/path, or http:// to this machine, without a user in it")
    try:
        url = urlsplit(value)
        port = url.port or 0
    except ValueError:
        raise wrong from None
    if not url.hostname or url.username is not None or url.password is not None or url.fragment:
        raise wrong
    local = url.scheme == "http" and HostPort(url.hostname, port).loopback
    if url.scheme != "https" and not local:
        raise wrong
    return value


WebhookUrl = Annotated[str, Field(max_length=2000), AfterValidator(webhook_url)]


class Webhook(Section):
    """One place that is told of each approval that waits."""

    name: Name = Field(description="What the log calls it.")
    format: WebhookFormat = Field(
        default=WebhookFormat.GENERIC,
        description="`generic` is signed JSON for programs; `slack` is a text for Slack and its like.",
    )
    url: WebhookUrl | None = Field(
        default=None,
        description="Where it is: https, or http to this machine. Private addresses are fine.",
    )
    url_from: SecretSource | None = Field(
        default=None, description="Where the URL comes from instead, for one that is itself a secret."
    )
    secret: SecretSource | None = Field(
        default=None, description="Where the key of the signature comes from; `generic` must have one."
    )
    ca_file: FilePath | None = Field(
        default=None, description="The CAs, in PEM, that vouch for it; absent: the system's."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.url is None) == (self.url_from is None):
            raise ValueError("expected either url or url_from")
        if self.format is WebhookFormat.GENERIC and self.secret is None:
            raise ValueError("expected a secret, which generic webhooks are signed with")
        return self


class Approvals(Section):
    """What is told to people of operations that wait for them."""

    url: str = Field(
        default="",
        max_length=2000,
        description="Where people reach the console, for the links in notices; the approval's own path is "
        "put behind it. Empty: no links.",
    )
    webhooks: tuple[Webhook, ...] = Field(
        default=(), max_length=MAX_WEBHOOKS, description="Who is told of each approval that waits."
    )
    keep: Duration = Field(
        default=written("90d"),
        description="How long an approval can be looked at after it has expired; the ledger keeps its acts.",
    )

    @field_validator("url")
    @classmethod
    def _a_page(cls, value: str) -> str:
        try:
            url = urlsplit(value)
            plain = url.scheme in ("http", "https") and url.hostname and "@" not in url.netloc
        except ValueError:
            plain = False
        if value and not (plain and not url.query and not url.fragment):
            raise ValueError("expected https://host/path, or nothing")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [one.name for one in self.webhooks]
        if len(set(names)) != len(names):
            raise ValueError("expected another name for each of the webhooks")
        return self

    def link(self, approval: str) -> str:
        """Where people find an approval; empty where the settings don't say."""
        return f"{self.url}/approvals/{approval}" if self.url else ""
