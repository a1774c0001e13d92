"""A recording decoded for people: what show, the player, export and the index read.

Each protocol's transcript turns the events of a session into these; nothing here names a protocol.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from bodycam.model.event import Event
from bodycam.model.operation import Fact
from bodycam.model.trace import TraceParent


@dataclass(frozen=True, slots=True)
class Shown:
    """One parameter as a person reads it: its type's name and its text (None for NULL)."""

    type: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its verb, its text and its values, and the verdict if it was not a plain allow."""

    verb: str
    text: str
    parameters: tuple[Shown, ...]
    aside: bool
    verdict: str | None = None
    redactions: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Columns:
    """A result table begins; the rows that follow have these columns."""

    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some rows of the table that began last; None is NULL."""

    rows: tuple[tuple[str | None, ...], ...]


@dataclass(frozen=True, slots=True)
class Output:
    """Text that streamed by: COPY data, terminal output, a body. `stream` names which way or channel."""

    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal that is output for, or its size from here on; `kind` is what it was said to be."""

    kind: str
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What a terminal got, or with `input` what was typed at it, as it was: not harmless to look at.

    What it says to who reads is in `Output` as well. A character may be cut in none; bytes that are none are
    as backslash escapes.
    """

    data: str
    input: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Something the target or the gateway said: `level` is error, notice or notification."""

    level: str
    code: str
    text: str
    detail: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """An exchange ended. `rows` is what the target reported or, failing that, what went by."""

    outcome: str
    tag: str | None
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Noted:
    """A marker or something that happened to the session (opened, cut, interrupted, closed)."""

    what: str
    detail: str


Body = Asked | Columns | Rows | Output | Terminal | Frame | Message | Done | Noted


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a transcript: microseconds since the session opened, the exchange, and what it says."""

    at: int
    exchange: int
    body: Body


class Reader(Protocol):
    """Turns one session's events, in order, into entries; bad bytes give a Noted entry, never raises."""

    def feed(self, event: Event) -> list[Entry]: ...


@runtime_checkable
class Skimmer(Reader, Protocol):
    """What a reader may be as well, so that the index need not have it read each exchange in full.

    Both give exactly what the entries of the same events say, or None where they can't tell; neither changes
    what the reader knows, nor raises.
    """

    def skim_values(self, parameters: Sequence[tuple[int, int, bytes | None]]) -> str:
        """The text of an `Asked` entry's parameters (type, format, value), a line each; NULL for none."""

    def skim_output(self, columns: bytes | None, data: bytes, most: int) -> str | None:
        """The first `most` characters of the rows in an exchange's only piece of data to the client.

        A line each, values divided by tabs, NULLs left out. `columns` is the description, if one was recorded
        apart.
        """


Piece = tuple[bool, int, bytes]
"""Recorded data of an exchange: whether it went to the client, its flavor, and the bytes."""


@runtime_checkable
class Glancer(Reader, Protocol):
    """What a reader may be as well, so that the index need not have it read most exchanges event by event."""

    def glance(self, verb: str, facts: Mapping[str, Any], pieces: Sequence[Piece], most: int) -> str | None:
        """The first `most` characters of an exchange's output, by its verb, facts and all of its data.

        Exactly what the entries of the same events say; None where there is more to them. It neither changes
        what the reader knows, nor raises.
        """


@runtime_checkable
class Learner(Reader, Protocol):
    """What a reader may be as well, if an exchange's data says of it what the index keeps as its details."""

    def learned(self) -> Mapping[str, Fact]:
        """What the exchange that ended last turned out to be: a few short facts."""


class Transcript(Protocol):
    """One protocol's decoder for people, and what it has the index keep."""

    def reader(self) -> Reader: ...

    def trace(self, text: str, facts: Mapping[str, Any]) -> TraceParent | None:
        """Of which trace an exchange claims to be, by its operation's text and recorded facts."""

    def kept(self, facts: Mapping[str, Any], tag: str | None) -> Mapping[str, Fact]:
        """An exchange's details: what the index keeps of its recorded facts and its end, short and alike.

        Exchanges with other details have a row of their own, so what differs each time is left out.
        """

    def shape(self, text: str) -> str | None:
        """What the texts of requests have in common that the index keeps in one row, each with its own text.

        None where a text is kept once for all exchanges that hold it.
        """
