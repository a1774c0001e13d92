"""What an exchange looks like to those who trace: a span's name and attributes, in its protocol's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Attribute = str | int | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One exchange as the index knows it, redacted as it was recorded.

    `text` is what was asked, `database` what was chosen behind the target, `details` what the protocol's
    transcript had the index keep; `code` is the error's, `rows` what the target reported. `address` is where
    the target is by the settings of now, as host and port; None for a set of hosts.
    """

    verb: str
    text: str
    status: str
    code: str | None
    rows: int
    database: str
    details: Mapping[str, Any]
    address: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class SpanWords:
    """A span's name, and its attributes by the names of OpenTelemetry's semantic conventions."""

    name: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


Wording = Callable[[Exchanged], SpanWords]
"""How a protocol words its exchanges."""
