"""Settings of sign-ins in the browser, which the gateway itself keeps."""

from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from bodycam.config.providers import own_url
from bodycam.config.section import Section, written
from bodycam.config.types import Duration

LEAST_SECONDS = 60.0


class SignIns(Section):
    """Where browsers find the gateway, and how long they stay signed in."""

    url: str = Field(
        default="",
        max_length=500,
        description="Where browsers reach the control API, as https://host:port, or http:// on this machine. "
        "Empty: nobody signs in in a browser.",
    )
    lasts: Duration = Field(
        default=written("8h"), description="How long a sign-in lasts, unless the provider says less."
    )
    idle: Duration = Field(
        default=written("1h"), description="How long a sign-in lasts without being used; at most `lasts`."
    )

    @field_validator("url")
    @classmethod
    def _an_origin(cls, value: str) -> str:
        value = value.rstrip("/")
        if value and (not own_url(value) or urlsplit(value).path):
            raise ValueError("expected https://host:port, or http:// to this machine, without a path")
        return value

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not LEAST_SECONDS <= self.idle <= self.lasts:
            raise ValueError("expected an idle time from 1m to the time that a sign-in lasts")
        return self

    @property
    def origin(self) -> str:
        """The `Origin` of our own pages (RFC 6454): lower case, without the scheme's own port."""
        url = urlsplit(self.url.lower())
        usual = {"https": ":443", "http": ":80"}.get(url.scheme, "")
        return f"{url.scheme}://{url.netloc.removesuffix(usual)}"

    @property
    def secure(self) -> bool:
        """Whether browsers reach the gateway by TLS, so that cookies may be confined to it."""
        return self.url.startswith("https:")
