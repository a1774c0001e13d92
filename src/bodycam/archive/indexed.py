"""What the archivist tells the index."""

from typing import Protocol

from bodycam.archive.builder import SessionBuilder
from bodycam.archive.sealing import Sealed
from bodycam.journal.entry import Entry


class Index(Protocol):
    """Where exchanges become searchable; it catches up by itself, and never stops the archivist."""

    def event(self, builder: SessionBuilder, entry: Entry, at: int) -> None: ...

    def missed(self, builder: SessionBuilder) -> None:
        """Some of a session's events were not given: what can be read of it is read from its recording."""

    def sealing(self, name: str) -> None:
        """A container is in the store and about to enter the ledger; remember that it is to be indexed."""

    def sealed(self, sealed: Sealed) -> None: ...

    def backlog(self) -> int:
        """How many containers wait to be indexed."""
