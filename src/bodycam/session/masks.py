"""What a session's results must not show: asked by protocols for each batch of values, answered by policy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from bodycam.model.column import Column
from bodycam.model.media import Media
from bodycam.model.operation import Operation
from bodycam.model.relation import Relations

Cell = bytes | None

Effects = Callable[[Operation], Any]
"""What policy takes an operation to do, in terms of its own."""


class Screen(Protocol):
    """Looks into the values of one result."""

    def clean_among(self, framed: bytes) -> bool:
        """Whether nothing changes in values that stand, as they are, among other things in these bytes.

        No tells nothing: then `cells` has to be asked.
        """

    def cells(self, values: list[Cell]) -> Mapping[int, Cell] | None:
        """What values become, by their place: row by row, all columns of each; None where nothing changes."""


class Screens(Protocol):
    """Masks for what client and record get, and further ones for the record alone."""

    @property
    def both(self) -> Screen | None: ...

    @property
    def record(self) -> Screen | None: ...


class Copier(Protocol):
    """What one message of copied data becomes: its fields, where it is binary, and then all of it."""

    @property
    def fields(self) -> Callable[[Sequence[Cell]], Mapping[int, Cell] | None] | None:
        """What the values of a row become, by their place; only in binary data, which tells them apart."""

    @property
    def through(self) -> Callable[[bytes], bytes] | None: ...


class Copiers(Protocol):
    """The same for what is copied out."""

    @property
    def both(self) -> Copier | None: ...

    @property
    def record(self) -> Copier | None: ...


class Sighting(Protocol):
    """A kind of sensitive data that was met: how often, and for secrets a keyed fingerprint of each."""

    @property
    def detector(self) -> str: ...

    @property
    def count(self) -> int: ...

    @property
    def fingerprints(self) -> tuple[str, ...]: ...


class Stream(Protocol):
    """Masks a stream that comes in pieces; what it holds back comes with a later piece, or with the end."""

    def feed(self, data: bytes) -> bytes: ...

    def flush(self) -> bytes: ...


class HoldingStream(Stream, Protocol):
    """A stream that gives out what it holds when whoever reads has waited long enough."""

    @property
    def held(self) -> int:
        """How many bytes are held back."""

    def release_held(self) -> bytes:
        """All of it, masked as far as it is known."""

    def release_words(self) -> bytes:
        """All but a word that has begun, which may become something that is masked."""


class TextStreams(Protocol):
    """For texts that are put together from pieces, a stream each: for client and record, for the record."""

    @property
    def both(self) -> Callable[[], HoldingStream] | None: ...

    @property
    def record(self) -> Callable[[], HoldingStream] | None: ...

    def sightings(self) -> Sequence[Sighting]:
        """What was met in all of them since this was last asked."""


class Recording(Protocol):
    """Takes secrets out of the record of what goes through as it is."""

    def feed(self, data: bytes) -> bytes:
        """What is recorded of a piece, at once; the same object where all of it is."""


Passed = tuple[bytes, bytes]
"""What goes on, and what is recorded of it. Nothing goes on before it is recorded."""


class BodyMasks(Protocol):
    """Masks the content of one body. What it holds back comes with a later piece, or with the end.

    What goes on and what is recorded are the very bytes that came, where all of them came at once and nothing
    was found in them.
    """

    @property
    def may_change(self) -> bool:
        """Whether what goes on may be other than what came."""

    @property
    def changed(self) -> bool:
        """Whether anything that went on differs from what came."""

    @property
    def held(self) -> int:
        """How many bytes are held back."""

    @property
    def unread(self) -> str:
        """Why some of it could not be looked into and was not shown; empty if all of it was."""

    def whole(self, content: bytes) -> Passed:
        """All of a body that came at once."""

    def feed(self, data: bytes) -> Passed: ...

    def flush(self) -> Passed:
        """The body has ended."""

    def release_held(self) -> Passed:
        """Whoever waits for it has waited long enough: all that can be told without what follows."""

    def sightings(self) -> Sequence[Sighting]:
        """What was met since this was last asked."""


class Masks(Protocol):
    """What one session's results must not show, and what of its data is kept at all."""

    @property
    def keeps_rows(self) -> bool: ...

    @property
    def keeps_parameters(self) -> bool: ...

    @property
    def keeps_bodies(self) -> bool: ...

    @property
    def body_size(self) -> int:
        """Bytes of one body that are recorded at most."""

    def body(self, media: Media) -> BodyMasks | None:
        """What a body from the target goes through; None where nothing in it is masked."""

    def streams(self) -> TextStreams | None:
        """What texts from the target go through that come in pieces of other data; None where none does."""

    def terminal(self) -> TextStreams | None:
        """What programs print goes through, a stream each for what they say and for what they say beside it.

        None where nothing of it is masked. What it holds must not wait for a line's end: prompts have none.
        """

    @property
    def paths(self) -> Sequence[Any]:
        """The paths at which JSON is masked in the record, for `Redaction.body`."""

    @property
    def by_name(self) -> bool:
        """Whether columns are masked by their names, so that `wanted` has to be asked now and then."""

    @property
    def version(self) -> int:
        """Another number each time that a screen made before may no longer be the right one."""

    def wanted(self) -> Sequence[Sequence[str]] | None:
        """The names of columns to be looked up at the target before anything more is asked of it.

        Each is two or three parts, the schema, the relation and the column, in which * stands for any
        letters. None for nothing.
        """

    def learn(self, found: Relations) -> None:
        """What was looked up: all relations with such columns and all that get values from them."""

    @property
    def lasting(self) -> bool:
        """Whether what was looked up is good for anything; without it nothing may be asked."""

    def copied_in(self) -> Stream | None:
        """What the record of copied data from the client goes through; None where it is kept as it is."""

    def screens(self, columns: Sequence[Column], operation: Operation | None) -> Screens | None:
        """For a result with these columns, of that operation; None where nothing in it can be masked."""

    def repeats(self, operation: Operation | None) -> bool:
        """Whether a result of the same text with the same columns gets the same screens, until the version
        changes."""

    def copied(self, columns: int, operation: Operation | None, *, binary: bool) -> Copiers | None:
        """For the data that an operation copies out, a row a message, in so many columns."""

    def hushed(self, operation: Operation | None) -> bool:
        """Whether the text of an error that an operation meets may hold a value of a masked column."""

    def said(self, text: str) -> str:
        """An error, notice or notification, masked."""

    def sightings(self) -> Sequence[Sighting]:
        """What was met in what the target sent, since this was last asked."""

    def sent(self) -> Sequence[Sighting]:
        """The same for data that the client copied in."""


class Masking(Protocol):
    """The masking of the settings."""

    def open(self, target: str, labels: Mapping[str, str], database: str, effects: Effects) -> Masks | None:
        """What results of a target must not show; None where nothing is masked there."""
