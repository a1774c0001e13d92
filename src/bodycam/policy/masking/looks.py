"""What a unit of a body becomes: JSON, a form, an event, text. The same object where nothing is in it."""

import re
from collections.abc import Callable, Sequence
from typing import Final, final
from urllib.parse import quote_plus, unquote_to_bytes

from bodycam.policy.detectors.matcher import TOO_MUCH, Hit, Matcher
from bodycam.policy.masking.bodies import UNREAD, Look
from bodycam.policy.masking.json_text import BrokenJson, Found, PathMask, loosely, rewritten, scannable
from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.transforms import Choose, masked, shown

# of what has gone on, so much is looked at again with what follows, because a keyword may stand in it
_CONTEXT: Final = 1 << 10
# what JSON writes in one way, but for escapes with numbers
_PLAIN: Final = re.compile(r"[\w .:$@-]*")
_NO_STRINGS: Final = bytes.maketrans(b'"\\', b"' ")
_LINE: Final = re.compile(rb"[^\r\n]*+(?:\r\n|\r|\n)|[^\r\n]++\Z")
_EVENT: Final = re.compile(
    rb"(?:[^\r\n]++(?:\r\n|\r|\n))*+(?:\r\n|\r|\n)|(?:[^\r\n]++(?:\r\n|\r|\n|\Z))++", re.DOTALL
)
_DATA: Final = re.compile(rb"(?:\xef\xbb\xbf)?data(?:: ?|(?=[\r\n]|\Z))")
_OPENS: Final = (b"{", b"[", b'"')


@final
class Looked:
    """What is masked, and where what was met is counted."""

    __slots__ = ("_names", "hits", "matcher", "paths", "then")

    def __init__(self, matcher: Matcher | None, then: Choose, paths: Sequence[PathMask], hits: Hits) -> None:
        self.matcher, self.then, self.paths, self.hits = matcher, then, tuple(paths), hits
        self._names = [
            [
                b'"%b"' % wanted.encode()
                for _, wanted in path.steps
                if isinstance(wanted, str) and _PLAIN.fullmatch(wanted)
            ]
            for path in paths
        ]

    def clean(self, text: bytes) -> bool:
        """Whether nothing that is known by its form is in a text; what JSON escapes is looked at as well."""
        return self.matcher is None or not self.matcher.suspicious(scannable(text))

    def text(self, text: bytes) -> bytes:
        """A text, masked."""
        if self.matcher is None:
            return text
        hits = self.matcher.find(text)
        if not hits:
            return text
        return self._masked(text, hits)

    def value(self, name: bytes, value: bytes) -> bytes:
        """What stands under a name, by which it may be known."""
        if self.matcher is None:
            return value
        before = name + b": "
        start = len(before)
        hits = [
            Hit(max(hit.start, start) - start, hit.end - start, hit.rule)
            for hit in self.matcher.find(before + value)
            if hit.end > start
        ]
        return self._masked(value, hits) if hits else value

    def json(self, text: bytes, *, sure: bool = True) -> bytes:
        """A JSON text, masked; where paths are, a broken one is not shown.

        Where it is not `sure` to be JSON, what doesn't begin like it is text.
        """
        if not sure and text.lstrip()[:1] not in _OPENS:
            return self.text(text)
        matcher = None if self.clean(text) else self.matcher
        paths = self._leading(text)
        if matcher is None and not paths:
            return text
        found: Found = []
        try:
            if not paths:
                # nothing has to be known of its form, which then need not be right
                put = text if matcher is None else loosely(text, 0, matcher, self.then, found)
            else:
                put = rewritten(text, paths, matcher, self.then, found)
        except BrokenJson:
            # where a mask would have to go nobody knows
            found, put = [(TOO_MUCH, text)], b'"%b"' % UNREAD
        for rule, one in found:
            self.hits.add(rule, one)
        return put

    def _leading(self, text: bytes) -> Sequence[PathMask]:
        """The paths whose names stand in a text, or may do so written with escapes."""
        if not self.paths or b"\\u" in text:
            return self.paths
        return [
            path for path, names in zip(self.paths, self._names, strict=True) if all(n in text for n in names)
        ]

    def _masked(self, text: bytes, hits: Sequence[Hit]) -> bytes:
        for hit in hits:
            self.hits.add(hit.rule, text[hit.start : hit.end])
        put = masked(text, hits, lambda rule: shown(self.then(rule)))
        return text if put is None else put


