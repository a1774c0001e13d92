"""Server-sent events (HTML, section 9.2), cut out of a stream with every byte kept.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
"""

import re
from dataclasses import dataclass
from typing import Final, final

MOST_EVENT: Final = 1 << 20
"""Bytes of an event that is looked into; a longer one is handed on in pieces."""

_LINE_END: Final = r"(?:\r\n|\n|\r(?!\n))"
_LINE: Final = re.compile(_LINE_END.encode())
_END: Final = re.compile(f"{_LINE_END}{_LINE_END}".encode())
# an end that is not whole yet
_OVERLAP: Final = 3
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its bytes with the empty line that ends it, and its data's lines joined.

    `data` is None where it has none (a comment), and where it was too long or never ended (`broken`).
    """

    raw: bytes
    data: str | None
    broken: bool = False


@final
class Events:
    """Cuts a stream into events; what comes out joined is what came in."""

    __slots__ = ("_after_return", "_begun", "_held", "_long", "_scanned")

    def __init__(self) -> None:
        self._held = bytearray()
        self._scanned = 0
        self._after_return = self._long = self._begun = False

    def feed(self, data: bytes) -> list[Event]:
        """Take what came; gives the events that are whole."""
        out: list[Event] = []
        if self._after_return and data:
            self._after_return = False
            if data.startswith(b"\n"):
                # the other half of the line's end that a lone return was taken for
                out.append(Event(b"\n", None))
                data = data[1:]
        held = self._held
        held += data
        start = 0
        for end in _END.finditer(held, self._scanned):
            raw = bytes(held[start : end.end()])
            out.append(Event(raw, None, True) if self._long or len(raw) > MOST_EVENT else self._event(raw))
            self._long = False
            start = end.end()
        self._after_return = start > 0 and start == len(held) and held.endswith(b"\r")
        if start:
            del held[:start]
        if len(held) >= MOST_EVENT:
            self._long = True
            out.append(Event(bytes(held[:-_OVERLAP]), None, True))
            del held[:-_OVERLAP]
        self._scanned = max(0, len(held) - _OVERLAP)
        return out

    def end(self) -> list[Event]:
        """The stream has ended; what never got its empty line is no event."""
        raw = bytes(self._held)
        self._held.clear()
        self._scanned = 0
        return [Event(raw, None, True)] if raw else []

    def _event(self, raw: bytes) -> Event:
        begun, self._begun = self._begun, True
        lines: list[bytes] = []
        for line in _LINE.split(raw if begun else raw.removeprefix(_BOM)):
            name, colon, value = line.partition(b":")
            if name == b"data":
                lines.append(value.removeprefix(b" ") if colon else b"")
        if not lines:
            return Event(raw, None)
        return Event(raw, b"\n".join(lines).decode("utf-8", "replace"))
