"""Settings of the ledger: where its signed heads are put outside the gateway's reach."""

from enum import StrEnum
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from bodycam.config.approvals import WebhookUrl
from bodycam.config.secret import SecretSource
from bodycam.config.section import Section, written
from bodycam.config.types import Duration, FilePath, Name

MAX_ANCHORS = 20


class AnchorType(StrEnum):
    """What takes heads."""

    FILE = "file"
    WEBHOOK = "webhook"
    RFC3161 = "rfc3161"


def _authority_url(value: str) -> str:
    wrong = ValueError("expected http://host/path or https://host/path, without a user in it")
    try:
        url = urlsplit(value)
        _ = url.port
    except ValueError:
        raise wrong from None
    if url.scheme not in ("http", "https") or not url.hostname or url.username is not None or url.fragment:
        raise wrong
    return value


AuthorityUrl = Annotated[str, Field(max_length=2000), AfterValidator(_authority_url)]

# the keys that one of each may have, and of these the ones that it must have
_KEYS = {
    AnchorType.FILE: {"path"},
    AnchorType.WEBHOOK: {"url", "url_from", "secret", "ca_file"},
    AnchorType.RFC3161: {"path", "authority_url", "authority", "ca_file"},
}


class Anchor(Section):
    """One place outside that gets the ledger's signed head again and again, at least once."""

    name: Name = Field(description="What the log calls it, and its place in the ledger goes by.")
    type: AnchorType = Field(
        description="`file`: a line of JSON for each head; `webhook`: signed JSON; `rfc3161`: a time stamp "
        "for each, kept in a file."
    )
    path: FilePath | None = Field(
        default=None,
        description="Of a file, and of time stamps: where the lines go. It helps only where the gateway "
        "can't take lines away again.",
    )
    url: WebhookUrl | None = Field(
        default=None, description="Of a webhook: where it is: https, or http to this machine."
    )
    url_from: SecretSource | None = Field(
        default=None, description="Where the URL comes from instead, for one that is itself a secret."
    )
    secret: SecretSource | None = Field(
        default=None, description="Where the key of the signature comes from; a webhook must have one."
    )
    authority_url: AuthorityUrl | None = Field(
        default=None,
        description="Of time stamps: the authority. Plain http will do, for what comes back is signed.",
    )
    authority: FilePath | None = Field(
        default=None,
        description="The certificates, in PEM, that the authority's own has to lead to; a stamp that does "
        "not is not taken.",
    )
    ca_file: FilePath | None = Field(
        default=None, description="The CAs, in PEM, that vouch for an https server; absent: the system's."
    )
    interval: Duration = Field(
        default=written("10m"), description="How long a changed ledger waits to be anchored, at most."
    )
    leaves: int = Field(
        default=10_000, ge=1, description="After so many leaves it is anchored at once, within a second."
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        # by their values: settings that were written down and read again have every key
        for key in set().union(*_KEYS.values()) - _KEYS[self.type]:
            if getattr(self, key) is not None:
                raise ValueError(f"expected no {key}: a {self.type.value} anchor has none")
        match self.type:
            case AnchorType.FILE if self.path is None:
                raise ValueError("expected a path, of a file")
            case AnchorType.WEBHOOK if (self.url is None) == (self.url_from is None):
                raise ValueError("expected either url or url_from, of a webhook")
            case AnchorType.WEBHOOK if self.secret is None:
                raise ValueError("expected a secret, which webhooks are signed with")
            case AnchorType.RFC3161 if None in (self.path, self.authority_url, self.authority):
                raise ValueError("expected path, authority_url and authority, of time stamps")
        if not 1 <= self.interval <= 7 * 86400:
            raise ValueError("expected an interval from 1s to 7d")
        return self


class Ledger(Section):
    """The ledger's heads outside of the gateway."""

    anchors: tuple[Anchor, ...] = Field(
        default=(), max_length=MAX_ANCHORS, description="Who gets the ledger's signed heads."
    )

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        names = [one.name for one in self.anchors]
        if len(set(names)) != len(names):
            raise ValueError("expected another name for each of the anchors")
        return self
