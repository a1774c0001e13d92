"""Session events on their way into the journal: each body encoded once, in the recording's own format.

Data events are the bulk of a recording, so their CBOR header is laid out by hand (RFC 8949 section 3) in
front of the bytes; everything else goes through cbor2.
"""

import struct
from typing import Any, Protocol

import cbor2

from bodycam.model.event import Flavor, Kind

PIECE = 256 * 1024
"""A data event holds at most this many bytes; longer data is recorded as several events."""

_U8, _U16, _U32 = struct.Struct(">BB"), struct.Struct(">BH"), struct.Struct(">BI")


class Journal(Protocol):
    """The part of the journal's writer that a session needs."""

    def append(self, session: int, exchange: int, kind: int, body: bytes) -> int: ...


class Record:
    """One session's way into the journal, under its opening number."""

    __slots__ = ("_journal", "opening", "position")

    def __init__(self, journal: Journal, opening: int) -> None:
        self._journal, self.opening = journal, opening
        self.position = 0
        """The journal position of what was recorded last; the next byte waits for it."""

    def event(self, kind: Kind, exchange: int, body: Any) -> int:
        """Record a structured event; returns its journal position."""
        self.position = self._journal.append(self.opening, exchange, kind, encode(body))
        return self.position

    def data(self, kind: Kind, exchange: int, flavor: Flavor, count: int, data: bytes) -> int:
        """Record bytes that moved; returns the journal position of the last of them."""
        if len(data) <= PIECE:
            self.position = self._journal.append(self.opening, exchange, kind, data_body(flavor, count, data))
            return self.position
        for start in range(0, len(data), PIECE):
            body = data_body(flavor, count if start == 0 else 0, data[start : start + PIECE])
            self.position = self._journal.append(self.opening, exchange, kind, body)
        return self.position


def data_body(flavor: Flavor, count: int, data: bytes) -> bytes:
    """The CBOR array `[flavor, count, data]`."""
    return b"\x83" + _head(0, flavor) + _head(0, count) + _head(0x40, len(data)) + data


def encode(body: Any) -> bytes:
    """A structured body as CBOR; text that is not valid UTF-8 keeps its odd bytes as backslash escapes."""
    try:
        return cbor2.dumps(body)
    except UnicodeEncodeError:
        return cbor2.dumps(_readable(body))


def _head(major: int, value: int) -> bytes:
    if value < 24:
        return bytes((major | value,))
    if value < 0x100:
        return _U8.pack(major | 24, value)
    if value < 0x10000:
        return _U16.pack(major | 25, value)
    return _U32.pack(major | 26, value)


def _readable(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        case dict():
            return {_readable(key): _readable(item) for key, item in value.items()}
        case list() | tuple():
            return [_readable(item) for item in value]
        case _:
            return value
