"""Putting together entries whose body was cut into pieces, possibly over several records."""

from typing import NamedTuple

from bodycam.journal import layout
from bodycam.journal.entry import MAX_BODY, Entry


class Batch(NamedTuple):
    """Whole entries, and the generation in which the first byte of them stands."""

    generation: int
    entries: list[Entry]


class Assembly:
    """Collects records until they end with a whole entry; holds at most one body of `MAX_BODY` bytes."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._first: Entry | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._generation: int | None = None

    @property
    def open(self) -> bool:
        """Whether the end of an entry is still to come."""
        return self._first is not None

    def begun_in(self, reading: int) -> int:
        """The generation in which what is not yet given begins, when `reading` is being read."""
        return reading if self._generation is None else self._generation

    def add(self, generation: int, plain: bytes) -> Batch | None:
        """Take a record of entries; gives all since the last whole end, or None while an entry is open.

        Raises:
            ValueError: the record makes no sense; what was collected is dropped.
        """
        if self._generation is None:
            self._generation = generation
        try:
            for entry in layout.decode_entries(plain):
                self._add(entry)
        except ValueError:
            self.drop()
            raise
        if self._first is not None:
            return None
        batch = Batch(self._generation, self._entries)
        self.drop()
        return batch

    def drop(self) -> None:
        """Forget what was collected."""
        self._entries, self._pieces, self._size = [], [], 0
        self._first = self._generation = None

    def _add(self, entry: Entry) -> None:
        first, more = self._first, entry.kind & layout.MORE
        kind = entry.kind & ~layout.MORE
        if first is None and not more:
            self._entries.append(entry)
            return
        if first is None:
            first = self._first = entry._replace(kind=kind)
        elif (entry.session, entry.exchange, kind) != (first.session, first.exchange, first.kind):
            raise ValueError("another entry stands where the rest of one belongs")
        self._pieces.append(entry.body)
        self._size += len(entry.body)
        if self._size > MAX_BODY:
            raise ValueError(f"an entry is longer than {MAX_BODY} bytes")
        if not more:
            self._entries.append(first._replace(body=b"".join(self._pieces)))
            self._first, self._pieces, self._size = None, [], 0
