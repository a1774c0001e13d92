"""Transcripts as pages for people: HTML that needs nothing else, runs nothing, and has everything escaped.

A page is made whole in memory and has a bound; a long session has many. The same events give the same bytes,
so that a verification can make them again and compare.
"""

import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bodycam.model.event import Event, Kind
from bodycam.model.transcript import (
    Asked,
    Body,
    Columns,
    Done,
    Entry,
    Frame,
    Message,
    Noted,
    Output,
    Reader,
    Rows,
    Terminal,
    Transcript,
)

PAGE: Final = 512 * 1024
"""Characters of text after which a page ends; a single entry may be larger."""

TEXT_MOST: Final = 100_000
"""Characters of one text that a page shows; the recording has all."""

_ENTRY: Final = 200
# heads of tables stand over their rows; what a terminal got is there as the text that it showed
_NOT_SHOWN: Final = ("columns", "frame")
_NUMBER_MOST: Final = 100
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# control characters, what turns the direction of writing, what is invisible, and halves of characters
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)


def visible(value: object) -> str:
    r"""The text with what can't be seen as `\x1b` or `\u202e`, cut when it is very long."""
    text = str(value)
    more = len(text) - TEXT_MOST
    if more > 0:
        text = f"{text[:TEXT_MOST]} [{more} more characters are in the recording]"
    return _ODD.sub(_escape, text)


def moment(micros: int) -> str:
    """Microseconds of the Unix epoch as a time in UTC."""
    try:
        return (_EPOCH + timedelta(microseconds=micros)).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    except OverflowError:
        return "at no time"


@functools.cache
def environment() -> Environment:
    """Templates in which every text is made visible, then escaped."""
    made = Environment(
        loader=PackageLoader("bodycam.archive.evidence", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=_finalized,
    )
    made.globals["cell"] = _cell
    return made


class Pages:
    """Turns one session's events into pages."""

    def __init__(self, session: str, transcripts: Mapping[str, Transcript]) -> None:
        self._session, self._transcripts = session, transcripts
        self._template = environment().get_template("page.html")
        self._reader: Reader | None = None
        self._started = 0
        self._entries: list[dict[str, Any]] = []
        self._weight = self._number = 0
        self._columns: tuple[int, tuple[str, ...]] = 0, ()

    def feed(self, event: Sequence[Any]) -> Iterator[bytes]:
        """Take an event, `[kind, at, exchange, body]`, and give the pages that are full."""
        for entry in self._read(event):
            if self._weight > PAGE:
                yield self._page(more=True)
            self._take(entry)

    def finish(self) -> bytes:
        """The last page; there is always one."""
        return self._page(more=False)

    def _read(self, event: Sequence[Any]) -> list[Entry]:
        kind, at, exchange, body = event
        if kind == Kind.OPENED and isinstance(body, Mapping):
            target, started = body.get("target"), body.get("started")
            self._started = started if isinstance(started, int) else 0
            protocol = target.get("protocol") if isinstance(target, Mapping) else None
            decoder = self._transcripts.get(protocol) if isinstance(protocol, str) else None
            self._reader = None if decoder is None else decoder.reader()
        if self._reader is None:
            return [Entry(at, exchange, Noted("not decoded", f"an event of kind {kind}"))]
        try:
            return self._reader.feed(Event(Kind(kind), at, exchange, body))
        except ValueError:
            return [Entry(at, exchange, Noted("unknown-event", f"an event of the unknown kind {kind}"))]

    def _take(self, entry: Entry) -> None:
        at = moment(self._started + entry.at)
        shown = {"at": at, "exchange": entry.exchange} | self._shown(entry.exchange, entry.body)
        if shown["type"] not in _NOT_SHOWN:
            self._entries.append(shown)
            self._weight += _ENTRY + _weight(entry.body)

    def _shown(self, exchange: int, body: Body) -> dict[str, Any]:
        match body:
            case Columns(columns):
                self._columns = exchange, tuple(f"{one.name} ({one.type})" for one in columns)
                return {"type": "columns"}
            case Rows(rows):
                of, names = self._columns
                return {"type": "rows", "rows": rows, "columns": names if of == exchange else ()}
            case Terminal(kind, columns, rows):
                return {"type": "noted", "what": "terminal", "detail": f"{columns}x{rows} {kind}".rstrip()}
            case Frame():
                return {"type": "frame"}
            case Asked() | Output() | Message() | Done() | Noted():
                fields = {name: getattr(body, name) for name in type(body).__slots__}
                return {"type": type(body).__name__.lower()} | fields

    def _page(self, *, more: bool) -> bytes:
        self._number += 1
        text = self._template.render(
            session=self._session, number=self._number, more=more, entries=self._entries
        )
        self._entries, self._weight = [], 0
        return text.encode()


def _weight(body: Body) -> int:
    match body:
        case Rows(rows):
            return sum(20 + len(one or "") for row in rows for one in row)
        case Asked(_, text, parameters):
            return min(len(text), TEXT_MOST) + sum(40 + len(one.text or "") for one in parameters)
        case Output(_, text):
            return min(len(text), TEXT_MOST)
        case _:
            return 0


def _finalized(value: object) -> object:
    # what is markup already was made by a macro or a template of ours
    if isinstance(value, str):
        return value if isinstance(value, Markup) else visible(value)
    # Python refuses to write very large numbers, which a hostile worker may have recorded
    return hex(value)[:_NUMBER_MOST] if isinstance(value, int) and abs(value) >= 1 << 64 else value


def _cell(text: str | None) -> Markup:
    if text is None:
        return Markup('<td class="null">null</td>')
    return Markup("<td>{}</td>").format(escape(visible(text)))


def _escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
