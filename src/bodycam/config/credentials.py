"""What the gateway adds to each request that it passes on to a target, so that no client has to know it."""

import re

from pydantic import Field, field_validator

from bodycam.config.providers import provider_url
from bodycam.config.secret import SecretSource
from bodycam.config.section import Section
from bodycam.config.types import FilePath, Text

MOST_ADDED = 32
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}", re.ASCII)

# what says where a message begins, ends or goes is for the gateway to write itself
_FRAMING = frozenset(
    {"connection", "content-length", "expect", "forwarded", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)


def checked_header(name: str) -> str:
    """The name of a header that may be added to requests.

    Raises:
        ValueError: it is none, or one that says how a message is framed and routed.
    """
    if not _TOKEN.fullmatch(name):
        raise ValueError("expected the name of a header, at most 64 characters")
    if name.lower() in _FRAMING or name.lower().startswith("proxy-"):
        raise ValueError("expected a header that doesn't say where messages begin, end or go")
    return name


class HeaderSource(SecretSource):
    """A header's value: a secret, and what is not secret before it."""

    prefix: str = Field(
        default="",
        max_length=64,
        description="What stands before the secret, such as `Bearer ` with its blank.",
    )

    @field_validator("prefix")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable():
            raise ValueError("expected printable ASCII characters")
        return value


class OAuth(Section):
    """Tokens that the gateway gets for itself, by OAuth 2.0 client credentials (RFC 6749, section 4.4)."""

    token_url: Text = Field(description="Where tokens are given out: https, or http to this machine.")
    client_id: Text = Field(description="The gateway's name there.")
    client_secret: SecretSource = Field(description="The gateway's secret there.")
    scope: Text | None = Field(default=None, description="What the token is to be good for.")
    ca_file: FilePath | None = Field(
        default=None, description="The CA, in PEM, that vouches for it, instead of the system's."
    )

    @field_validator("token_url")
    @classmethod
    def _safe(cls, value: str) -> str:
        if not provider_url(value):
            raise ValueError("expected https://host/path, or http:// to this machine")
        return value
