"""What a session's results must not show: asked by protocols for each batch of values, answered by policy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bodycam.model.column import Column
from bodycam.model.operation import Operation

Cell = bytes | None


class Screen(Protocol):
    """Looks into the values of one result."""

    def cells(self, values: list[Cell]) -> Mapping[int, Cell] | None:
        """What values become, by their place: row by row, all columns of each; None where nothing changes."""


@dataclass(frozen=True, slots=True)
class Screens:
    """Masks for what client and record get, and further ones for the record alone."""

    both: Screen | None
    record: Screen | None


@dataclass(frozen=True, slots=True)
class Sighting:
    """A kind of sensitive data that was met: how often, and for secrets a keyed fingerprint of each."""

    detector: str
    count: int
    fingerprints: tuple[str, ...] = ()


class Masks(Protocol):
    """What one session's results must not show."""

    def screens(self, columns: Sequence[Column], operation: Operation | None) -> Screens | None:
        """For a result with these columns, of that operation; None where nothing in it can be masked."""

    def copied(self, operation: Operation | None) -> Screens | None:
        """For the data that an operation copies out, a value being what one message carries."""

    def said(self, text: str) -> str:
        """An error, notice or notification, masked."""

    def sightings(self) -> Sequence[Sighting]:
        """What was met since this was last asked."""


class Masking(Protocol):
    """The masking of the settings."""

    def open(self, target: str, labels: Mapping[str, str]) -> Masks | None:
        """What results of a target must not show; None where nothing is masked there."""
