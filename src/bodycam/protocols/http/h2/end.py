"""Our end of a connection, as its streams know it: of HTTP/2, or of HTTP/1.1 where a target has no other."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from h2.events import Event

from bodycam.protocols.http.head import Field


class End(Protocol):
    """What is given out here is to be sent at once and in order.

    `moved` counts what was sent of contents, `seen` frames and heads that came whole.
    """

    moved: int
    seen: int

    @property
    def version(self) -> bytes:
        """What is spoken, as a request line says it."""

    @property
    def streams_most(self) -> int:
        """How many streams the peer bears at once."""

    @property
    def waits(self) -> bool:
        """Whether the beginning of a frame or of a head is here, whose rest has to come in time."""

    def begin(self) -> None:
        """The connection stands."""

    def receive(self, data: bytes) -> Iterator[Event]:
        """What the peer's bytes say, one event after the other.

        Raises:
            Broken: the connection is over.
        """

    def ended(self) -> Iterator[Event]:
        """What it says that the peer has closed."""

    def took(self, size: int) -> None:
        """Of all streams together so much has come: as much more may."""

    def more(self, stream: int, size: int) -> None:
        """Of one stream so much has gone on: as much more may come."""

    def room(self, stream: int) -> int:
        """How many bytes of a stream the peer takes just now."""

    def open(self, fields: Sequence[Field], *, end: bool) -> tuple[int, bytes]:
        """A new stream with its head."""

    def head(self, stream: int, fields: Sequence[Field], *, end: bool) -> bytes:
        """A head or trailers."""

    def data(self, stream: int, data: bytes, *, end: bool) -> bytes:
        """Content for which there is room."""

    def reset(self, stream: int, code: int) -> None:
        """End a stream out of order."""

    def leave(self, code: int, reason: str = "") -> None:
        """Say that no stream beyond those that have come is going to be answered."""
