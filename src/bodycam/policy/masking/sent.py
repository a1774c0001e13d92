"""What is recorded of bodies that clients send: as they came, but for credentials and what is detected."""

import re
from collections.abc import Sequence
from typing import Final, Protocol, final

from bodycam.config.masking import Then
from bodycam.policy.detectors.fields import credential, hinted
from bodycam.policy.detectors.matcher import TOO_MUCH
from bodycam.policy.detectors.rule import Rule
from bodycam.policy.detectors.values import REDACTED
from bodycam.policy.masking.bodies import UNREAD
from bodycam.policy.masking.json_text import (
    BrokenJson,
    Found,
    PathMask,
    content_of,
    rewritten,
    scannable,
    strings,
    written,
)
from bodycam.policy.masking.screen import Hits
from bodycam.policy.masking.transforms import JSON

# JSON in strings of JSON, as arguments of tools are
_MOST_DEPTH: Final = 3
_OPENS: Final = (b"{", b"[", b'"')
_PART: Final = re.compile(
    rb"(?s)(?P<head>content-disposition:[^\r\n]{0,400}?;\s*name=\"?(?P<name>[^\"\r\n;]{1,200})\"?[^\r\n]{0,400}"
    rb"(?:\r?\n[^\r\n]{1,1000}){0,8}\r?\n\r?\n)(?P<value>.*?)(?=\r?\n--|(?:\r?\n)?\Z)",
    re.IGNORECASE,
)


class Redacts(Protocol):
    """Takes secrets out of a text, and counts what it knows by form."""

    def redact_bytes(self, value: bytes) -> tuple[bytes, int]: ...

    def count(self, text: bytes, hits: Hits) -> None: ...


@final
class Sent:
    """Redacts the units of one body. `paths` are those at which JSON is masked in the record."""

    __slots__ = ("_paths", "_redacts", "hits")

    def __init__(self, redacts: Redacts, paths: Sequence[PathMask], hits: Hits) -> None:
        self._redacts, self._paths, self.hits = redacts, tuple(paths), hits

    def text(self, text: bytes) -> bytes:
        """A text."""
        put, count = self._redacts.redact_bytes(text)
        if not count:
            return text
        self._redacts.count(text, self.hits)
        return put

    def value(self, name: bytes, value: bytes) -> bytes:
        """What stands under a name."""
        if name and value and credential(name):
            self._redacts.count(value, self.hits)
            return REDACTED
        return self.text(value)

    def json(self, text: bytes, *, sure: bool = True) -> bytes:
        """A JSON text, or what may be a fragment of one, or something else."""
        if not sure and text.lstrip()[:1] not in _OPENS:
            return self.text(text)
        put = text
        if self._paths:
            found: Found = []
            try:
                put = rewritten(text, self._paths, None, _redact, found)
            except BrokenJson:
                self.hits.add(TOO_MUCH, text)
                return b'"%b"' % UNREAD
            for _, one in found:
                self.hits.add(JSON, one)
        redacted = self._strings(put, 0)
        redacted, count = self._redacts.redact_bytes(redacted)
        if redacted is put or (not count and redacted == put):
            return put
        self._redacts.count(scannable(put), self.hits)
        return redacted

    def parts(self, text: bytes) -> bytes:
        """Parts of a form with files."""
        put = text
        if hinted(text):
            put = _PART.sub(self._part, text)
        put = self.text(put)
        return text if put == text else put

    def _part(self, match: "re.Match[bytes]") -> bytes:
        if not credential(match["name"]):
            return match.group()
        self._redacts.count(match["value"], self.hits)
        return match["head"] + REDACTED

    def _strings(self, text: bytes, depth: int) -> bytes:
        """Values under names of credentials, and strings in which something is written with escapes."""
        escaped = b"\\" in text
        if not escaped and not hinted(text):
            return text
        pieces: list[bytes] = []
        position = 0
        under = b""
        for start, end, key in strings(text):
            token = text[start:end]
            if key:
                under = content_of(token)
                continue
            put = token
            if under and credential(under):
                put = b'"%b"' % REDACTED
            elif escaped and b"\\" in token:
                put = self._decoded(token, depth)
            under = b""
            if put is not token:
                pieces += (text[position:start], put)
                position = end
        if not pieces:
            return text
        pieces.append(text[position:])
        return b"".join(pieces)

    def _decoded(self, token: bytes, depth: int) -> bytes:
        content = content_of(token)
        put = content
        if depth < _MOST_DEPTH and content.lstrip()[:1] in (b"{", b"["):
            put = self._strings(content, depth + 1)
        put, count = self._redacts.redact_bytes(put)
        return token if not count and put is content else written(put)


def _redact(rule: Rule) -> Then:
    return Then.REDACT
