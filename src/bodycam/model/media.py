"""Media types (RFC 9110, section 8.3): what a body's content is, as far as looking into it needs to know."""

import codecs
from enum import IntEnum
from functools import lru_cache
from typing import Final, final


class Content(IntEnum):
    """How content is looked into."""

    TEXT = 0
    """Text of any kind, in lines."""
    JSON = 1
    """One JSON text."""
    LINES = 2
    """A JSON text in each line."""
    EVENTS = 3
    """Server-sent events."""
    FORM = 4
    """Names and values as a form sends them in a query."""
    PARTS = 5
    """Names and values as a form sends them with files."""
    BINARY = 6
    """Nothing that is text."""


@final
class Media:
    """A media type. `codec` names what the text has to be decoded with, where ASCII is not ASCII in it."""

    __slots__ = ("codec", "content", "name")

    def __init__(self, name: str, content: Content, codec: str) -> None:
        self.name, self.content, self.codec = name, content, codec


_NAMED: Final = {
    "application/json": Content.JSON,
    "application/x-www-form-urlencoded": Content.FORM,
    "application/x-ndjson": Content.LINES,
    "application/ndjson": Content.LINES,
    "application/jsonl": Content.LINES,
    "application/x-jsonlines": Content.LINES,
    "application/jsonlines": Content.LINES,
    "application/json-lines": Content.LINES,
    "application/stream+json": Content.LINES,
    "application/json-seq": Content.LINES,
    "text/event-stream": Content.EVENTS,
    "text/json": Content.JSON,
    "text/x-json": Content.JSON,
    "multipart/form-data": Content.PARTS,
}
_TEXTS: Final = frozenset(
    {
        *("xml", "javascript", "x-javascript", "ecmascript", "yaml", "x-yaml", "toml", "sql", "graphql"),
        *("x-sh", "x-shellscript", "x-httpd-php", "x-pem-file", "pem-certificate-chain", "rtf", "jwt"),
        *("x-tex", "x-subrip", "x-mpegurl", "vnd.apple.mpegurl", "x-config", "http", "jose"),
    }
)
_BINARY: Final = frozenset({"application", "image", "audio", "video", "font", "model"})
_SAMPLE: Final = bytes(range(0x20, 0x7F))


@lru_cache(maxsize=512)
def media(content_type: str) -> Media:
    """What a Content-Type says; where it says nothing, it is text."""
    name, *parameters = content_type[:512].split(";")
    name = name.strip().lower()
    charset = ""
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip("\"'").strip().lower()
            break
    content = _content(name)
    codec = "" if content in (Content.BINARY, Content.EVENTS, Content.PARTS) else _codec(charset)
    return Media(name, content, codec)


def _content(name: str) -> Content:
    named = _NAMED.get(name)
    if named is not None:
        return named
    kind, _, detail = name.partition("/")
    if detail.endswith("+json"):
        return Content.JSON
    if kind not in _BINARY or detail.endswith(("+xml", "+yaml")) or detail in _TEXTS:
        return Content.TEXT
    return Content.BINARY


def _codec(charset: str) -> str:
    """The codec of a charset in which the letters of ASCII are other bytes; empty for all others."""
    if not charset:
        return ""
    try:
        codec = codecs.lookup(charset)
        # UTF-7 has two ways to write a letter
        if codec.name != "utf-7" and _SAMPLE.decode(charset) == _SAMPLE.decode("ascii"):
            return ""
    except UnicodeDecodeError:
        return codec.name
    except (LookupError, ValueError):
        # nobody else knows it either
        return ""
    return codec.name
