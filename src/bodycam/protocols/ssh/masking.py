"""The masks of one stream of a program's output: what goes on to the client, and what is recorded of it.

What goes on waits for what is recorded of it (`session.masks.Passed`).
"""

from collections.abc import Callable, Sequence
from typing import final

from bodycam.session.masks import HoldingStream, Passed, Sighting, TextStreams


@final
class OutputMasks:
    """One stream's. Made from `Masks.terminal()`, of which all streams of a program may share one."""

    __slots__ = ("_both", "_late", "_record", "_streams")

    def __init__(self, streams: TextStreams) -> None:
        self._streams = streams
        self._both = None if streams.both is None else streams.both()
        self._record = None if streams.record is None else streams.record()
        self._late = bytearray()

    @property
    def held(self) -> int:
        """How many bytes are held back; half an escape sequence is, whatever is released."""
        return len(self._late) + (0 if self._both is None else self._both.held)

    def feed(self, data: bytes) -> Passed:
        """Take what the program said; gives what can go on."""
        return self._passed(data if self._both is None else self._both.feed(data), None)

    def release_words(self) -> Passed:
        """Whoever reads has waited a moment: all but a word that has begun and may become a secret."""
        return self._released(lambda stream: stream.release_words())

    def release_held(self) -> Passed:
        """They have waited as long as they may: all that is held."""
        return self._released(lambda stream: stream.release_held())

    def flush(self) -> Passed:
        """The program says no more."""
        onward, recorded = self._released(lambda stream: stream.flush())
        onward += bytes(self._late)
        self._late.clear()
        return onward, recorded

    def sightings(self) -> Sequence[Sighting]:
        """What was met in all streams that share the masks, since this was last asked."""
        return self._streams.sightings()

    def _released(self, release: Callable[[HoldingStream], bytes]) -> Passed:
        return self._passed(b"" if self._both is None else release(self._both), release)

    def _passed(self, onward: bytes, release: Callable[[HoldingStream], bytes] | None) -> Passed:
        record = self._record
        if record is None:
            return onward, onward
        recorded = record.feed(onward) if onward else b""
        if release is not None:
            recorded += release(record)
        self._late += onward
        due = len(self._late) - record.held
        onward = bytes(self._late[:due])
        del self._late[:due]
        return onward, recorded
