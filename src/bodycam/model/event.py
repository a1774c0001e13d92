"""The events of a recording, version 1: what journal, recordings and transcripts are made of.

One event is the CBOR array `[kind, at, exchange, body]`: `at` is microseconds since the session opened
(monotonic), `exchange` numbers the session's exchanges from 1, with 0 for what belongs to none. The journal
holds the encoded body ready-made, so that the archivist copies it without decoding.
`docs/recording-format.md` is the reference of every body.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any


class Kind(IntEnum):
    """The kinds of event; numbers are part of the format and are never given a second meaning."""

    OPENED = 1  # map: who, which target, when; the first event of every session
    REQUEST = 2  # [verb, text, [[type, format, value]...], facts, weight, verdict or null, redactions]
    TO_TARGET = 3  # [flavor, count, bytes]
    TO_CLIENT = 4  # [flavor, count, bytes]
    FINISH = 5  # [outcome, rows, bytes to client, bytes to target, tag or null, error map or null]
    NOTE = 6  # map with "note": a marker or something that happened to the session itself
    CLOSED = 7  # map: outcome, reason, unsent bytes; the last event of every session


class Flavor(IntEnum):
    """What the bytes of a data event are."""

    CHUNK = 0  # the protocol's own messages, or a piece of a stream
    ROWS = 1  # messages of which `count` are rows
    FRAMES = 2  # terminal output
    COLUMNS = 3  # recorded only: the row description that the rows of this exchange follow
    HEAD = 4  # what stands before a body, as the protocol writes it: a start line and its fields
    MESSAGE = 5  # messages of a WebSocket, each as one frame that is not masked (RFC 6455, section 5.2)
    ERRORS = 6  # what a program says beside its output


class Outcome(StrEnum):
    """How an exchange ended."""

    OK = "ok"
    ERROR = "error"
    DENIED = "denied"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"  # the target passed it over, as PostgreSQL does between an error and Sync
    UNKNOWN = "unknown"  # dispatched, and the end was never seen


class SessionOutcome(StrEnum):
    """How a session ended."""

    ENDED = "ended"  # the client or the target closed in order
    FAILED = "failed"  # it never became usable: access, target down, target login
    CUT = "cut"  # revoked, killed, expired, drained
    BROKEN = "broken"  # a protocol error, or a connection lost in mid-air
    INTERRUPTED = "interrupted"  # the worker died; written by the archivist


class Marker(StrEnum):
    """What a NOTE can say went wrong with the record itself; a gap is never silent."""

    INTERRUPTED = "interrupted"
    TRUNCATED = "truncated"
    LOST_TAIL = "lost-tail"


@dataclass(frozen=True, slots=True)
class Event:
    """One event with its decoded body."""

    kind: Kind
    at: int
    exchange: int
    body: Any
