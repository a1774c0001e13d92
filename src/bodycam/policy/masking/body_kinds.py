"""From a body's media type to what its content goes through."""

from collections.abc import Callable, Sequence
from typing import Final, final

from bodycam.config.masking import Then
from bodycam.model.media import Content, Media
from bodycam.policy.detectors.fields import hinted
from bodycam.policy.detectors.matcher import Matcher
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.masking.bodies import (
    EVENTS,
    FORM,
    FRAGMENTS,
    LINES,
    MOST_HELD,
    PARTS,
    TEXT,
    WHOLE,
    Cut,
    Look,
    Passed,
    TextBody,
    UnitBody,
)
from bodycam.policy.masking.json_text import PathMask, scannable
from bodycam.policy.masking.looks import Fragments, Looked, events, form, lines, recoded
from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.sent import Redacts, Sent
from bodycam.policy.masking.sighting import Sighting
from bodycam.policy.masking.stream import TextStream
from bodycam.policy.masking.wide import WIDE, guessed

Body = UnitBody | TextBody
Make = Callable[[Media], Body]
_SNIFFED: Final = 4
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
# RFC 4627, section 3: which of the first four bytes are zero
_ZEROS: Final = {
    (True, True, True, False): "utf-32-be",
    (False, True, True, True): "utf-32-le",
    (True, False, True, False): "utf-16-be",
    (False, True, False, True): "utf-16-le",
}


@final
class SniffedBody:
    """A body of which the first bytes tell whether it is text in which ASCII is ASCII, as its type says.

    `clean`, if given, is a quick question about a whole text in which ASCII is ASCII: yes is certain.
    """

    __slots__ = ("_before", "_body", "_clean", "_make", "_media", "may_change")

    def __init__(
        self, media: Media, make: Make, clean: Callable[[bytes], bool] | None, *, may_change: bool
    ) -> None:
        self._media, self._make, self._clean, self.may_change = media, make, clean, may_change
        self._body: Body | None = None
        self._before = b""

    @property
    def changed(self) -> bool:
        """Whether anything that went on differs from what came."""
        return self._body is not None and self._body.changed

    @property
    def held(self) -> int:
        """How many bytes are held back."""
        return len(self._before) if self._body is None else self._body.held

    @property
    def unread(self) -> str:
        """Why some of it was not shown; empty if all of it was."""
        return "" if self._body is None else self._body.unread

    def whole(self, content: bytes) -> Passed:
        """All of a body that came at once."""
        if (
            self._clean is not None
            and b"\x00" not in content[:_SNIFFED]
            and content[:2] not in _WIDE
            and not (self._media.content is Content.FORM and (b"%" in content or b"+" in content))
            and self._clean(content)
        ):
            return content, content
        return self._decided(content).whole(content)

    def feed(self, data: bytes) -> Passed:
        """Take what came; gives what can go on."""
        if self._body is not None:
            return self._body.feed(data)
        self._before += data
        if len(self._before) < _SNIFFED:
            return b"", b""
        return self._begun()

    def flush(self) -> Passed:
        """The body has ended."""
        if self._body is not None:
            return self._body.flush()
        onward, recorded = self._begun()
        more, kept = self._decided(b"").flush()
        return onward + more, recorded + kept

    def release_held(self) -> Passed:
        """What can be told without what follows."""
        if self._body is not None:
            return self._body.release_held()
        if not self._before:
            return b"", b""
        onward, recorded = self._begun()
        more, kept = self._decided(b"").release_held()
        return onward + more, recorded + kept

    def sightings(self) -> list[Sighting]:
        """What was met since this was last asked."""
        return [] if self._body is None else self._body.sightings()

    def _begun(self) -> Passed:
        data, self._before = self._before, b""
        return self._decided(data).feed(data)

    def _decided(self, start: bytes) -> Body:
        if self._body is None:
            self._body = self._make(_sniffed(self._media, start[:_SNIFFED]))
        return self._body


def _sniffed(media: Media, start: bytes) -> Media:
    if media.codec or media.content in (Content.EVENTS, Content.PARTS):
        return media
    codec = next((codec for mark, codec in _MARKS if start.startswith(mark)), "")
    if not codec and b"\x00" in start and len(start) == _SNIFFED:
        codec = _ZEROS.get((not start[0], not start[1], not start[2], not start[3]), "")
    content = media.content
    if content is Content.TEXT and not codec and start.lstrip()[:1] in (b"{", b"["):
        content = Content.JSON
    if content is media.content and not codec:
        return media
    return Media(media.name, content, codec)


@final
class Audience:
    """What is masked for somebody: nothing where it is None."""

    __slots__ = ("looked", "stream")

    def __init__(self, looked: Looked, stream: Callable[[], TextStream | None]) -> None:
        self.looked, self.stream = looked, stream


Wanted = Callable[[], "Audience | None"]


