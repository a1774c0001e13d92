"""Where the body of a message ends (RFC 9112, section 6), and its content, piece by piece.

A message whose length could be read in two ways is refused: with Transfer-Encoding and Content-Length, with
two lengths, with a coding other than `chunked` alone.
"""

import re
from typing import Final, Protocol, final

from bodycam.protocols.http.fault import BadMessage
from bodycam.protocols.http.head import Fields, RequestHead, ResponseHead, fields

LINE_MOST: Final = 1024
"""Bytes of a line that begins a chunk, with its extensions; they are not passed on."""

TRAILER_MOST: Final = 16 * 1024

_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
# an extension holds no quote, so that nobody can take a line's end within one for its end
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[\t\x20-\x21\x23-\x7e]*)?\r\n")
# what a trailer may not say: length, routing, who it is (RFC 9110, section 6.5.1)
NEVER_TRAILING: Final = frozenset(
    (b"transfer-encoding", b"content-length", b"host", b"content-encoding", b"content-type", b"trailer",
     b"authorization", b"proxy-authorization", b"set-cookie", b"cookie", b"connection", b"te", b"upgrade")
)  # fmt: skip


class Body(Protocol):
    """One body as it comes."""

    @property
    def done(self) -> bool:
        """Whether all of it has come."""

    @property
    def raw(self) -> bool:
        """Whether what comes is the content itself, with nothing in between."""

    def feed(self, data: bytes, start: int) -> tuple[bytes, int]:
        """The content in `data` from `start`, and up to where it was taken.

        Raises:
            BadMessage: it is not what a body of this kind is.
        """

    def left(self) -> str:
        """The connection has ended: what is missing, for people; "" if that is how this body ends."""


@final
class NoBody:
    """There is none."""

    done: Final = True
    raw: Final = True

    def feed(self, data: bytes, start: int) -> tuple[bytes, int]:
        """Nothing is taken."""
        return b"", start

    def left(self) -> str:
        """Nothing is missing."""
        return ""


NO_BODY: Final = NoBody()


@final
class Sized:
    """A body whose length was said before."""

    __slots__ = ("_left", "done", "length", "raw")

    def __init__(self, length: int) -> None:
        self._left, self.length, self.done, self.raw = length, length, length == 0, True

    def feed(self, data: bytes, start: int) -> tuple[bytes, int]:
        """As much as belongs to it."""
        end = min(len(data), start + self._left)
        self._left -= end - start
        self.done = not self._left
        return (data if start == 0 and end == len(data) else data[start:end]), end

    def left(self) -> str:
        """How much is missing."""
        return f"{self._left} bytes of the body are missing" if self._left else ""


@final
class UntilClosed:
    """A response's body that lasts until the connection ends."""

    __slots__ = ("done", "raw")

    def __init__(self) -> None:
        self.done, self.raw = False, True

    def feed(self, data: bytes, start: int) -> tuple[bytes, int]:
        """All that there is."""
        return data[start:], len(data)

    def left(self) -> str:
        """That is its end."""
        self.done = True
        return ""


@final
class Chunked:
    """A body in chunks. `trailers` are the fields behind the last, as they go over the wire."""

    __slots__ = ("_left", "_line", "_trailing", "done", "raw", "trailers")

    def __init__(self) -> None:
        self._left = 0  # of the chunk that has begun, with the line's end behind it
        self._line = b""
        self._trailing = False
        self.done = self.raw = False
        self.trailers = b""

    def feed(self, data: bytes, start: int) -> tuple[bytes, int]:
        """The content of all chunks in it; lines that are not whole are kept here."""
        content: list[bytes] = []
        position = start
        while position < len(data) and not self.done:
            if self._left > 2:
                end = min(len(data), position + self._left - 2)
                content.append(data[position:end])
                self._left -= end - position
                position = end
            elif self._left:
                position = self._chunk_end(data, position)
            elif self._trailing:
                position = self._trailer(data, position)
            else:
                position = self._chunk(data, position)
        return b"".join(content), position

    def left(self) -> str:
        """What is missing."""
        return "" if self.done else "the end of a body in chunks is missing"

    def _chunk_end(self, data: bytes, position: int) -> int:
        if data[position] != (13 if self._left == 2 else 10):
            raise BadMessage("a chunk is longer than it said")
        self._left -= 1
        return position + 1

    def _take_line(self, data: bytes, position: int, most: int) -> int:
        """Take up to a line's end; `_line` ends with it once it is whole."""
        found = data.find(b"\n", position)
        end = len(data) if found < 0 else found + 1
        self._line += data[position : min(end, position + most + 1)]
        if len(self._line) > most:
            raise BadMessage("a line between chunks is too long")
        return end

    def _chunk(self, data: bytes, position: int) -> int:
        end = self._take_line(data, position, LINE_MOST)
        if self._line.endswith(b"\n"):
            match = _CHUNK.fullmatch(self._line)
            if match is None:
                raise BadMessage("the line before a chunk is not its size in hexadecimal digits")
            self._line = b""
            size = int(match.group(1), 16)
            if size:
                self._left = size + 2
            else:
                self._trailing = True
        return end

    def _trailer(self, data: bytes, position: int) -> int:
        end = self._take_line(data, position, TRAILER_MOST)
        if self._line.endswith(b"\n"):
            last = self._line[self._line.rfind(b"\n", 0, len(self._line) - 1) + 1 :]
            if last == b"\r\n":
                said = fields(self._line, 0)
                if not said.isdisjoint(NEVER_TRAILING):
                    raise BadMessage("a trailer says what only a head may say")
                self.trailers, self._line, self.done = self._line[:-2], b"", True
            elif not last.endswith(b"\r\n"):
                raise BadMessage("a line of the trailer ends without a carriage return")
        return end


def request_body(head: RequestHead) -> Body:
    """How the body of a request comes.

    Raises:
        BadMessage: its length could be read in two ways.
    """
    length = head.fields.get(b"content-length")
    if len(length) > 1 and length.startswith(b"0"):
        # octal for some
        raise BadMessage("its Content-Length begins with a zero")
    return _body(head.fields, head.minor) or NO_BODY


def response_body(head: ResponseHead, method: str) -> Body:
    """How the body of the response to a request with this method comes.

    Raises:
        BadMessage: its length could be read in two ways.
    """
    try:
        if method == "HEAD" or head.status < 200 or head.status in (204, 304):
            _body(head.fields, head.minor)
            return NO_BODY
        return _body(head.fields, head.minor) or UntilClosed()
    except BadMessage as error:
        raise BadMessage(error.reason, 502) from error


def chunk(content: bytes) -> bytes:
    """Content as one chunk."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def last_chunk(trailers: bytes = b"") -> bytes:
    """What ends a body in chunks."""
    return b"0\r\n" + trailers + b"\r\n"


def _body(found: Fields, minor: int) -> Body | None:
    sized = b"content-length" in found
    if b"transfer-encoding" in found:
        if sized:
            raise BadMessage("it says both Transfer-Encoding and Content-Length")
        if minor == 0:
            raise BadMessage("HTTP/1.0 knows no Transfer-Encoding")
        coding = found.get(b"transfer-encoding")
        if coding.lower() != b"chunked":
            raise BadMessage("its Transfer-Encoding is another than chunked alone", 501)
        return Chunked()
    if not sized:
        return None
    length = found.get(b"content-length")
    if _LENGTH.fullmatch(length) is None:
        raise BadMessage("its Content-Length is no number of bytes")
    return Sized(int(length))
