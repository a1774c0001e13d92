"""The contract of a dialect: what it tells of a request before it is judged, and of its answer afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bodycam.model.operation import Fact

EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that is asked for, with its arguments as the text that came (JSON, if all is well)."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target answered, assembled from one body or from many events.

    `text` is all that was said, `cut` whether more was said than is kept; tokens are None where the target
    told none. `finish` is the target's own word for why it ended, `error` what went wrong.
    """

    model: str = ""
    text: str = ""
    calls: tuple[Call, ...] = ()
    tokens_in: int | None = None
    tokens_out: int | None = None
    finish: str = ""
    error: str = ""
    cut: bool = False


class AnswerReader(Protocol):
    """Reads the content of one response, in pieces of any size; bounded, and never raises."""

    def feed(self, content: bytes) -> None: ...

    def end(self) -> Answer: ...


class Deltas(Protocol):
    """Where the events of a stream have the pieces of a text that belongs together."""

    def pieces(self, event: object) -> "list[Piece]":
        """The pieces in one event."""

    def ended(self, event: object) -> "tuple[tuple[object, ...], ...]":
        """Beginnings of the keys of the texts that are whole with this event; `()` is all of them."""

    def carrier(self, event: object, piece: "Piece", text: str) -> object:
        """An event of the same kind that carries another piece of the same text, and nothing else."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text: `key` says of which one, `steps` where it stands in its event."""

    key: tuple[object, ...]
    steps: tuple[str | int, ...]
    text: str


class Dialect(Protocol):
    """One API on top of HTTP."""

    @property
    def name(self) -> str: ...

    @property
    def deltas(self) -> Deltas | None:
        """How its streamed answers are put together; None where nothing is split."""

    def request_facts(self, body: bytes) -> Mapping[str, Fact]:
        """What rules may know of a request with this body, the whole of it and decoded.

        Never raises: what can't be told for certain is said so by a fact whose name ends in `.unknown`, and
        then the facts in doubt are left out, so that a rule that reads them denies.
        """

    def reader(self, media: str) -> AnswerReader:
        """For a response of this media type."""


def put(event: Any, steps: tuple[str | int, ...], text: str) -> None:
    """Put a text where these steps lead, which they do."""
    for step in steps[:-1]:
        event = event[step]
    event[steps[-1]] = text
