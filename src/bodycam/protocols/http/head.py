"""The heads of HTTP/1.1 messages (RFC 9112): a start line and fields, taken strictly or not at all.

What two implementations read in two ways is how requests are smuggled past a proxy. So nothing is mended
here: a bare line feed, a folded line, a blank before a colon, a NUL or any other control character ends it.
"""

import re
from collections.abc import Iterable
from typing import Final, final

from bodycam.protocols.http.fault import BadMessage

HEAD_MOST: Final = 64 * 1024
"""Bytes of a whole head; nginx takes 32 KiB, Apache and Node 8 to 16."""

FIELDS_MOST: Final = 200

KEPT_MOST: Final = 4 * 1024
"""Bytes of a head's fields that are kept in mind until the next head of a connection comes."""

_TARGET_MOST: Final = 32 * 1024

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_LINES: Final = re.compile(rb"(?:" + _TOKEN + rb"++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+")
# the same, for whole heads at once: what may stand in a line with its end, and in a name
_OF_LINES: Final = bytes((9, 10, 13, *range(0x20, 0x7F), *range(0x80, 0x100)))
_OF_NAMES: Final = bytes(byte for byte in range(0x100) if re.fullmatch(_TOKEN, bytes((byte,))))
# no lower-case letters in a method: rules know POST, and some servers take `post` for it
_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Z-]{1,40}) ([\x21-\x7e\x80-\xff]{1,32768}) HTTP/1\.([01])\r\n"
)
_OTHER_VERSION: Final = re.compile(rb"[^\r\n]* HTTP/(?!1\.[01]\r)[0-9]\.[0-9]\r")
_BARE: Final = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
_STATUS_BEGINS: Final = b"HTTP/1."
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: ([\t\x20-\x7e\x80-\xff]*+))?\r\n")

_END: Final = b"\r\n\r\n"

# by another spelling that some servers read as the same (CGI turns both into HTTP_CONTENT_LENGTH)
LOOKALIKES: Final = frozenset((b"content_length", b"transfer_encoding"))

Field = tuple[bytes, bytes]
"""A field's name and value as they were written, without the blanks around the value."""


@final
class Fields:
    """The fields of one head, in their order; never changed. `raw` is what they were read from."""

    __slots__ = ("_by_name", "listed", "raw")

    def __init__(self, listed: list[Field], raw: bytes = b"") -> None:
        self.listed, self.raw = listed, raw
        by_name: dict[bytes, bytes | list[bytes]] = {}
        for name, value in listed:
            folded = name.lower()
            known = by_name.get(folded)
            if known is None:
                by_name[folded] = value
            elif isinstance(known, list):
                known.append(value)
            else:
                by_name[folded] = [known, value]
        self._by_name = by_name

    def __contains__(self, name: bytes) -> bool:
        return name in self._by_name

    def __repr__(self) -> str:
        # values may be credentials
        return f"Fields({[name for name, _ in self.listed]})"

    @property
    def kept(self) -> bool:
        """Whether they are short enough to be kept in mind, for the next head may have the same."""
        return 0 < len(self.raw) <= KEPT_MOST

    def isdisjoint(self, names: Iterable[bytes]) -> bool:
        """Whether none of these names, in lower case, is there."""
        return self._by_name.keys().isdisjoint(names)

    def get(self, name: bytes) -> bytes:
        """The value of the field with this name, in lower case; b"" where there is none.

        Raises:
            BadMessage: there are several, and one is all that there may be.
        """
        found = self._by_name.get(name)
        if found is None:
            return b""
        if isinstance(found, list):
            raise BadMessage(f"the field {name.decode('latin-1')} stands there {len(found)} times")
        return found

    def every(self, name: bytes) -> list[bytes]:
        """All values of a field that may come several times, or is a list divided by commas."""
        found = self._by_name.get(name)
        if found is None:
            return []
        return found if isinstance(found, list) else [found]

    def tokens(self, name: bytes) -> list[bytes]:
        """The members of a field that is a list of tokens, in lower case (RFC 9110, section 5.6.1)."""
        return [
            word for value in self.every(name) for part in value.split(b",") if (word := part.strip().lower())
        ]


