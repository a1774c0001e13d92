"""Putting together entries whose body was cut into pieces, possibly over several records."""

from bodycam.journal import layout
from bodycam.journal.entry import MAX_BODY, Plain


class Assembly:
    """Collects records until they end with a whole entry; holds at most one body of `MAX_BODY` bytes.

    Attributes:
        generation: the one in which the first byte of what `add` gave last stands.
    """

    def __init__(self) -> None:
        self.generation = 0
        self._entries: list[Plain] = []
        self._first: Plain | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._begun: int | None = None

    @property
    def open(self) -> bool:
        """Whether the end of an entry is still to come."""
        return self._first is not None

    def begun_in(self, reading: int) -> int:
        """The generation in which what is not yet given begins, when `reading` is being read."""
        return reading if self._begun is None else self._begun

    def add(self, generation: int, plain: bytes) -> list[Plain] | None:
        """Take a record of entries; gives all since the last whole end, or None while an entry is open.

        Raises:
            ValueError: the record makes no sense; what was collected is dropped.
        """
        try:
            entries, cut = layout.decode_entries(plain)
            if not cut and self._begun is None:
                # nearly every record: whole entries, and none before them waits for its end
                self.generation = generation
                return entries
            if self._begun is None:
                self._begun = generation
            for entry in entries:
                self._add(entry)
        except ValueError:
            self.drop()
            raise
        if self._first is not None:
            return None
        self.generation, entries = self._begun, self._entries
        self.drop()
        return entries

    def drop(self) -> None:
        """Forget what was collected."""
        self._entries, self._pieces, self._size = [], [], 0
        self._first = self._begun = None

    def _add(self, entry: Plain) -> None:
        first = self._first
        session, exchange, marked, at, body = entry
        more, kind = marked & layout.MORE, marked & ~layout.MORE
        if first is None and not more:
            self._entries.append(entry)
            return
        if first is None:
            first = self._first = (session, exchange, kind, at, b"")
        elif (session, exchange, kind) != first[:3]:
            raise ValueError("another entry stands where the rest of one belongs")
        self._pieces.append(body)
        self._size += len(body)
        if self._size > MAX_BODY:
            raise ValueError(f"an entry is longer than {MAX_BODY} bytes")
        if not more:
            self._entries.append((*first[:4], b"".join(self._pieces)))
            self._first, self._pieces, self._size = None, [], 0
