"""What a session's results must not show: asked by protocols for each batch of values, answered by policy."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from bodycam.model.column import Column
from bodycam.model.operation import Operation

Cell = bytes | None


class Screen(Protocol):
    """Looks into the values of one result."""

    def cells(self, values: list[Cell]) -> Mapping[int, Cell] | None:
        """What values become, by their place: row by row, all columns of each; None where nothing changes."""


class Screens(Protocol):
    """Masks for what client and record get, and further ones for the record alone."""

    @property
    def both(self) -> Screen | None: ...

    @property
    def record(self) -> Screen | None: ...


class Copiers(Protocol):
    """The same for what is copied out: each takes what one message carries, and gives what it becomes."""

    @property
    def both(self) -> Callable[[bytes], bytes] | None: ...

    @property
    def record(self) -> Callable[[bytes], bytes] | None: ...


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


class Masks(Protocol):
    """What one session's results must not show, and what of its data is kept at all."""

    @property
    def keeps_rows(self) -> bool: ...

    @property
    def keeps_parameters(self) -> bool: ...

    def copied_in(self) -> Stream | None:
        """What the record of copied data from the client goes through; None where it is kept as it is."""

    def screens(self, columns: Sequence[Column], operation: Operation | None) -> Screens | None:
        """For a result with these columns, of that operation; None where nothing in it can be masked."""

    def copied(self, columns: int, text: str, *, binary: bool) -> Copiers | None:
        """For the data that a statement copies out, a row a message, in so many columns."""

    def said(self, text: str) -> str:
        """An error, notice or notification, masked."""

    def sightings(self) -> Sequence[Sighting]:
        """What was met since this was last asked."""


class Masking(Protocol):
    """The masking of the settings."""

    def open(self, target: str, labels: Mapping[str, str]) -> Masks | None:
        """What results of a target must not show; None where nothing is masked there."""
