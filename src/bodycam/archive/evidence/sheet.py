"""Who and what one session was, as its recording says: made of its events, and made again to be compared."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bodycam.archive.format.v1 import Manifest
from bodycam.model import ids
from bodycam.model.event import Kind

MOST_LISTED: Final = 1000
"""Verdicts and notes that a sheet lists; the transcript has all."""

_DEEP, _TEXT_MOST = 8, 4000
_OPENED = (
    "run",
    "agent",
    "principal",
    "grade",
    "labels",
    "trace",
    "target",
    "database",
    "address",
    "claims",
    "policy",
    "version",
    "started",
)


class Sheet:
    """Takes a session's events in order; what a hostile worker put into them never makes it fail."""

    def __init__(self) -> None:
        self._opened: dict[str, Any] = {}
        self._closed: dict[str, Any] = {}
        self._verdicts: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []
        self._more = 0

    def feed(self, event: Sequence[Any]) -> None:
        """Take an event, `[kind, at, exchange, body]`."""
        kind, at, exchange, body = event
        match kind, body:
            case Kind.OPENED, Mapping():
                self._opened = {name: plain(body.get(name)) for name in _OPENED}
            case Kind.REQUEST, [verb, _, _, _, _, [decision, rule, policy, message], *_]:
                told = {"decision": decision, "rule": rule, "policy": policy, "message": message}
                self._list(self._verdicts, at, exchange, {"verb": verb, **told})
            case Kind.NOTE, Mapping():
                self._list(self._notes, at, exchange, body)
            case Kind.CLOSED, Mapping():
                self._closed = {name: plain(body.get(name)) for name in ("outcome", "reason")}

    def _list(self, to: list[dict[str, Any]], at: int, exchange: int, told: Mapping[Any, Any]) -> None:
        if len(to) >= MOST_LISTED:
            self._more += 1
            return
        to.append({"at": plain(at), "exchange": plain(exchange)} | plain(told))

    @property
    def run(self) -> str:
        """The run that the session says to be of."""
        return str(self._opened.get("run", ""))

    @property
    def started(self) -> int:
        """When it opened, in microseconds of the Unix epoch."""
        found = self._opened.get("started")
        return found if isinstance(found, int) else 0

    def encode(self, manifest: Manifest, root: bytes) -> bytes:
        """The sheet as JSON, on one line."""
        said = {
            "session": ids.session_id(manifest.session),
            "root": root.hex(),
            "sealed": manifest.sealed,
            "worker": manifest.worker.hex(),
            "opening": manifest.opening,
            "totals": plain(manifest.totals),
            "markers": plain(manifest.markers),
            "opened": self._opened,
            "closed": self._closed,
            "verdicts": self._verdicts,
            "notes": self._notes,
            "not_listed": self._more,
        }
        return line(said)


def line(said: Any) -> bytes:
    """Canonical JSON on one line: sorted keys, ASCII."""
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def plain(value: Any, deep: int = _DEEP) -> Any:
    """Anything that CBOR can hold as JSON can hold it: bytes in hexadecimal, long texts cut."""
    match value:
        case None | bool():
            return value
        case int():
            # JSON has no bound for numbers, and its readers have one
            return value if -(1 << 63) <= value < 1 << 64 else hex(value)[:_TEXT_MOST]
        case str():
            return value[:_TEXT_MOST]
        case bytes():
            return value[:_TEXT_MOST].hex()
        case Mapping() if deep:
            return {_key(name): plain(one, deep - 1) for name, one in list(value.items())[:MOST_LISTED]}
        case list() | tuple() if deep:
            return [plain(one, deep - 1) for one in value[:MOST_LISTED]]
        case set() | frozenset() if deep:
            return sorted((str(plain(one, deep - 1)) for one in value), key=str)[:MOST_LISTED]
        case _:
            return str(value)[:_TEXT_MOST] if deep else "..."


def _key(name: Any) -> str:
    return name[:_TEXT_MOST] if isinstance(name, str) else str(plain(name, 1))
