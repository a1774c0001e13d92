"""What is recorded of targets' answers: credentials that are known by the name before them are left out.

It goes along with a stream and holds nothing back: names go through as they are, and of a value that stands
under one of them nothing is given out. A body need not be well-formed, nor JSON to its end: what counts is
a name in quotes, a colon, and a value, also where that is written within a string of JSON.
"""

import re
from typing import Final, final
from urllib.parse import unquote_to_bytes

from bodycam.model.media import Content, Media
from bodycam.policy.detectors.fields import HINTS, credential, hinted
from bodycam.policy.detectors.names import linear
from bodycam.policy.detectors.values import REDACTED
from bodycam.policy.masking.json_text import content_of

# of what has been given out so much is looked at again with the next piece
_LOOKED_BACK: Final = 512
_BLANK: Final = rb"[ \t\r\n]{0,100}"
_MEMBER: Final = re.compile(
    rb'"(?P<name>(?:[\w .-]|\\+u[0-9a-fA-F]{4}){1,100})(?P<level>\\*)"' + _BLANK + rb":" + _BLANK
    + rb"(?P<list>\[" + _BLANK + rb')?(?:(?P<opens>\\*)"|(?P<number>[-\d]))'
)  # fmt: skip
# An object has dozens of members, and most words that hint at a credential stand in values: so first all of a
# piece is asked at one go whether there is a hint, or an escape, within what may be a name.
_HINTED_MEMBER: Final = linear(
    rb"(?:"
    + b"|".join(rb"[_.\s-]*".join(hint[at : at + 1] for at in range(len(hint))) for hint in HINTS)
    + rb"|\\u[0-9a-f]{4})(?:[\w .-]|\\+u[0-9a-f]{4})*\\*\"[ \t\r\n]*:"
)
_FIELD: Final = re.compile(rb"&(?P<name>[^=&]{1,300})=")
_QUOTE: Final = re.compile(rb'(?P<slashes>\\*)"')
_NUMBER_ENDS: Final = re.compile(rb"[^\d.eE+-]")
_FIELD_ENDS: Final = re.compile(rb"&")
# what stands between two texts or numbers of a list, `null` and `true` too
_BETWEEN: Final = re.compile(rb"[ \t\r\n,a-z]*")
_SLASHES: Final = re.compile(rb"\\*")


@final
class NamedSecrets:
    """One body's record, piece by piece."""

    __slots__ = ("_ends", "_form", "_level", "_listed", "_seen", "_slashes")

    def __init__(self, form: bool) -> None:
        self._form = form
        # a form begins as if with the sign that parts its fields
        self._seen = b"&" if form else b""
        # within a value: what ends it, and whether it is one of a list
        self._ends: re.Pattern[bytes] | None = None
        self._listed = False
        # backslashes before the quotes around it, and those just before what comes
        self._level = self._slashes = 0

    def feed(self, data: bytes) -> bytes:
        """What is recorded of a piece; the same object where nothing is left out."""
        before = len(self._seen)
        text = self._seen + data if before else data
        if self._ends is None and not self._worth_a_look(text):
            self._seen = text[-_LOOKED_BACK:]
            return data
        kept: list[bytes] = []
        # up to `given` it has been recorded or left out; names are looked for from `position` on
        position, given = 0, before
        while given < len(text):
            if self._ends is not None:
                position = given = self._past(text, given, kept)
                continue
            match = self._next(text, position, before)
            if match is None:
                break
            put, start = self._value(match)
            start = max(start, given)
            kept += (text[given:start], put)
            given = start
        if self._ends is None:
            self._seen = text[max(position, len(text) - _LOOKED_BACK) :]
        if not kept and given == before:
            return data
        kept.append(text[given:])
        return b"".join(kept)

    def _worth_a_look(self, text: bytes) -> bool:
        """Whether the name of a credential may stand in it; False is certain."""
        if self._form:
            return b"%" in text or hinted(text)
        return _HINTED_MEMBER.search(text) is not None

    def _next(self, text: bytes, position: int, before: int) -> "re.Match[bytes] | None":
        """The next name of a credential and the beginning of its value, which has not been given out."""
        for match in (_FIELD if self._form else _MEMBER).finditer(text, position):
            if match.end() > before and self._secretive(match):
                return match
        return None

    def _value(self, match: "re.Match[bytes]") -> tuple[bytes, int]:
        """What stands for the value, and where it begins."""
        if self._form:
            self._ends = _FIELD_ENDS
            return REDACTED, match.end()
        self._level, self._slashes, self._listed = len(match["level"]), 0, match["list"] is not None
        if match["number"] is not None:
            return self._number(), match.start("number")
        self._ends = _QUOTE
        return REDACTED, match.end()

    def _number(self) -> bytes:
        self._ends = _NUMBER_ENDS
        quote = b"\\" * self._level + b'"'
        return b"%b%b%b" % (quote, REDACTED, quote)

    def _secretive(self, match: re.Match[bytes]) -> bool:
        name = match["name"]
        if self._form:
            return credential(unquote_to_bytes(name.replace(b"+", b" ")))
        if match["opens"] is not None and match["opens"] != match["level"]:
            return False
        return credential(content_of(b'"%b"' % name) if b"\\" in name else name)

    def _past(self, text: bytes, position: int, kept: list[bytes]) -> int:
        """Behind the value, as far as that is here."""
        assert self._ends is not None
        if self._ends is _BETWEEN:
            return self._another(text, position, kept)
        if self._ends is not _QUOTE:
            match = self._ends.search(text, position)
            if match is None:
                return len(text)
            self._ended()
            return match.start()
        for match in _QUOTE.finditer(text, position):
            slashes = len(match["slashes"]) + (self._slashes if match.start() == position else 0)
            self._slashes = 0
            if self._closes(slashes):
                kept.append(b"\\" * min(slashes, self._level) + b'"')
                self._ended()
                return match.end()
            position = match.end()
        rest = text[position:]
        trailing = len(rest) - len(rest.rstrip(b"\\"))
        self._slashes = self._slashes + trailing if trailing == len(rest) else trailing
        return len(text)

    def _ended(self) -> None:
        self._ends, self._slashes = (_BETWEEN if self._listed else None), 0

    def _another(self, text: bytes, position: int, kept: list[bytes]) -> int:
        """Behind what stands between two values of a list: within the next, or behind the last."""
        start = position if self._slashes else _end(_BETWEEN, text, position)
        end = _end(_SLASHES, text, start)
        self._slashes += end - start
        sign = text[end : end + 1]
        kept.append(text[position:end])
        if sign == b'"' and self._slashes == self._level:
            self._ends, self._slashes = _QUOTE, 0
            kept.append(sign + REDACTED)
            return end + 1
        if sign and sign in b"-0123456789" and not self._slashes:
            kept.append(self._number())
        elif sign:
            self._ends = None
        return end

    def _closes(self, slashes: int) -> bool:
        """Whether a quote behind so many backslashes ends the value, or a string around it."""
        for _ in range(self._level.bit_length()):
            if not slashes % 2:
                return True
            slashes //= 2
        return not slashes % 2


def _end(pattern: re.Pattern[bytes], text: bytes, position: int) -> int:
    """Where a pattern ends that matches everywhere."""
    match = pattern.match(text, position)
    assert match is not None
    return match.end()


def named_secrets(media: Media) -> NamedSecrets | None:
    """For the record of an answer of this kind; None for what is no text in which ASCII is ASCII."""
    if media.content is Content.BINARY or media.codec:
        return None
    return NamedSecrets(media.content is Content.FORM)
