"""Looks through one session's events for what some detectors find, and keeps no value of it.

Rows, statements, values and messages are looked into whole. Data that streams by is read on over the ends of
its pieces, and a bounded amount of it is held (`policy.masking.stream`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bodycam.archive.seen import Seen
from bodycam.archive.told import opening_of
from bodycam.catalog.sessions import Opening
from bodycam.catalog.sightings import RECEIVED, SENT, Sighting
from bodycam.config.masking import Then
from bodycam.model.event import Event, Kind
from bodycam.model.transcript import (
    Asked,
    Body,
    Columns,
    Done,
    Frame,
    Message,
    Noted,
    Output,
    Reader,
    Rows,
    Terminal,
    Transcript,
)
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.fingerprints import Fingerprints
from bodycam.policy.masking.json_text import scannable
from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.stream import TextStream
from bodycam.policy.masking.transforms import masked

SHOWN: Final = 500
"""Characters of a statement that are shown."""
_READ_MOST: Final = 64 * 1024
_PIECE: Final = 4096  # of a stream: no more secrets are in it than are told apart in one look
_TOGETHER: Final = 64
_OPEN_MOST: Final = 256
_HEX: Final = "\\x"


@dataclass(frozen=True, slots=True)
class Found:
    """A sighting, with the verb and the text of what was asked when it came first; masks are in the text."""

    sighting: Sighting
    verb: str | None
    text: str | None


@dataclass(slots=True)
class Hunted:
    """What one session has. `fault` says what is wrong with its recording, of which the rest was not read."""

    session: str
    opening: Opening | None = None
    found: list[Found] = field(default_factory=list)
    fault: str | None = None
    gone: bool = False
    """Its key was destroyed."""
    cut: int = 0
    """Messages of which the reader shows the beginning only, so that their rest was not looked into."""
    caught: bytes | None = field(default=None, repr=False)
    """The value whose fingerprint was wanted, if it was met by now."""


def redact(_rule: Rule) -> Then:
    """What becomes of what is found, in a text that is shown."""
    return Then.REDACT


@dataclass(slots=True)
class _Exchange:
    """One that is open: when it began, what was asked, what is put before each column's cells, streams."""

    started: int = 0
    verb: str | None = None
    text: str | None = None
    shown: str | None = None  # of the text, once it is wanted
    prefixes: list[bytes] = field(default_factory=list)
    streams: dict[tuple[str, str], TextStream] = field(default_factory=dict)


