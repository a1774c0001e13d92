"""What the archivist tells the index."""

from typing import Protocol

from bodycam.archive.builder import SessionBuilder, Taken
from bodycam.archive.sealing import Sealed


class Index(Protocol):
    """Where exchanges become searchable; it catches up by itself, and never stops the archivist."""

    def taken(self, events: Taken) -> None:
        """Builders have taken events, in this order."""

    def missed(self, builder: SessionBuilder) -> None:
        """Some of a session's events were not given: what can be read of it is read from its recording."""

    def sealing(self, name: str) -> None:
        """A container is in the store and about to enter the ledger; remember that it is to be indexed."""

    def sealed(self, sealed: Sealed) -> None: ...

    def backlog(self) -> int:
        """How many containers wait to be indexed."""