@final
class RequestHead:
    """A request's head. `minor` is the second digit of the version of HTTP/1 that it could be written in."""

    __slots__ = ("fields", "method", "minor", "target", "version")

    def __init__(self, method: str, target: bytes, minor: int, fields: Fields, version: str = "") -> None:
        self.method, self.target, self.minor, self.fields = method, target, minor, fields
        self.version = version or f"1.{minor}"

    @property
    def persistent(self) -> bool:
        """Whether the sender wants to go on with the connection afterwards (RFC 9112, section 9.3)."""
        return _persistent(self.minor, self.fields)


@final
class ResponseHead:
    """A response's head; `raw` is all of it as it came."""

    __slots__ = ("fields", "minor", "raw", "reason", "status")

    def __init__(self, status: int, reason: bytes, minor: int, fields: Fields, raw: bytes) -> None:
        self.status, self.reason, self.minor, self.fields, self.raw = status, reason, minor, fields, raw

    @property
    def line(self) -> bytes:
        """The first line as it came, with its end."""
        return self.raw[: self.raw.index(b"\n") + 1]

    @property
    def persistent(self) -> bool:
        """Whether the sender goes on with the connection afterwards."""
        return _persistent(self.minor, self.fields)


def head_end(data: bytes, start: int = 0) -> int:
    """Where the head that begins at `start` ends, behind its empty line; -1 while that has not come.

    Raises:
        BadMessage: it is longer than a head may be.
    """
    end = data.find(_END, start)
    if end < 0:
        if len(data) - start > HEAD_MOST:
            raise BadMessage(f"the head is longer than {HEAD_MOST // 1024} KiB", 431)
        return -1
    if end + 4 - start > HEAD_MOST:
        raise BadMessage(f"the head is longer than {HEAD_MOST // 1024} KiB", 431)
    return end + 4


def request_begun(data: bytes, start: int) -> None:
    """A part of a request's head has come, from `start`: nobody waits for the rest of what is none.

    Raises:
        BadMessage: whatever follows, it will be no head.
    """
    line_end = data.find(b"\n", start)
    if line_end < 0:
        return
    if _REQUEST_LINE.match(data, start) is None:
        raise _wrong_line(data[start:])
    if _BARE.search(data, start) is not None:
        raise BadMessage("a line of the head ends without a carriage return and a line feed")


def response_begun(data: bytes, start: int) -> None:
    """A part of a response's head has come, from `start`.

    Raises:
        BadMessage: whatever follows, it will be no head.
    """
    if not _STATUS_BEGINS.startswith(data[start : start + len(_STATUS_BEGINS)]):
        raise BadMessage("what should be a status line of HTTP/1.1 is none", 502)
    if _BARE.search(data, start) is not None:
        raise BadMessage("a line of the head ends without a carriage return and a line feed", 502)


def request_head(data: bytes, before: Fields | None = None) -> RequestHead:
    """A request's whole head.

    `before` are the fields of one that came before. Where they are the same to the letter, as most clients
    send them that go on with a connection, they are given again, so that whoever made something of them
    can tell by `is` that it still holds.

    Raises:
        BadMessage: it is not, to the letter, what RFC 9112 says.
    """
    line = _REQUEST_LINE.match(data)
    if line is None:
        raise _wrong_line(data)
    method, target, minor = line.groups()
    start = line.end()
    same = before is not None and len(before.raw) == len(data) - start and data.endswith(before.raw)
    found = before if before is not None and same else fields(data, start)
    return RequestHead(method.decode(), target, int(minor), found)


