"""Messages of a WebSocket that wait behind one that a person has to approve."""

from collections import deque
from typing import Final, final

from bodycam.protocols.http.frames import Message

QUEUED_MOST: Final = 256 * 1024
"""Bytes that wait before the client is read no further; what was on its way then still comes."""

_EACH: Final = 128  # bytes that a message costs beside its own


@final
class Queue:
    """What has come behind it, in order."""

    __slots__ = ("_messages", "_size")

    def __init__(self) -> None:
        self._messages: deque[Message] = deque()
        self._size = 0

    @property
    def full(self) -> bool:
        """Whether no more should come for now."""
        return self._size >= QUEUED_MOST

    def add(self, message: Message) -> None:
        """One more."""
        self._messages.append(message)
        self._size += len(message.raw) + _EACH

    def first(self) -> Message | None:
        """The one that came first, taken out; None where there is none."""
        if not self._messages:
            return None
        message = self._messages.popleft()
        self._size -= len(message.raw) + _EACH
        return message
