"""The masks of an answer that comes in many small events: on the texts they add up to, and on each event.

What goes on waits for what is recorded of it, as with every body (`session.masks`).
"""

from typing import Final, final

from bodycam.protocols.http.dialects.dialect import Deltas
from bodycam.protocols.http.dialects.masking import MaskedEvents
from bodycam.session.masks import BodyMasks, Passed, Sighting, TextStreams

LATE_MOST: Final = 1 << 20
"""Bytes that wait at most until it is known how their texts are to be recorded."""


@final
class EventMasks:
    """One response's (`session.masks.BodyMasks`); `events` are the masks of its events one by one."""

    __slots__ = ("_both", "_changed", "_events", "_late", "_record", "_streams", "may_change")

    def __init__(self, deltas: Deltas, events: BodyMasks, streams: TextStreams) -> None:
        self._events, self._streams = events, streams
        self._both = None if streams.both is None else MaskedEvents(deltas, streams.both)
        self._record = None if streams.record is None else MaskedEvents(deltas, streams.record)
        self._late = bytearray()
        self._changed = False
        self.may_change = events.may_change or self._both is not None

    @property
    def changed(self) -> bool:
        """Whether anything that went on differs from what came."""
        return self._changed or self._events.changed

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._late) + self._events.held + (0 if self._both is None else self._both.held)

    @property
    def unread(self) -> str:
        """Why some of it was not shown; empty if all of it was."""
        return self._events.unread

    def whole(self, content: bytes) -> Passed:
        """All of a body that came at once."""
        onward, recorded = self.feed(content)
        more, kept = self.flush()
        onward += more
        self._changed = onward != content
        return (onward if self._changed else content), recorded + kept

    def feed(self, data: bytes) -> Passed:
        """Take what came; gives what can go on."""
        onward = data if self._both is None else self._both.feed(data)
        return self._passed(self._events.feed(onward)) if onward else (b"", b"")

    def flush(self) -> Passed:
        """The body has ended."""
        shown, kept = self._passed(self._events.feed(b"" if self._both is None else self._both.flush()))
        last, rest = self._passed(self._events.flush())
        kept += rest
        if self._record is not None:
            kept += self._record.flush()
        return shown + last + self._due(), kept

    def release_held(self) -> Passed:
        """Whoever reads has waited long enough. Words that have begun wait on: they may become a secret."""
        shown, kept = b"", b""
        if self._both is not None:
            shown, kept = self._passed(self._events.feed(self._both.release_words()))
        if self._record is not None:
            kept += self._record.release_held()
        return shown + self._due(), kept

    def sightings(self) -> list[Sighting]:
        """What was met since this was last asked."""
        return [*self._streams.sightings(), *self._events.sightings()]

    def _passed(self, passed: Passed) -> Passed:
        shown, kept = passed
        record = self._record
        if record is None:
            return passed
        kept = record.feed(kept)
        self._late += shown
        if record.held and len(self._late) < LATE_MOST:
            return b"", kept
        return self._due(), kept + record.release_held()

    def _due(self) -> bytes:
        due = bytes(self._late)
        self._late.clear()
        return due
