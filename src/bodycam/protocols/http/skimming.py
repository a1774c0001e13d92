"""What the index reads of an exchange at one look, and what it keeps requests together by."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bodycam.model.event import Flavor
from bodycam.model.transcript import Piece
from bodycam.protocols.http.dialects import plain
from bodycam.protocols.http.reading import BodyText, body_text

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


def glance(facts: Mapping[str, Any], pieces: Sequence[Piece], most: int) -> str | None:
    """Heads and bodies as people read them, where neither speaks a dialect (`model.transcript.Glancer`)."""
    if len(pieces) > 2:
        return _glance_at_many(facts, pieces, most)
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


def _glance_at_many(facts: Mapping[str, Any], pieces: Sequence[Piece], most: int) -> str | None:
    """The same where a body may have come in several pieces."""
    lines: list[str] = []
    asked = b""
    sent: BodyText | None = None
    received: BodyText | None = None
    for to_client, flavor, data in pieces:
        if flavor == _MESSAGE:
            return None
        if flavor == _HEAD:
            head, blank, data = data.partition(_BLANK)
            head += blank
            if sent is not None:
                lines.append(sent.end())
            if to_client:
                if received is not None:
                    lines.append(received.end())
                received = BodyText(content_type(head))
            else:
                asked, sent = head, BodyText(content_type(head))
            lines.append(head_text(head))
        if data:
            body = received if to_client else sent
            if body is None:
                body = BodyText("")
                if to_client:
                    received = body
                else:
                    sent = body
            lines.append(body.take(data))
    lines += [body.end() for body in (sent, received) if body is not None]
    if not plain(str(facts.get("http.path", "")), asked):
        return None
    return "\n".join([line for line in lines if line])[:most]


def shape(text: str) -> str | None:
    """A URL without what changes from one request to the next; None where it has nothing of the kind."""
    begin = text.find("/", text.find("://") + 3)
    if begin < 0:
        return None
    shaped, count = _CHANGING.subn("*", text[begin:])
    return text[:begin] + shaped if count else None
