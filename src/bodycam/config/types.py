"""The small types of the settings file: durations, sizes, addresses, paths, names.

Each says in its error what was expected and never repeats what it got.
"""

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from bodycam.model.hosts import HostPattern, host_pattern

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_DURATION = r"^([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)$"
_SIZE = r"^([0-9]{1,15})(B|KiB|MiB|GiB|TiB)$"
_ADDRESS = r"^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}$"
_DURATION_RE, _SIZE_RE, _ADDRESS_RE = re.compile(_DURATION), re.compile(_SIZE), re.compile(_ADDRESS)

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$"


def _seconds(value: object) -> float:
    match = _DURATION_RE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a duration with its unit: 500ms, 30s, 5m, 12h or 90d")
    return float(match.group(1)) * _SECONDS[match.group(2)]


def _duration_text(seconds: float) -> str:
    if seconds != int(seconds):
        # microseconds are enough for every setting, and fixed notation is what the parser reads
        return f"{seconds:.6f}".rstrip("0") + "s"
    unit = next(unit for unit in ("d", "h", "m", "s") if seconds % _SECONDS[unit] == 0)
    return f"{int(seconds / _SECONDS[unit])}{unit}" if seconds else "0s"


def _bytes(value: object) -> int:
    match = _SIZE_RE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a size with its unit: 4096B, 64KiB, 64MiB or 2GiB")
    return int(match.group(1)) * _BYTES[match.group(2)]


def _size_text(size: int) -> str:
    unit = next(unit for unit in ("TiB", "GiB", "MiB", "KiB", "B") if size % _BYTES[unit] == 0)
    return f"{size // _BYTES[unit]}{unit}" if size else "0B"


@dataclass(frozen=True, slots=True)
class HostPort:
    """A host name or IP address (IPv6 without its brackets) and a TCP port; 0 lets the system choose one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach a listener here."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _host_port(value: object) -> HostPort:
    if isinstance(value, HostPort):
        return value
    wrong = ValueError("expected host:port, such as 127.0.0.1:5432, db.internal:5432 or [::1]:5432")
    if not isinstance(value, str) or not _ADDRESS_RE.fullmatch(value):
        raise wrong
    host, _, port = value.rpartition(":")
    if host.startswith("["):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise wrong from None
    if int(port) > 65535:
        raise ValueError("expected a port of at most 65535")
    return HostPort(host, int(port))


def _host(value: object) -> HostPattern:
    if isinstance(value, HostPattern):
        return value
    try:
        return host_pattern(value if isinstance(value, str) else "")
    except ValueError as error:
        raise ValueError(f"expected a host, *.domain or *, or one with :port; {error}") from None


def _from_folder(value: Path, info: ValidationInfo) -> Path:
    folder = (info.context or {}).get("folder")
    return value if folder is None else Path(folder) / value


def _a_path(value: object) -> object:
    if isinstance(value, Path) or (isinstance(value, str) and value and "\0" not in value):
        return value
    raise ValueError("expected a path")


def _known_protocol(value: str, info: ValidationInfo) -> str:
    known = (info.context or {}).get("protocols")
    if known is not None and value not in known:
        raise ValueError(f"expected a protocol of this version: {', '.join(sorted(known))}")
    return value


def _text_schema(pattern: str, *examples: str) -> WithJsonSchema:
    schema: dict[str, Any] = {"type": "string", "pattern": pattern, "examples": list(examples)}
    return WithJsonSchema(schema)


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    PlainSerializer(_duration_text, return_type=str),
    _text_schema(_DURATION, "30s", "5m", "12h", "90d"),
]
"""Seconds, written with a unit."""

Size = Annotated[
    int,
    BeforeValidator(_bytes),
    PlainSerializer(_size_text, return_type=str),
    _text_schema(_SIZE, "64KiB", "16MiB", "2GiB"),
]
"""Bytes, written with a binary unit."""

Address = Annotated[
    HostPort,
    PlainValidator(_host_port),
    PlainSerializer(str, return_type=str),
    _text_schema(_ADDRESS, "127.0.0.1:7432", "[::1]:7432"),
]

Host = Annotated[
    HostPattern,
    PlainValidator(_host),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "maxLength": 300, "examples": ["*.example.com", "example.com:8443"]}),
]
"""A host, all hosts below a domain, or all, at one port or the usual ones."""

FilePath = Annotated[
    Path, BeforeValidator(_a_path), AfterValidator(_from_folder), WithJsonSchema({"type": "string"})
]
"""A path; a relative one starts at the folder of the settings file."""

Name = Annotated[str, Field(pattern=NAME)]
Text = Annotated[str, Field(min_length=1, max_length=255)]
ProtocolName = Annotated[str, AfterValidator(_known_protocol)]
