"""Settings of what is told to those who trace: where spans go."""

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, field_validator

from bodycam.config.approvals import webhook_url
from bodycam.config.secret import SecretSource
from bodycam.config.section import Section
from bodycam.config.types import FilePath, Text

MAX_HEADERS = 20
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 9110, section 5.6.2
_OURS = frozenset({"content-type", "content-encoding", "content-length", "transfer-encoding", "host"})

CollectorUrl = Annotated[str, Field(max_length=2000), AfterValidator(webhook_url)]


class Traces(Section):
    """A collector that gets each exchange and each run as a span, at least once."""

    endpoint: CollectorUrl = Field(
        description="Where OTLP over HTTP takes traces, such as https://collector:4318/v1/traces: https, or "
        "http to this machine."
    )
    headers: Mapping[Text, SecretSource] = Field(
        default_factory=dict,
        max_length=MAX_HEADERS,
        description="What it is to be shown, such as Authorization: a header's name, and where the value "
        "comes from.",
    )
    ca_file: FilePath | None = Field(
        default=None, description="The CAs, in PEM, that vouch for it; absent: the system's."
    )

    @field_validator("headers")
    @classmethod
    def _names(cls, value: Mapping[str, SecretSource]) -> Mapping[str, SecretSource]:
        for name in value:
            if _TOKEN.fullmatch(name) is None or name.lower() in _OURS:
                raise ValueError("expected names of header fields, and none of those that say what is sent")
        return value


class Telemetry(Section):
    """What is told to those who trace."""

    traces: Traces | None = Field(
        default=None, description="The collector of OpenTelemetry that gets spans; absent: none."
    )
