"""How much of a text is looked at closely before the rest is redacted whole: a worker's event loop waits."""

Span = tuple[int, int]

# places where something could stand that is to be redacted: from the last of them on, all is taken out
MAX_PLACES = 4_096
# bytes, over all levels, of constants and comments that are looked into; the rest of them is taken out whole
MAX_LOOKED_INTO = 1 << 19


class TooMuch(Exception):
    """A text has more places to look at than are looked at; what follows has to be redacted unseen."""


class Effort:
    """What has been spent on one text."""

    __slots__ = ("_bytes", "_places")

    def __init__(self) -> None:
        self._places, self._bytes = MAX_PLACES, MAX_LOOKED_INTO

    def place(self) -> None:
        """Count one place; raises `TooMuch` when there were too many."""
        self._places -= 1
        if self._places < 0:
            raise TooMuch

    def may_look_into(self, size: int) -> bool:
        """Whether a constant or comment of that many bytes is looked into, rather than redacted whole."""
        if size > self._bytes:
            return False
        self._bytes -= size
        return True
