"""SFTP's packets and the values in them (draft-ietf-secsh-filexfer-02, sections 3 and 5)."""

import struct
from collections.abc import Iterator
from typing import Final, final

from bodycam.protocols.ssh.files.fault import FilesFault

CONTENT_MOST: Final = 256 << 10
"""Bytes of content, or of anything else, that one packet carries at most: what OpenSSH's server takes."""

PACKET_MOST: Final = CONTENT_MOST + (1 << 10)
"""Bytes of one packet at most, its type included and its length not."""

_LENGTH: Final = struct.Struct(">I")
_LONG: Final = struct.Struct(">Q")


class Malformed(Exception):
    """The content of one packet makes no sense; the next packet is none the worse."""


@final
class Packets:
    """Cuts one direction's bytes into packets."""

    __slots__ = ("_held", "_most", "_who")

    def __init__(self, who: str, most: int = PACKET_MOST) -> None:
        """`who` sends, for errors; `most` bytes may a packet have."""
        self._who, self._most = who, most
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The packets that are whole now, each with its type first and without its length; take them all.

        Raises:
            FilesFault: one is empty, or longer than any may be; those before it have been given.
        """
        held = self._held
        if held:
            held += data
            if len(held) < 4 or len(held) < 4 + self._length(held, 0):
                return
            data = bytes(held)
            held.clear()
        at, size = 0, len(data)
        while size - at >= 4:
            end = at + 4 + self._length(data, at)
            if end > size:
                break
            yield data[at + 4 : end]
            at = end
        held += data[at:]

    def _length(self, data: bytes | bytearray, at: int) -> int:
        length: int = _LENGTH.unpack_from(data, at)[0]
        if not 0 < length <= self._most:
            raise FilesFault(
                f"the {self._who} sent an SFTP packet of {length} bytes; {self._most} are the most"
            )
        return length


@final
class Reader:
    """Takes the values of one packet, one after another.

    Raises:
        Malformed: by all that take something: it is not there.
    """

    __slots__ = ("_at", "_packet")

    def __init__(self, packet: bytes, at: int = 1) -> None:
        self._packet, self._at = packet, at

    @property
    def left(self) -> int:
        """How many bytes have not been taken."""
        return len(self._packet) - self._at

    def number(self) -> int:
        """A uint32."""
        return int(_LENGTH.unpack(self._taken(4))[0])

    def long(self) -> int:
        """A uint64."""
        return int(_LONG.unpack(self._taken(8))[0])

    def string(self) -> bytes:
        """A length and so many bytes."""
        return self._taken(self.number())

    def rest(self) -> bytes:
        """All that is left."""
        return self._taken(self.left)

    def end(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise Malformed(f"{self.left} bytes too many")

    def _taken(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._packet):
            raise Malformed(f"{size} bytes were expected and {self.left} are there")
        taken = self._packet[self._at : end]
        self._at = end
        return taken


def number(value: int) -> bytes:
    """A uint32."""
    return _LENGTH.pack(value)


def long(value: int) -> bytes:
    """A uint64."""
    return _LONG.pack(value)


def string(value: bytes) -> bytes:
    """A length and so many bytes."""
    return _LENGTH.pack(len(value)) + value


def framed(packet: bytes) -> bytes:
    """A packet behind its length."""
    return _LENGTH.pack(len(packet)) + packet
