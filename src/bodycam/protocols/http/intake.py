"""What has come from the client and was not taken yet: heads of requests, and what is discarded of a body."""

from typing import Final

from bodycam.protocols.http.framing import Body
from bodycam.protocols.http.head import Fields, RequestHead, head_end, request_begun, request_head

AHEAD_MOST: Final = 256 * 1024
"""Bytes of requests that are read ahead while another is under way."""

DISCARD_MOST: Final = 8 * 1024 * 1024
"""Bytes of a refused request's body that are read, so that the client gets to the answer."""

_BLANK_LINES: Final = 4
"""Bytes of empty lines before a request; some clients end a body with one (RFC 9112, section 2.2)."""


class Intake:
    """The client's bytes, in their order.

    `begun` is whether a part of a head is there, for which the rest has to come in time.
    """

    def __init__(self) -> None:
        self.ahead = b""
        self.begun = False
        self._discarded = 0
        self._before: Fields | None = None

    @property
    def full(self) -> bool:
        """Whether no more should be read for now."""
        return len(self.ahead) > AHEAD_MOST

    def add(self, data: bytes) -> None:
        """More has come."""
        self.ahead = self.ahead + data if self.ahead else data

    def take(self) -> bytes:
        """All of it, for whoever takes it as it is."""
        taken, self.ahead = self.ahead, b""
        return taken

    def head(self) -> RequestHead | None:
        """The next request's head; None while it is not whole.

        Raises:
            BadMessage: it is none, or too long.
        """
        start = 0
        while self.ahead.startswith(b"\r\n", start) and start < _BLANK_LINES:
            start += 2
        end = head_end(self.ahead, start)
        self.begun = end < 0
        if end < 0:
            request_begun(self.ahead, start)
            return None
        ahead = self.ahead
        head = request_head(ahead[start:end] if start or end < len(ahead) else ahead, self._before)
        self.ahead = ahead[end:]
        self._before = head.fields if head.fields.kept else None
        return head

    def discard(self, body: Body) -> bool:
        """Pass over what belongs to a body that nobody wants; False when that has become too much.

        Raises:
            BadMessage: it is no body as its head announced it.
        """
        data = self.take()
        _, end = body.feed(data, 0)
        self.ahead = data[end:]
        self._discarded += end
        if body.done:
            self._discarded = 0
        return self._discarded <= DISCARD_MOST