def received_body(
    media: Media,
    for_both: Wanted,
    for_record: Wanted,
    *,
    may_change: bool,
    matchers: Sequence[Matcher] | None,
) -> SniffedBody | None:
    """What a body from the target goes through; None for what is no text.

    `matchers` are all that are asked, where nothing is masked but what they find.
    """
    if media.content is Content.BINARY:
        return None

    def clean(text: bytes) -> bool:
        return matchers is not None and _clean(matchers, scannable(text))

    def make(sniffed: Media) -> Body:
        both, record = for_both(), for_record()
        if (sniffed.content is Content.TEXT and not sniffed.codec) or sniffed.content is Content.PARTS:
            streams = [None if one is None else one.stream() for one in (both, record)]
            asked = [one.looked.matcher for one in (both, record) if one is not None]
            if any(stream is not None for stream in streams):
                return TextBody(streams[0], streams[1], lambda text: _clean(asked, text))
        cut = _cut(media, sniffed, [one.looked.paths for one in (both, record) if one is not None])
        looks = [None if one is None else _look(media, sniffed, cut, one.looked) for one in (both, record)]
        hits = [one.looked.hits for one in (both, record) if one is not None]
        return UnitBody(cut, looks[0], looks[1], hits)

    quick = None if media.codec or matchers is None else clean
    return SniffedBody(media, make, quick, may_change=may_change)


def sent_body(
    redacts: Redacts, media: Media, paths: Sequence[PathMask], most: int, hits: Hits, matcher: Matcher | None
) -> SniffedBody | None:
    """What the record of a body from the client goes through; None for what is no text."""
    if media.content is Content.BINARY:
        return None

    def make(sniffed: Media) -> Body:
        sent = Sent(redacts, paths, hits)
        if sniffed.content is Content.TEXT and not sniffed.codec and matcher is not None:
            stream = TextStream(matcher, _redact)
            stream.hits = hits
            return TextBody(None, stream, lambda text: not matcher.suspicious(text), sent.text)
        cut = PARTS if sniffed.content is Content.PARTS else _cut(media, sniffed, [sent_paths])
        return UnitBody(cut, None, _sent_look(media, sniffed, sent), [hits], most=min(most, MOST_HELD))

    def clean(text: bytes) -> bool:
        return b"\\" not in text and not hinted(text) and not redacts.redact_bytes(text)[1]

    sent_paths = tuple(paths)
    return SniffedBody(media, make, None if paths or media.codec else clean, may_change=False)


def _cut(said: Media, media: Media, paths: Sequence[Sequence[PathMask]]) -> Cut:
    """How a body's units are told apart, by what is said of it and what it is taken for."""
    if media.codec:
        return WIDE[media.codec] if _guessed(said, media) else TEXT
    if media.content is Content.JSON:
        return WHOLE if any(paths) else FRAGMENTS
    return {Content.LINES: LINES, Content.EVENTS: EVENTS, Content.FORM: FORM, Content.PARTS: PARTS}.get(
        media.content, LINES
    )


def _guessed(said: Media, media: Media) -> bool:
    """Whether only its first bytes tell that it is text at all, and in which codec."""
    return media.codec != said.codec and said.content is Content.TEXT


def _recoded(look: Look, said: Media, media: Media) -> Look:
    if not media.codec:
        return look
    return (guessed if _guessed(said, media) else recoded)(look, media.codec)


def _sure(said: Media) -> bool:
    """Whether what begins like JSON is: labelled as other text it may be anything."""
    return said.content is not Content.TEXT


def _look(said: Media, media: Media, cut: Cut, looked: Looked) -> Look:
    sure = _sure(said)

    def json(text: bytes) -> bytes:
        return looked.json(text, sure=sure)

    def maybe(text: bytes) -> bytes:
        return looked.json(text, sure=False)

    def clean(text: bytes) -> bool:
        return not looked.paths and looked.clean(text)

    match media.content:
        case Content.JSON:
            look: Look = Fragments(looked) if cut is FRAGMENTS else json
        case Content.LINES:
            look = lines(json, clean)
        case Content.EVENTS:
            look = events(maybe, looked.text, clean)
        case Content.FORM:
            look = form(looked.value, looked.clean)
        case _:
            look = looked.text
    return _recoded(look, said, media)


def _sent_look(said: Media, media: Media, sent: Sent) -> Look:
    sure = _sure(said)

    def json(text: bytes) -> bytes:
        return sent.json(text, sure=sure)

    def maybe(text: bytes) -> bytes:
        return sent.json(text, sure=False)

    match media.content:
        case Content.JSON:
            look: Look = json
        case Content.LINES:
            look = lines(json, _unclean)
        case Content.EVENTS:
            look = events(maybe, sent.text, _unclean)
        case Content.FORM:
            look = form(sent.value, _unclean)
        case Content.PARTS:
            look = sent.parts
        case _:
            look = sent.text
    return _recoded(look, said, media)


def _unclean(text: bytes) -> bool:
    return False


def _clean(matchers: Sequence[Matcher | None], text: bytes) -> bool:
    return not any(matcher is not None and matcher.suspicious(text) for matcher in matchers)


def _redact(rule: Rule) -> Then:
    return Then.REDACT
