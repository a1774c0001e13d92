"""What a link within another link, and what carries it there, ask of each other."""

from typing import Protocol


class Carrier(Protocol):
    """What carries the client's bytes of a link within another one."""

    @property
    def untaken(self) -> int:
        """Bytes that the client has not taken."""

    def write(self, data: bytes) -> None: ...

    def close(self) -> None:
        """End it once what was written is taken."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Inner(Protocol):
    """A link within another one, as it is told of its client."""

    def data(self, data: bytes) -> None:
        """The client sent."""

    def lost(self) -> None:
        """The client's end is closed."""

    def slow(self, slow: bool) -> None:
        """The client does not take what is sent, or does again."""
