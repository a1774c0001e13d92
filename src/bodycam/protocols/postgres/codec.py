"""Cutting a byte stream into PostgreSQL protocol messages, in either direction, after the startup packet.

A message is a tag byte, a 32-bit big-endian length that counts itself, and a body.
https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-MESSAGE-CONCEPTS
"""

import struct

Frame = tuple[int, int, int, int]
"""`(tag, start, end, part)`: offsets into the buffer that came with it, the tag and the length included.

`part` is 0 for a whole message; a streamed one comes as a first (1), middle (2) and last (3) piece, and only
the first begins with the tag and the length.
"""

WHOLE, FIRST, MIDDLE, LAST = 0, 1, 2, 3

_LENGTH = struct.Struct(">I").unpack_from


class ProtocolViolation(Exception):
    """A peer sent what the protocol does not allow; `sqlstate` is how PostgreSQL classes it."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


class Framer:
    """Cuts one direction of one connection into messages.

    `limit` bounds a message that has to be held whole, in bytes. Messages with a tag in `streamed` that are
    longer than `stream_above` are handed on in pieces as they arrive and have no bound.
    """

    __slots__ = ("_limit", "_missing", "_partial", "_rest", "_stream_above", "_streamed", "_tag", "_wanted")

    def __init__(self, *, limit: int, streamed: frozenset[int], stream_above: int = 256 * 1024) -> None:
        self._limit, self._streamed, self._stream_above = limit, streamed, stream_above
        self._rest = b""
        # a long message arrives in many reads, which are joined once, when the last has come
        self._partial: list[bytes] = []
        self._missing = 0
        self._tag = 0
        self._wanted = 0

    def feed(self, data: bytes) -> tuple[bytes, list[Frame]]:
        """Take the next bytes; returns a buffer and the messages in it.

        Raises:
            ProtocolViolation: a length that no message can have, or one over the limit.
        """
        if self._wanted:
            self._partial.append(data)
            self._wanted -= len(data)
            if self._wanted > 0:
                return b"", []
            data = b"".join(self._partial)
            self._partial, self._wanted = [], 0
        elif self._rest:
            data = self._rest + data
        self._rest = b""
        frames: list[Frame] = []
        offset, size = 0, len(data)
        if self._missing:
            offset = self._continue(size, frames)
        while size - offset >= 5:
            (length,) = _LENGTH(data, offset + 1)
            end = offset + 1 + length
            tag = data[offset]
            if length < 4:
                raise ProtocolViolation("08P01", f"a message of type {chr(tag)!r} with a length of {length}")
            streams = length > self._stream_above and tag in self._streamed
            # also of a message that is here already: what is refused can't hang on how the bytes were cut
            if length > self._limit and not streams:
                raise ProtocolViolation(
                    "54000",
                    f"a message of type {chr(tag)!r} of {length} bytes is over the limit of {self._limit}",
                )
            if end <= size:
                frames.append((tag, offset, end, WHOLE))
                offset = end
                continue
            if streams:
                frames.append((tag, offset, size, FIRST))
                self._missing, self._tag = end - size, tag
                return data, frames
            self._partial, self._wanted = [data[offset:]], end - size
            return data, frames
        if offset < size:
            self._rest = data[offset:]
        return data, frames

    def _continue(self, size: int, frames: list[Frame]) -> int:
        if size < self._missing:
            if size:
                frames.append((self._tag, 0, size, MIDDLE))
            self._missing -= size
            return size
        end, self._missing = self._missing, 0
        frames.append((self._tag, 0, end, LAST))
        return end
