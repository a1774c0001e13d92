"""What becomes of the content of one body: what goes on, and what of it is recorded.

Of text the first bytes are recorded, up to a cap. Of what is beyond, of what is no text, and where a target's
bodies are not kept, the record has the size and the SHA-256 of all content, as it came.
"""

from typing import Final, final

from bodycam.model.media import Content, Media
from bodycam.net.digest import Digest
from bodycam.protocols.http.dialects.dialect import Deltas
from bodycam.protocols.http.dialects.event_masks import EventMasks
from bodycam.protocols.http.injected import HidingStream
from bodycam.session.masks import BodyMasks, Masks, Passed, Recording, Sighting
from bodycam.session.policing import Redaction

BODY_SIZE: Final = 1 << 20
"""Bytes of one body that are recorded, where no setting says otherwise."""

_NOTHING: Final[Passed] = (b"", b"")


@final
class BodyTap:
    """The content of one body, decoded and unframed, on its way.

    A small one goes through `whole`, any other through `feed`, piece by piece, and `end`. What is given out
    is what goes on and what is recorded of it, in step. Where `may_change` is False, what goes on
    is always what came, though maybe later.
    """

    __slots__ = (
        "_beyond", "_cap", "_changed", "_digest", "_first", "_hiding", "_masks", "_media", "_named",
        "_recorded", "_recording", "may_change", "size",
    )  # fmt: skip

    def __init__(
        self, media: Media, masks: BodyMasks | None, *, cap: int = BODY_SIZE, kept: bool = True
    ) -> None:
        self._media, self._masks, self._cap = media, masks, cap
        self.may_change = masks is not None and masks.may_change
        self._recording = kept and media.content is not Content.BINARY
        self._recorded = self.size = 0
        self._beyond = not self._recording
        self._digest: Digest | None = None
        self._first = b""
        self._changed = False
        self._hiding: HidingStream | None = None
        self._named: Recording | None = None

    def hide(self, stream: HidingStream) -> None:
        """Take out first, for everybody, what this stream takes out."""
        self._hiding, self.may_change = stream, True

    def leave_out(self, recording: Recording | None) -> None:
        """Take out of the record alone, at last, what this takes out."""
        self._named = recording

    @property
    def changed(self) -> bool:
        """Whether anything that went on differs from what came."""
        return (
            self._changed
            or (self._masks is not None and self._masks.changed)
            or (self._hiding is not None and self._hiding.found)
        )

    @property
    def looks(self) -> bool:
        """Whether it is looked into, so that something may be held back."""
        return self._masks is not None or self._hiding is not None

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return 0 if self._masks is None else self._masks.held

    def whole(self, content: bytes) -> Passed:
        """All of a body that came at once; the very same bytes where nothing in them changes."""
        self.size = len(content)
        masks, came = self._masks, content
        if self._hiding is not None:
            content = self._hiding.feed(content)
            # the same object where nothing was held back, compiled too
            if rest := self._hiding.flush():
                content += rest
        onward, recorded = (content, content) if masks is None else masks.whole(content)
        recorded = self._kept(recorded)
        self._changed = onward is not came
        if self._beyond:
            # else nobody asks for it
            self._first = content
        return onward, recorded

    def feed(self, content: bytes) -> Passed:
        """A piece of it; gives what can go on."""
        return self._taken(content if self._hiding is None else self._hiding.feed(content))

    def _taken(self, content: bytes) -> Passed:
        self._count(content)
        masks = self._masks
        if masks is None:
            return content, self._kept(content)
        if self._beyond and not self.may_change:
            # nothing more of it is recorded: nobody has to look
            if not masks.held:
                return content, b""
            onward, recorded = masks.flush()
            return onward + content, self._kept(recorded)
        return self._passed(masks.feed(content))

    def end(self) -> Passed:
        """The body has ended: all that is held back."""
        first, kept = _NOTHING
        if self._hiding is not None and (rest := self._hiding.flush()):
            first, kept = self._taken(rest)
        if self._masks is None:
            return first, kept
        last, more = self._passed(self._masks.flush())
        return first + last, kept + more

    def release_held(self) -> Passed:
        """It was held back long enough: all that can be told without what follows."""
        return _NOTHING if self._masks is None else self._passed(self._masks.release_held())

    def left_out(self) -> str:
        """At the end: what the record leaves out, for `Exchange.truncated`; empty if it has all."""
        unread = "" if self._masks is None else self._masks.unread
        if not self._beyond or not self.size:
            return unread
        self._hash(b"")
        assert self._digest is not None
        named = f" of {self._media.name[:100]}" if self._media.name else ""
        said = f"{self._recorded} of a body's {self.size} bytes{named} are recorded"
        said += f"; SHA-256 of all: {self._digest.hexdigest()}"
        return f"{said}; {unread}" if unread else said

    def sightings(self) -> list[Sighting]:
        """What was met in it since this was last asked."""
        return [] if self._masks is None else list(self._masks.sightings())

    def _count(self, content: bytes) -> None:
        if not self.size and not self._beyond:
            # often it is all, and then nobody asks for the digest
            self._first = content
        else:
            self._hash(content)
        self.size += len(content)

    def _hash(self, content: bytes) -> None:
        if self._digest is None:
            self._digest = Digest()
            self._digest.update(self._first)
            self._first = b""
        self._digest.update(content)

    def _passed(self, passed: Passed) -> Passed:
        onward, recorded = passed
        return onward, self._kept(recorded)

    def _kept(self, recorded: bytes) -> bytes:
        if not self._recording or not recorded:
            return b""
        if self._named is not None and not self._beyond:
            recorded = self._named.feed(recorded)
        left = self._cap - self._recorded
        if len(recorded) > left:
            recorded, self._beyond = recorded[:left], True
        self._recorded += len(recorded)
        return recorded


def received(
    media: Media, masks: Masks | None, redaction: Redaction, deltas: Deltas | None = None
) -> BodyTap:
    """For a body from the target; `deltas` say where its events have pieces of longer texts."""
    tap = _looked_into(media, masks, deltas)
    tap.leave_out(redaction.answered(media))
    return tap


def _looked_into(media: Media, masks: Masks | None, deltas: Deltas | None) -> BodyTap:
    if masks is None:
        return BodyTap(media, None)
    looked: BodyMasks | None = masks.body(media)
    if deltas is not None and looked is not None and media.content is Content.EVENTS:
        streams = masks.streams()
        if streams is not None:
            looked = EventMasks(deltas, looked, streams)
    return BodyTap(media, looked, cap=masks.body_size, kept=masks.keeps_bodies)


def sent(media: Media, masks: Masks | None, redaction: Redaction) -> BodyTap:
    """For a body from the client, of which only the record is masked."""
    if masks is None:
        return BodyTap(media, redaction.body(media, (), BODY_SIZE), cap=BODY_SIZE)
    if not masks.keeps_bodies:
        return BodyTap(media, None, kept=False)
    return BodyTap(media, redaction.body(media, masks.paths, masks.body_size), cap=masks.body_size)