class SessionHunt:
    """Reads one session, from its first event on."""

    def __init__(
        self, transcripts: Mapping[str, Transcript], matcher: Matcher, fingerprints: Fingerprints
    ) -> None:
        self._transcripts = transcripts
        self._matcher, self._fingerprints = matcher, fingerprints
        self._reader: Reader | None = None
        self._seen = Seen()
        self._asked: dict[tuple[str, str], tuple[str | None, str | None]] = {}
        self._open: dict[int, _Exchange] = {}
        self.opening: Opening | None = None
        self.cut = 0

    def take(self, session: str, event: Event) -> None:
        """Take the next event.

        Raises:
            Exception: it makes no sense.
        """
        if event.kind is Kind.OPENED:
            self.opening = opening_of(session, event.body)
            transcript = self._transcripts.get(self.opening.protocol)
            if transcript is None:
                raise ValueError(f"this version can't decode {self.opening.protocol}")
            self._reader = transcript.reader()
        if self._reader is None or self.opening is None:
            raise ValueError("events come before the opening")
        way = SENT if event.kind in (Kind.REQUEST, Kind.TO_TARGET) else RECEIVED
        for entry in self._reader.feed(event):
            self._entry(entry.at, entry.exchange, entry.body, way)
        if event.kind is Kind.FINISH or event.kind is Kind.CLOSED:
            over = list(self._open) if event.kind is Kind.CLOSED else [event.exchange]
            for number in over:
                self._end(event.at, number)

    def found(self) -> Iterator[Found]:
        """What was found so far."""
        for sighting in self._seen.changed():
            verb, text = self._asked.get((sighting.what, sighting.way), (None, None))
            yield Found(sighting, verb, text)

    def _entry(self, at: int, number: int, body: Body, way: str) -> None:
        own = self._exchange(number, at)
        match body:
            case Asked(verb=verb, text=text, parameters=parameters):
                own.started, own.verb, own.text, own.shown = at, verb, text, None
                values = (one.text for one in parameters if one.text is not None)
                self._look((text, *values), at, number, way)
            case Columns(columns=columns):
                own.prefixes = [self._prefix(column.name) for column in columns]
            case Rows(rows=rows):
                self._rows(rows, own, at, number, way)
            case Output(stream=stream, text=text):
                self._stream(stream, text, own, at, number, way)
            case Message(text=text, detail=detail, hint=hint):
                self._look((text, detail, hint), at, number, way)
            case Noted(what="cut"):
                self.cut += 1
            case Done() | Noted() | Terminal() | Frame():
                # what a terminal got is output too
                pass

    def _prefix(self, column: str) -> bytes:
        """What makes a number in a column whose name says so known by it."""
        return column.encode("utf-8", "replace") + b": " if self._matcher.worded(column) else b""

    def _exchange(self, number: int, at: int) -> _Exchange:
        own = self._open.get(number)
        if own is None:
            if len(self._open) >= _OPEN_MOST:
                # a recording in which nothing ends: what was held of the oldest is looked into now
                self._end(at, next(iter(self._open)))
            own = self._open[number] = _Exchange()
        return own

    def _look(self, texts: Iterable[str], at: int, number: int, way: str) -> None:
        cells = [readable(text) for text in texts if text]
        if cells and self._matcher.suspicious(b"\n".join(cells)):
            for cell in cells:
                self._find(cell, 0, at, number, way)

    def _rows(
        self, rows: Sequence[Sequence[str | None]], own: _Exchange, at: int, number: int, way: str
    ) -> None:
        before = own.prefixes
        cells = [
            (before[place] if place < len(before) else b"", readable(cell))
            for row in rows
            for place, cell in enumerate(row)
            if cell
        ]
        for first in range(0, len(cells), _TOGETHER):
            some = cells[first : first + _TOGETHER]
            if self._matcher.suspicious(b"\n".join([prefix + cell for prefix, cell in some])):
                for prefix, cell in some:
                    self._find(prefix + cell, len(prefix), at, number, way)

    def _find(self, text: bytes, start: int, at: int, number: int, way: str) -> None:
        found = [hit for hit in self._matcher.find(text) if hit.end > start]
        if found:
            hits = Hits(self._fingerprints)
            for hit in found:
                hits.add(hit.rule, text[max(hit.start, start) : hit.end])
            self._count(hits, at, number, way)

    def _stream(self, name: str, text: str, own: _Exchange, at: int, number: int, way: str) -> None:
        # what is held of a stream to its end goes the way of the stream
        stream = next((one for (known, _), one in own.streams.items() if known == name), None)
        if stream is None:
            stream = own.streams[name, way] = TextStream(self._matcher, redact, self._fingerprints)
        else:
            way = next(went for known, went in own.streams if known == name)
        data = readable(text)
        for begin in range(0, len(data), _PIECE):
            stream.feed(data[begin : begin + _PIECE])
            self._count(stream.hits, at, number, way)

    def _end(self, at: int, number: int) -> None:
        own = self._open.get(number)
        if own is None:
            return
        for (_, way), stream in own.streams.items():
            stream.flush()
            self._count(stream.hits, at, number, way)
        del self._open[number]

    def _count(self, hits: Hits, at: int, number: int, way: str) -> None:
        opening, own = self.opening, self._open[number]
        assert opening is not None
        for one in hits.take():
            note = {
                "detector": one.detector,
                "count": one.count,
                "way": way,
                "fingerprints": ", ".join(sorted(one.fingerprints)),
            }
            started = 0 if own.verb is None else opening.opened + own.started
            for key in self._seen.take(opening.opened + at, number, started, note):
                if own.shown is None and own.text is not None:
                    own.shown = self._shown(own.text)
                self._asked[key] = own.verb, own.shown

    def _shown(self, text: str) -> str:
        """A statement as it may be shown: what no mask knew when it was recorded is masked now."""
        raw = text.encode("utf-8", "replace")[:_READ_MOST]
        put = masked(raw, self._matcher.find(raw), redact)
        return (raw if put is None else put).decode("utf-8", "replace")[:SHOWN]


def readable(text: str) -> bytes:
    """A text as it is looked into: bytes that are shown in hexadecimal as they are, JSON with its escapes."""
    if text.startswith(_HEX):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            pass
    raw = text.encode("utf-8", "surrogatepass")
    return scannable(raw) if raw[:1] in b'{["' and b"\\" in raw else raw
