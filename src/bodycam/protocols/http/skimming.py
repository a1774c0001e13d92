"""What the index reads of an exchange at one look, and what it keeps requests together by."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bodycam.model.event import Flavor
from bodycam.model.media import Content, media
from bodycam.model.transcript import Piece
from bodycam.protocols.http.dialects import plain

_HEAD: Final = int(Flavor.HEAD)
_MESSAGE: Final = int(Flavor.MESSAGE)
_BLANK: Final = b"\r\n\r\n"
_CONTENT_TYPE: Final = re.compile(rb"\n[\t ]*content-type[\t ]*:([^\r\n]*)", re.IGNORECASE)
# a value behind a sign of equality, and a word with a digit in it
_CHANGING: Final = re.compile(r"(?<==)[^&]++|(?<![0-9A-Za-z_-])[A-Za-z_-]*+[0-9][0-9A-Za-z_-]*+")


def content_type(head: bytes) -> str:
    """What the first field of that name says; empty where there is none."""
    found = _CONTENT_TYPE.search(head)
    return "" if found is None else found[1].strip().decode("latin-1")


def head_text(head: bytes) -> str:
    """A head for people, a line each."""
    return readable(head).rstrip("\r\n").replace("\r\n", "\n")


def readable(data: bytes) -> str:
    """Bytes as text; those that are none are written as escapes."""
    return data.decode("utf-8", "backslashreplace")


def body_text(data: bytes, kind: str) -> str:
    """A piece of a body of that Content-Type for people."""
    found = media(kind)
    if found.content is Content.BINARY:
        return f"[{len(data)} bytes]"
    return data.decode(found.codec or "utf-8", "backslashreplace")


def glance(facts: Mapping[str, Any], pieces: Sequence[Piece], most: int) -> str | None:
    """Heads and bodies as people read them, where neither speaks a dialect (`model.transcript.Glancer`)."""
    lines: list[str] = []
    size = 0
    asked = answered = b""
    for to_client, flavor, data in pieces:
        if flavor == _MESSAGE:
            return None
        body = data
        if flavor == _HEAD:
            head, blank, body = data.partition(_BLANK)
            head += blank
            if to_client:
                answered = head
            else:
                asked = head
            if size < most and (line := head_text(head)):
                lines.append(line)
                size += len(line) + 1
        if body and size < most and (line := body_text(body, content_type(answered if to_client else asked))):
            lines.append(line)
            size += len(line) + 1
    if not plain(str(facts.get("http.path", "")), asked):
        return None
    return "\n".join(lines)[:most]


def shape(text: str) -> str | None:
    """A URL without what changes from one request to the next; None where it has nothing of the kind."""
    begin = text.find("/", text.find("://") + 3)
    if begin < 0:
        return None
    shaped, count = _CHANGING.subn("*", text[begin:])
    return text[:begin] + shaped if count else None
