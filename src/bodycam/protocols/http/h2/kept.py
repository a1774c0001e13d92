"""What is kept of the streams of one link, beyond what their windows bound."""

from typing import Final, final

from bodycam.protocols.http.answers import Problem
from bodycam.protocols.http.h2.stream import Stream

KEPT_MOST: Final = 32 << 20
"""Bytes of all streams that wait to be judged or looked into as a whole."""

CROWDED: Final = Problem(503, "too much of this connection's streams waits already", "Try again in a moment.")


@final
class Kept:
    """Counted stream by stream, as they say themselves (`Stream.keeps`)."""

    __slots__ = ("_all", "_of")

    def __init__(self) -> None:
        self._all = 0
        self._of: dict[Stream, int] = {}

    def too_much(self, stream: Stream) -> bool:
        """Whether it is too much with what a stream keeps by now."""
        kept = stream.keeps
        self._all += kept - self._of.get(stream, 0)
        self._of[stream] = kept
        return self._all > KEPT_MOST

    def forget(self, stream: Stream) -> None:
        """It is done with."""
        self._all -= self._of.pop(stream, 0)
