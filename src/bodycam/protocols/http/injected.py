"""The credentials that the gateway adds to requests, taken out of what comes back: nobody is to see them.

A target may print what it was sent: in an error, a redirect, a page for debugging. Each form in which they
are likely to stand there becomes asterisks, as many as it had bytes, so that no length changes.
"""

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final, final
from urllib.parse import quote, quote_plus

from bodycam.model.target import Dial

SHORTEST: Final = 6
"""Bytes of a form that is looked for; shorter ones stand everywhere by chance."""

# a scheme, perhaps with a name of what follows: `Bearer x`, `Token token="x"` (RFC 9110, section 11.4)
_SCHEME: Final = re.compile(r'[A-Za-z][A-Za-z0-9._-]* +(?:[A-Za-z_-]+=)?"?([^ "]+)"?')
_GO: Final = re.compile("[&<>]")
_DOTNET: Final = re.compile("[\"&'+<>`]")
_ESCAPED: Final = re.compile("%[0-9A-F]{2}")

Span = tuple[int, int]


@final
class Injected:
    """The credentials of one way to a target, in all forms that are looked for."""

    __slots__ = ("_begins", "_forms", "longest")

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        self._forms = tuple(sorted(forms))
        self.longest = max(map(len, self._forms), default=0)
        first = b"".join(sorted({re.escape(form[:1]) for form in forms}))
        self._begins = re.compile(b"[" + first + b"]") if forms else None

    def hidden(self, data: bytes) -> bytes:
        """All of it with nothing of them; the same object where there was none."""
        return covered(data, self.spans(data))

    def spans(self, data: bytes) -> list[Span]:
        """Where they stand, in order; they may overlap."""
        found: list[Span] = []
        for form in self._forms:
            at = data.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = data.find(form, at + 1)
        found.sort()
        return found

    def unsure(self, data: bytes) -> int:
        """From where on what stands at the end may be the beginning of one; the length if from nowhere."""
        if self._begins is None:
            return len(data)
        start = max(0, len(data) - self.longest + 1)
        for match in self._begins.finditer(data, start):
            rest = data[match.start() :]
            if any(form.startswith(rest) for form in self._forms):
                return match.start()
        return len(data)

    def stream(self) -> "HidingStream":
        """For what comes in pieces."""
        return HidingStream(self)


@final
class HidingStream:
    """Takes them out of one stream, however it is cut. Only what may become one is held back."""

    __slots__ = ("_due", "_held", "_injected", "found")

    def __init__(self, injected: Injected) -> None:
        self._injected = injected
        self._held = b""
        # so much of what is held is the end of one that was found
        self._due = 0
        self.found = False
        """Whether there was any."""

    def feed(self, data: bytes) -> bytes:
        """Take what came; gives what can go on."""
        if self._held:
            data, self._held = self._held + data, b""
        return self._given(data, self._injected.unsure(data))

    def flush(self) -> bytes:
        """Nothing more comes."""
        data, self._held = self._held, b""
        return self._given(data, len(data)) if data else b""

    def _given(self, data: bytes, until: int) -> bytes:
        spans = self._injected.spans(data)
        if self._due:
            spans.insert(0, (0, self._due))
            self._due = 0
        if spans:
            self.found = True
            self._due = max(0, max((end for start, end in spans if start < until), default=0) - until)
        self._held = data[until:]
        return covered(data, spans)[:until]


def covered(data: bytes, spans: Iterable[Span]) -> bytes:
    """Asterisks in these places; the same object where there are none."""
    changed: bytearray | None = None
    for start, end in spans:
        if changed is None:
            changed = bytearray(data)
        changed[start:end] = b"*" * (end - start)
    return data if changed is None else bytes(changed)


def injected(dial: Dial | None) -> Injected | None:
    """What is added to requests that go this way; None where nothing is."""
    if dial is None or not (dial.headers or dial.query or dial.password is not None):
        return None
    secrets = [*dial.headers.values(), *dial.query.values()]
    for value in dial.headers.values():
        if (match := _SCHEME.fullmatch(value)) is not None:
            secrets.append(match.group(1))
            secrets += _pair(value)
    if dial.password is not None:
        secrets.append(dial.password)
        secrets.append(base64.b64encode(f"{dial.user}:{dial.password}".encode()).decode())
    return Injected(secrets)


def _pair(value: str) -> Iterator[str]:
    """The password in a header of basic authentication (RFC 7617)."""
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        _, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    if colon:
        yield password


def _forms(secret: str) -> Iterator[bytes]:
    """A secret as it was sent, and as URLs, forms, JSON and HTML write it."""
    sent = secret.encode()
    # a header's bytes are often read as Latin-1
    for text in {secret, sent.decode("latin-1")}:
        yield text.encode()
        for encoded in (quote(text, safe=""), quote(text), quote_plus(text)):
            yield encoded.encode()
            yield _ESCAPED.sub(lambda found: found.group().lower(), encoded).encode()
        plain, ascii_only = json.dumps(text, ensure_ascii=False)[1:-1], json.dumps(text)[1:-1]
        dotnet = _DOTNET.sub(_upper, plain.replace('\\"', '"'))
        for written in (plain, ascii_only, _GO.sub(_lower, plain), dotnet):
            yield written.encode()
            yield written.replace("/", "\\/").encode()
        for written in (html.escape(text), html.escape(text, quote=False)):
            yield written.encode()
            yield written.replace("&#x27;", "&#39;").replace("&quot;", "&#34;").encode()


def _lower(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"


def _upper(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04X}"