def response_head(data: bytes) -> ResponseHead:
    """A response's whole head.

    Raises:
        BadMessage: it is not, to the letter, what RFC 9112 says.
    """
    line = _STATUS_LINE.match(data)
    if line is None:
        raise BadMessage("what should be a status line of HTTP/1.1 is none", 502)
    minor, status, reason = line.groups()
    try:
        found = fields(data, line.end())
    except BadMessage as error:
        raise BadMessage(error.reason, 502) from error
    return ResponseHead(int(status), reason or b"", int(minor), found, data)


def fields(data: bytes, start: int) -> Fields:
    """The fields from `start` to the empty line that ends `data`.

    Raises:
        BadMessage: a line is no field.
    """
    raw = data[start:]
    listed = _taken(raw)
    if listed is None:
        raise BadMessage(_wrong_field(_wrong_one(raw)))
    if len(listed) > FIELDS_MOST:
        raise BadMessage(f"there are more than {FIELDS_MOST} fields", 431)
    found = Fields(listed, raw)
    if not found.isdisjoint(LOOKALIKES):
        raise BadMessage("a field is named as one that says a body's length, but for an underscore")
    return found


def _taken(raw: bytes) -> list[Field] | None:
    """Each line's name and value; None where a line is no field, to the letter of `_LINES`.

    Few passes over all lines, which cost less than a pattern that has to match each.
    """
    lines = raw.split(b"\r\n")
    count = len(lines) - 2
    if count < 0 or lines.pop() or lines.pop():
        return None
    if raw.count(b"\n") != count + 1 or raw.count(b"\r") != count + 1 or raw.translate(None, _OF_LINES):
        return None
    listed: list[Field] = []
    names: list[bytes] = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name:
            return None
        names.append(name)
        listed.append((name, value.strip(b" \t")))
    return None if b"".join(names).translate(None, _OF_NAMES) else listed


def _wrong_one(raw: bytes) -> bytes:
    """The first line that is no field."""
    whole = _LINES.match(raw)
    assert whole is not None
    return raw[whole.end() :].split(b"\n", 1)[0]


def written(listed: Iterable[Field]) -> bytes:
    """Fields as they go over the wire."""
    return b"".join([b"%b: %b\r\n" % field for field in listed])


def _persistent(minor: int, found: Fields) -> bool:
    if b"connection" not in found:
        return minor == 1
    said = found.tokens(b"connection")
    return b"close" not in said and (minor == 1 or b"keep-alive" in said)


def _wrong_line(data: bytes) -> BadMessage:
    line = data.split(b"\n", 1)[0]
    if not line.endswith(b"\r"):
        return BadMessage("a line ends without a carriage return")
    if line.startswith(b"PRI * HTTP/2.0"):
        return BadMessage("HTTP/2 was begun without having been agreed on", 505)
    method, _, rest = line.partition(b" ")
    if method != method.upper() and rest.endswith((b" HTTP/1.0\r", b" HTTP/1.1\r")):
        return BadMessage("the method is written in lower-case letters")
    if len(rest) > _TARGET_MOST + 10:
        return BadMessage(f"the request's target is longer than {_TARGET_MOST // 1024} KiB", 414)
    if _OTHER_VERSION.fullmatch(line):
        return BadMessage("the version is another than HTTP/1.1 and HTTP/1.0", 505)
    if b"HTTP/1." not in line:
        return BadMessage("the first line is no request of HTTP/1.1")
    return BadMessage("the request line is not: method, blank, target, blank, version")


def _wrong_field(line: bytes) -> str:
    if not line.endswith(b"\r"):
        return "a line of the head ends without a carriage return"
    if line[:1] in (b" ", b"\t"):
        return "a field is folded over several lines"
    name, colon, value = line[:-1].partition(b":")
    if not colon:
        return "a line of the head has no colon"
    if name != name.rstrip():
        return "there is a blank between a field's name and its colon"
    if any((byte < 32 and byte != 9) or byte == 127 for byte in value):
        return "a field's value holds a control character"
    return "a field's name holds a character that no name may have"
