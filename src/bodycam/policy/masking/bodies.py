"""Masks the content of bodies that come in pieces: what goes on, and what is recorded of it, in step.

A body is looked into unit by unit: a JSON text or a form as a whole, events and lines one by one, other text
by lines as far as nothing can go on in the next. A unit that would get too long to be held is not shown.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final, final

from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.sighting import Sighting, sightings
from bodycam.policy.masking.stream import TextStream

Passed = tuple[bytes, bytes]
Look = Callable[[bytes], bytes]
"""What a whole unit becomes; the same object where nothing changes."""

MOST_HELD: Final = 8 << 20
"""Bytes of one unit that are held; of a longer one only a mask is shown."""

FRAGMENT: Final = 64 << 10
"""JSON in which no path is masked goes on in fragments of about this size."""

UNREAD: Final = b"[bodycam:unread]"

# up to the last comma or bracket that is in no string
_SAFE: Final = re.compile(rb'(?:(?:[^",{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+[,{}\[\]])*+', re.DOTALL)
_BLANK_LINE: Final = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")


@final
class Cut:
    """How the units of one kind of content are told apart, and what stands for one that is not shown."""

    __slots__ = ("eager", "end", "instead", "later")

    def __init__(
        self, end: Callable[[bytes, int], int], instead: bytes, *, eager: bool = False, later: int = 0
    ) -> None:
        self.end, self.instead = end, instead
        # whether what is complete may go on although its unit is not, when somebody waits for it
        self.eager = eager
        self.later = later
        """Below so many bytes no end is looked for."""


def _never(data: bytes, start: int) -> int:
    return 0


def _lines(data: bytes, start: int) -> int:
    return data.rfind(b"\n", start) + 1


def _events(data: bytes, start: int) -> int:
    end = 0
    for match in _BLANK_LINE.finditer(data, max(0, start - 3)):
        end = match.end()
    return end


def _fragments(data: bytes, start: int) -> int:
    match = _SAFE.match(data)
    return 0 if match is None else match.end()


def _parts(data: bytes, start: int) -> int:
    end = data.rfind(b"\r\n--")
    if end > 0:
        return end + 2
    # within a file
    return data.rfind(b"\n") + 1 or len(data) if len(data) > FRAGMENT else 0


WHOLE: Final = Cut(_never, b'"%b"' % UNREAD)
FORM: Final = Cut(_never, b"unread=" + UNREAD)
TEXT: Final = Cut(_never, UNREAD)
LINES: Final = Cut(_lines, b'"%b"\n' % UNREAD)
EVENTS: Final = Cut(_events, b"data: %b\n\n" % UNREAD)
FRAGMENTS: Final = Cut(_fragments, b'"%b"' % UNREAD, eager=True, later=FRAGMENT)
PARTS: Final = Cut(_parts, UNREAD)


@final
class UnitBody:
    """A body whose units are looked into whole."""

    __slots__ = (
        "_both", "_cut", "_held", "_hits", "_lost", "_most", "_record", "_seen", "_try", "changed",
        "unread",
    )  # fmt: skip

    def __init__(
        self,
        cut: Cut,
        both: Look | None,
        record: Look | None,
        hits: Sequence[Hits],
        *,
        most: int = MOST_HELD,
    ) -> None:
        self._cut, self._both, self._record, self._hits, self._most = cut, both, record, hits, most
        self._held = bytearray()
        self._seen = 0
        self._try = cut.later
        self._lost = self.changed = False
        self.unread = ""

    @property
    def may_change(self) -> bool:
        """Whether what goes on may be other than what came."""
        return self._both is not None

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._held)

    def whole(self, content: bytes) -> Passed:
        """All of a body that came at once."""
        if len(content) <= self._most:
            return self._looked(content)
        onward, recorded = self.feed(content)
        more, kept = self.flush()
        return onward + more, recorded + kept

    def feed(self, data: bytes) -> Passed:
        """Take what came; gives what can go on."""
        held = self._held
        held += data
        if len(held) < self._try:
            return b"", b""
        end = self._cut.end(held, self._seen)  # type: ignore[arg-type] # searched like bytes
        if end:
            piece = bytes(held[:end])
            del held[:end]
            self._try, self._seen = self._cut.later, len(held)
            return self._rest_of_lost(piece) if self._lost else self._looked(piece)
        self._seen = len(held)
        # what was looked through in vain is looked at again when there is twice as much of it
        self._try = 2 * len(held) if self._cut.later else 0
        if self._lost or len(held) >= self._most:
            return self._lose()
        self._try = min(self._try, self._most)
        return b"", b""

    def flush(self) -> Passed:
        """The body has ended: everything that is held."""
        piece = bytes(self._held)
        self._held.clear()
        if self._lost:
            return self._rest_of_lost(piece)
        return self._looked(piece) if piece else (b"", b"")

    def release_held(self) -> Passed:
        """What is held as far as it can be told without what follows; a unit's reader can't use less."""
        if not self._cut.eager or self._lost:
            return b"", b""
        end = self._cut.end(self._held, 0)  # type: ignore[arg-type] # searched like bytes
        piece = bytes(self._held[:end])
        del self._held[:end]
        return self._looked(piece) if piece else (b"", b"")

    def sightings(self) -> list[Sighting]:
        """What was met since this was last asked."""
        return sightings(self._hits)

    def _looked(self, piece: bytes) -> Passed:
        onward = piece if self._both is None else self._both(piece)
        if onward is not piece:
            self.changed = True
        return onward, onward if self._record is None else self._record(onward)

    def _lose(self) -> Passed:
        """What is held is more than can be looked into: a mask for all of its unit, once."""
        piece = bytes(self._held)
        self._held.clear()
        self._seen = 0
        put = b"" if self._lost else self._cut.instead
        self._lost = True
        self.changed = self._both is not None
        self.unread = f"a part of more than {self._most} bytes could not be looked into"
        return put if self._both is not None else piece, put

    def _rest_of_lost(self, piece: bytes) -> Passed:
        """The end of the unit that was lost, and others behind it."""
        first = self._first_end(piece)
        lost, piece = piece[:first], piece[first:]
        self._lost = False
        gone = b"" if self._both is not None else lost
        if not piece:
            return gone, b""
        onward, recorded = self._looked(piece)
        return gone + onward, recorded

    def _first_end(self, piece: bytes) -> int:
        if self._cut is LINES:
            return piece.find(b"\n") + 1 or len(piece)
        if self._cut is EVENTS:
            match = _BLANK_LINE.search(piece)
            return len(piece) if match is None else match.end()
        return len(piece)


@final
class TextBody:
    """A body of text without form. What goes on waits for what is recorded of it."""

    __slots__ = ("_both", "_clean", "_late", "_record", "_redact", "unread")

    def __init__(
        self,
        both: TextStream | None,
        record: TextStream | None,
        clean: Callable[[bytes], bool],
        redact: Look | None = None,
    ) -> None:
        """`clean` is whether nothing can be found in a text; `redact` goes over what is recorded."""
        self._both, self._record, self._clean, self._redact = both, record, clean, redact
        self._late = bytearray()
        self.unread = ""

    @property
    def may_change(self) -> bool:
        """Whether what goes on may be other than what came."""
        return self._both is not None

    @property
    def changed(self) -> bool:
        """Whether anything that went on differs from what came."""
        return self._both is not None and self._both.changed

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._late) + (0 if self._both is None else self._both.held)

    def whole(self, content: bytes) -> Passed:
        """All of a body that came at once."""
        if self._clean(content):
            return content, content if self._redact is None else self._redact(content)
        onward, recorded = self.feed(content)
        more, kept = self.flush()
        return onward + more, recorded + kept

    def feed(self, data: bytes) -> Passed:
        """Take what came; gives what can go on."""
        onward = data if self._both is None else self._both.feed(data)
        return self._kept(onward)

    def flush(self) -> Passed:
        """The body has ended."""
        onward = b"" if self._both is None else self._both.flush()
        first, kept = self._kept(onward)
        if self._record is None:
            return first, kept
        rest = self._record.flush()
        late = bytes(self._late)
        self._late.clear()
        return first + late, kept + self._redacted(rest)

    def release_held(self) -> Passed:
        """Everything that is held, masked as far as it is known; what follows may be the rest of it."""
        onward = b"" if self._both is None else self._both.release_held()
        first, kept = self._kept(onward)
        if self._record is None:
            return first, kept
        rest = self._redacted(self._record.release_held())
        more = self._due()
        return first + more, kept + rest

    def sightings(self) -> list[Sighting]:
        """What was met since this was last asked."""
        streams = (self._both, self._record)
        return sightings([stream.hits for stream in streams if stream is not None])

    def _kept(self, onward: bytes) -> Passed:
        record = self._record
        if record is None:
            return onward, onward
        if not onward:
            return b"", b""
        kept = record.feed(onward)
        self._late += onward
        return self._due(), self._redacted(kept)

    def _due(self) -> bytes:
        """What of what waits has been recorded."""
        record = self._record
        end = len(self._late) - (0 if record is None else record.held)
        due = bytes(self._late[:end])
        del self._late[:end]
        return due

    def _redacted(self, kept: bytes) -> bytes:
        return kept if self._redact is None or not kept else self._redact(kept)
