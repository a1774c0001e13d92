"""Session events on their way into the journal: each body encoded once, in the recording's own format."""

from collections.abc import Callable
from typing import Any, Final, Protocol, final

import cbor2

from bodycam.model.event import Flavor, Kind
from bodycam.session import encoding

PIECE: Final = 256 * 1024
"""A data event holds at most this many bytes; longer data is recorded as several events."""


class Journal(Protocol):
    """The part of the journal's writer that a session needs."""

    def append(self, session: int, exchange: int, kind: int, body: bytes) -> int: ...


@final
class Record:
    """One session's way into the journal, under its opening number."""

    __slots__ = ("_append", "opening", "position")

    def __init__(self, journal: Journal, opening: int) -> None:
        self._append: Callable[[int, int, int, bytes], int] = journal.append
        self.opening = opening
        self.position = 0
        """The journal position of what was recorded last; the next byte waits for it."""

    def event(self, kind: Kind, exchange: int, body: Any) -> int:
        """Record a structured event; returns its journal position."""
        return self.encoded(kind, exchange, encode(body))

    def encoded(self, kind: Kind, exchange: int, body: bytes) -> int:
        """Record an event whose body is encoded; returns its journal position."""
        self.position = self._append(self.opening, exchange, int(kind), body)
        return self.position

    def data(self, kind: Kind, exchange: int, flavor: Flavor, count: int, data: bytes) -> int:
        """Record bytes that moved; returns the journal position of the last of them."""
        if len(data) <= PIECE:
            return self.encoded(kind, exchange, encoding.data(int(flavor), count, data))
        for start in range(0, len(data), PIECE):
            body = encoding.data(int(flavor), count if start == 0 else 0, data[start : start + PIECE])
            self.encoded(kind, exchange, body)
        return self.position


def encode(body: Any) -> bytes:
    """A structured body as CBOR; text that is not valid UTF-8 keeps its odd bytes as backslash escapes."""
    try:
        return cbor2.dumps(body)
    except UnicodeEncodeError:
        return cbor2.dumps(_readable(body))


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