@final
class Fragments:
    """JSON in fragments, in which no path is masked. What was said before tells of what follows."""

    __slots__ = ("_before", "_looked")

    def __init__(self, looked: Looked) -> None:
        self._looked, self._before = looked, b""

    def __call__(self, piece: bytes) -> bytes:
        looked, before = self._looked, self._before
        text = before + piece if before else piece
        # it may begin within a string
        self._before = text[-_CONTEXT:].translate(_NO_STRINGS)
        if looked.matcher is None or looked.clean(text):
            return piece
        found: Found = []
        put = loosely(text, len(before), looked.matcher, looked.then, found)
        for rule, one in found:
            looked.hits.add(rule, one)
        return put if found else piece


def lines(looked: Look, clean: Callable[[bytes], bool]) -> Look:
    """JSON texts, one a line."""

    def look(batch: bytes) -> bytes:
        if clean(batch):
            return batch
        return _joined(batch, batch.splitlines(keepends=True), lambda line: _line(line, looked))

    return look


def _line(line: bytes, looked: Look) -> bytes:
    text = line.rstrip(b"\r\n")
    if not text.strip():
        return line
    put = looked(text)
    return line if put is text else put + line[len(text) :]


def events(value: Look, text: Look, clean: Callable[[bytes], bool]) -> Look:
    """Server-sent events: the data of each as one `value`, its other lines as `text`."""

    def look(batch: bytes) -> bytes:
        if clean(batch):
            return batch
        return _joined(batch, _EVENT.findall(batch), lambda event: _event(event, value, text))

    return look


def _event(event: bytes, value: Look, text: Look) -> bytes:
    rows: list[bytes] = _LINE.findall(event)
    # the lines of its data: where they are, how they begin, what they say, how they end
    data: list[tuple[int, bytes, bytes, bytes]] = []
    changed = False
    for at, row in enumerate(rows):
        content = row.rstrip(b"\r\n")
        end = row[len(content) :]
        match = _DATA.match(content)
        if match is not None:
            data.append((at, match.group(), content[match.end() :], end))
            continue
        put = text(content)
        if put is not content:
            rows[at], changed = put + end, True
    if data:
        said = b"\n".join([one for _, _, one, _ in data])
        put = value(said)
        if put is not said:
            changed = True
            start, end, last = data[0][1], data[0][3] or b"\n", data[-1][3]
            for at, _, _, _ in data:
                rows[at] = b""
            rows[data[0][0]] = start + (end + b"data: ").join(put.split(b"\n")) + last
    return b"".join(rows) if changed else event


def form(looked: Callable[[bytes, bytes], bytes], clean: Callable[[bytes], bool]) -> Look:
    """Names and values of a form, each looked at as it is meant, and written anew where it changes."""

    def pair(one: bytes) -> bytes:
        name, sign, value = one.partition(b"=")
        plain_name, plain = _meant(name), _meant(value)
        put = looked(plain_name, plain)
        kept = looked(b"", plain_name)
        if put is plain and kept is plain_name:
            return one
        name = name if kept is plain_name else _written(kept)
        return name + sign + (value if put is plain else _written(put))

    def look(text: bytes) -> bytes:
        if clean(text) and (clean(_meant(text)) if b"%" in text or b"+" in text else True):
            return text
        return _joined(text, text.split(b"&"), pair, b"&")

    return look


def recoded(look: Look, codec: str) -> Look:
    """Text in which the letters of ASCII are other bytes; what is not in it is not shown."""

    def inner(text: bytes) -> bytes:
        try:
            plain = text.decode(codec).encode()
            put = look(plain)
            return text if put is plain else put.decode().encode(codec)
        except (UnicodeError, LookupError):
            return UNREAD.decode().encode(codec)

    return inner


def _meant(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _written(text: bytes) -> bytes:
    # a mask stays one that can be read
    return quote_plus(text, safe="[]:").encode()


def _joined(text: bytes, pieces: Sequence[bytes], look: Look, between: bytes = b"") -> bytes:
    put = [look(piece) for piece in pieces]
    if all(new is old for new, old in zip(put, pieces, strict=True)):
        return text
    return between.join(put)
